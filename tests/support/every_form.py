"""A table with every object, statement and expression of the vocabulary: it loads, and means nothing.

What nft lists of it tells whether the reader knows all that `lower` may come to write.
"""

from __future__ import annotations

from nfcompile.emit import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Element,
    Hook,
    Map,
    Name,
    Rule,
    Set,
    Table,
)
from nfcompile.emit.expressions import Bitwise, Constant, Expression, Field, Lookup, Numgen
from nfcompile.emit.statements import (
    ACCEPT,
    ADMIN_PROHIBITED,
    CT_DIRECTION,
    CT_MARK,
    CT_STATE,
    CT_STATUS,
    DROP,
    IIFNAME,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    OIFNAME,
    PORTED,
    RETURN,
    TCP,
    TH_DPORT,
    TH_SPORT,
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    Nat,
    Reject,
    SetUpdate,
    Statement,
    Use,
    VerdictMap,
    concat,
    goto,
    jump,
    key,
    lookup,
    match,
    set_mark,
    unlike,
    vmap,
)
from nfcompile.model.parse import addresses
from nfcompile.model.ranges import Range

SITE = ("pools", "homes")
CLAIM = Limit(1, "week", 1, over=True)
FLAGS = Bitwise(Field("tcp flags"), 0x17)
INSIDE = concat(Field("ct original ip saddr"), Field("ct original proto-src"))
ENDS, TOKENS, SLOTS, PAIRS = Name("ends", "homes"), Name("tokens"), Name("slots", "homes"), Name("pairs")
SEEN, COUNTED, WAYS, PORTS = Name("seen"), Name("counted"), Name("ways"), Name("ports", "homes")
SOURCES, NAMES = Name("sources", "homes", "10"), Name("lans")
BLOCKS, PREFIXES, PLAIN, NOTHING = Name("blocks"), Name("prefixes"), Name("plain"), Name("nothing")
DROPPED, POLICY, UDP_POLICY, HELPER = (
    Name("dropped", "homes"),
    Name("tcp", "homes"),
    Name("udp", "homes"),
    Name("alg_ftp"),
)
FORWARD, SOURCE_NAT, FIRST = Name("forwarding"), Name("nat_sources"), Name("first", "homes")
DESTINATION_NAT, INPUT, LOWER = Name("nat_destinations"), Name("to_gateway"), Name("lower")
CT_EVENT, ZONE, L3 = Field("ct event"), Field("ct original zone"), Field("meta protocol")
TCP_ONLY, UDP_ONLY, BOTH = match(L4PROTO, "tcp"), match(L4PROTO, "udp"), match(L4PROTO, *PORTED)


def element(parts: tuple[object, ...], *data: object) -> Element:
    """One element; addresses and ranges of them as text with a slash or a dash."""
    return Element(_key(parts), _key(data))


def _key(parts: tuple[object, ...]) -> tuple[Range | str, ...]:
    return key(*(addresses(one) if isinstance(one, str) and "." in one else one for one in parts))  # type: ignore[arg-type]


SETS = (
    Set(SEEN, ("mark",), SITE, (), ("dynamic", "timeout"), 90061, 100),
    Set(COUNTED, ("inet_proto", "ipv4_addr"), SITE, (), ("dynamic",), 0, 100),
    Set(
        SOURCES,
        ("ipv4_addr",),
        SITE,
        tuple(element((one,)) for one in ("10.0.0.0/24", "10.0.1.0-10.0.1.9", "10.0.1.10", "10.9.9.9")),
        ("interval",),
    ),
    Set(NAMES, ("ifname",), SITE, (element(("wan0",)), element(("lan0",)))),
    Set(Name("both"), ("ifname", "ipv4_addr"), SITE, (element(("lan0", "10.0.0.0/30")),), ("interval",)),
    Map(ENDS, ("ipv4_addr", "inet_service"), ("ipv4_addr", "inet_service"), SITE, (), ("dynamic",), 0, 100),
    Map(SLOTS, ("ipv4_addr",), ("mark",), SITE, (), ("dynamic", "timeout"), 3600, 100),
    Map(PAIRS, ("mark", "ipv4_addr"), ("mark",), SITE, (), ("dynamic",), 0, 100),
    Map(
        TOKENS,
        ("mark",),
        ("mark",),
        SITE,
        (element((Range(8, 15),), 0x2000001), element((3,), 4)),
        ("interval",),
    ),
    Map(PORTS, ("mark",), ("inet_service",), SITE, (element((1,), 1024), element((2,), 1025))),
    Map(
        BLOCKS,
        ("ipv4_addr",),
        ("ipv4_addr", "inet_service"),
        SITE,
        (
            element(("100.64.0.4/31",), "203.0.113.0/30", Range(1024, 2047)),
            element(("100.64.0.0",), "203.0.113.7", Range(1024, 2047)),
        ),
        ("interval",),
        interval=True,
    ),
    Map(
        PREFIXES,
        ("ipv4_addr",),
        ("ipv4_addr",),
        SITE,
        (element(("10.0.0.1",), "203.0.113.1"),),
        interval=True,
    ),
    Map(PLAIN, ("ipv4_addr",), ("ipv4_addr",), SITE, (element(("10.0.0.1",), "203.0.113.1"),)),
    Map(NOTHING, ("ipv4_addr",), ("ipv4_addr",), SITE, (), ("interval",), interval=True),
    Map(
        WAYS,
        ("ipv4_addr",),
        ("verdict",),
        SITE,
        (
            Element(_key(("10.1.0.0/16",)), goto(LOWER)),
            Element(_key(("10.0.0.0/16",)), jump(LOWER)),
            Element(_key(("10.2.0.0/16",)), DROP),
        ),
        ("interval",),
    ),
)
OBJECTS = (
    Counter(DROPPED, SITE),
    CtTimeout(POLICY, "tcp", (("syn_sent", 4), ("established", 432000), ("close", 4)), SITE),
    CtTimeout(UDP_POLICY, "udp", (("unreplied", 300), ("replied", 120)), SITE),
    CtHelper(HELPER, "ftp", "tcp", SITE),
)
MATCHES: tuple[Statement, ...] = (
    match(IIFNAME, "wan0", "lan0"),
    match(OIFNAME, NAMES),
    match(IP_SADDR, SOURCES),
    unlike(IP_DADDR, SOURCES),
    match(IP_DADDR, addresses("10.0.0.0/8")),
    unlike(IP_SADDR, addresses("10.0.0.1-10.0.0.6")),
    match(IP_SADDR, addresses("10.0.1.0/24"), addresses("10.0.0.0/24"), addresses("10.7.0.1")),
    match(Bitwise(IP_SADDR, 7), 1),
    match(Bitwise(IP_SADDR, 0xFFFFFF00), 0x0A000000),
    match(concat(L4PROTO, IP_SADDR), COUNTED),
    match(concat(IIFNAME, IP_SADDR), Name("both")),
    match(L3, "ip"),
    match(L4PROTO, "gre"),
    match(L4PROTO, Range(0, 5)),
    unlike(L4PROTO, *PORTED, 1),
    match(Field("tcp dport"), 80, Range(8000, 8080), 8081),
    match(Field("udp sport"), Range(0, 1023)),
    unlike(FLAGS, "syn"),
    match(Field("tcp flags"), "syn"),
    match(CT_STATE, "new"),
    match(CT_STATE, "new", "untracked", "invalid"),
    unlike(CT_STATE, "new"),
    match(CT_STATUS, "dnat"),
    match(Bitwise(CT_STATUS, 16), 0),
    match(Bitwise(CT_STATUS, 48), 0),
    match(CT_DIRECTION, "original"),
    match(CT_MARK, 7),
    unlike(CT_MARK, 0),
    match(CT_MARK, Range(0x2000000, 0x2FFFFFF)),
    match(CT_MARK, 1, 2, Range(5, 9)),
    match(Bitwise(CT_MARK, 0xFF000000), 0x1000000),
    unlike(Bitwise(CT_MARK, 0xFF000000), 0x1000000),
    match(Bitwise(META_MARK, 0xF0), 0x10),
    unlike(Bitwise(META_MARK, 0x40000000), 0),
    match(Bitwise(META_MARK, 0xFF), 1, 2, Range(4, 7)),
    match(ZONE, 102),
    match(Field("ct reply ip daddr"), SOURCES),
    match(Field("fib daddr type"), "local"),
    match(Field("fib daddr oifname"), "wan0"),
    match(Numgen("inc", 16), 0),
    match(Numgen("inc", 16), 1, Range(3, 5)),
    match(Numgen("random", 16, 5), Range(5, 7)),
)
VALUES: tuple[Expression, ...] = (
    META_MARK,
    CT_MARK,
    Constant(Range(0, 0)),
    Constant(Range(0x3000001, 0x3000001)),
    Numgen("random", 512, 0x1000000),
    lookup(META_MARK, TOKENS),
    lookup(IP_SADDR, SLOTS),
    lookup(concat(META_MARK, IP_SADDR), PAIRS),
    lookup(Bitwise(META_MARK, 0xFF), TOKENS),
    Lookup(CT_MARK, (element((2,), 1), element((Range(5, 7),), 3)), ("mark",)),
    Bitwise(META_MARK, 0x3FFFFFFF),
    Bitwise(META_MARK, bits=0x40000000),
    Bitwise(CT_MARK, 0xFFFFFF0F, 0x10),
    Bitwise(META_MARK, xor=0xFF),
    Bitwise(META_MARK, 0xFF, xor=0x10),
    Bitwise(META_MARK, 0xFF, xor=0x8010),
)
UPDATES: tuple[tuple[Statement, ...], ...] = (
    (SetUpdate("add", SEEN, META_MARK, timeout=3723),),
    (SetUpdate("update", SEEN, Bitwise(META_MARK, 0xFFFF, 0x10000)),),
    (SetUpdate("add", SEEN, META_MARK, condition=CLAIM),),
    (SetUpdate("add", COUNTED, concat(L4PROTO, IP_SADDR), condition=CtCount(64, over=True)),),
    (SetUpdate("add", COUNTED, concat(L4PROTO, IP_SADDR), condition=CtCount(64)),),
    (TCP_ONLY, SetUpdate("add", ENDS, INSIDE, concat(IP_DADDR, TH_DPORT), CLAIM), DROP),
    (BOTH, SetUpdate("update", ENDS, INSIDE, concat(IP_DADDR, TH_DPORT), Limit(5, "second", 5))),
    (SetUpdate("delete", COUNTED, concat(L4PROTO, IP_SADDR)),),
    *(
        (SetUpdate("update", SLOTS, IP_SADDR, value, timeout=index),)
        for index, value in enumerate(VALUES)
        if not isinstance(value, Lookup)
    ),
    (SetUpdate("add", SLOTS, Bitwise(IP_SADDR, 0xFFFFFF00), META_MARK, Limit(1, "week", 1)),),
    (SetUpdate("add", PAIRS, concat(Bitwise(META_MARK, 0xFF), IP_SADDR), META_MARK, CtCount(9)),),
)
OTHERS: tuple[tuple[Statement, ...], ...] = (
    (UDP_ONLY, VerdictMap(TH_DPORT, (Element(key(Range(81, 90)), DROP), Element(key(80), jump(LOWER))))),
    (vmap(L4PROTO, ((17, RETURN), (TCP, goto(LOWER)))),),
    (VerdictMap(IP_SADDR, WAYS),),
    (vmap(Numgen("random", 4), ((0, ACCEPT), (Range(1, 3), jump(LOWER)))),),
    (vmap(Bitwise(CT_MARK, 0xFF), ((1, ACCEPT),)),),
    (Mangle(CT_EVENT, Constant(Range(5, 5))),),
    (Mangle(CT_EVENT, Constant(Range(1, 1))),),
    (Mangle(CT_EVENT, Constant(Range(0, 0))),),
    (Limit(50, "second", 50), Log("nfcompile homes ", 5), Use("counter", DROPPED), DROP),
    (Limit(50, "minute", 5, over=True), ACCEPT),
    (Reject("port-unreachable"),),
    (ADMIN_PROHIBITED,),
    (TCP_ONLY, match(IIFNAME, "lan0"), match(TH_DPORT, 80), match(TH_SPORT, Range(1024, 65535)), ACCEPT),
    (TCP_ONLY, Use("counter", DROPPED), match(TH_DPORT, 80), ACCEPT),
    (TCP_ONLY, match(Field("tcp dport"), 80), Use("ct helper", HELPER)),
    (TCP_ONLY, Use("ct timeout", POLICY)),
    (UDP_ONLY, Use("ct timeout", UDP_POLICY)),
    (UDP_ONLY, match(Bitwise(TH_DPORT, 0xFFF0), 0x50), RETURN),
)
TRANSLATIONS: tuple[tuple[Statement, ...], ...] = (
    (Nat("snat", Constant(addresses("203.0.113.1"))),),
    (Nat("snat", Constant(addresses("203.0.113.1-203.0.113.4")), flags=("persistent",)),),
    (BOTH, Nat("snat", Constant(addresses("203.0.113.1")), Constant(Range(1024, 2047)), flags=("random",))),
    (BOTH, Nat("snat", None, Constant(Range(1024, 2047)))),
    (BOTH, Nat("snat", Constant(addresses("203.0.113.1")), lookup(META_MARK, PORTS))),
    (BOTH, Nat("snat", Bitwise(IP_SADDR, 7, 0xCB007100), Constant(Range(1024, 2047)))),
    (BOTH, Nat("snat", Bitwise(IP_SADDR, 7, 0xCB007100), lookup(META_MARK, PORTS))),
    (match(L4PROTO, *PORTED, 1), Nat("snat", lookup(IP_SADDR, BLOCKS), prefix=True)),
    (match(L4PROTO, *PORTED), Nat("snat", lookup(Bitwise(IP_SADDR, 0xFFFFFFF8), BLOCKS), prefix=True)),
    (match(L4PROTO, *PORTED), Nat("snat", lookup(IP_SADDR, BLOCKS))),
    (Nat("snat", lookup(IP_SADDR, PREFIXES), prefix=True),),
    (Nat("snat", lookup(IP_SADDR, PLAIN)),),
    (Nat("snat", lookup(IP_SADDR, NOTHING), prefix=True),),
    (UDP_ONLY, Nat("snat", lookup(concat(IP_SADDR, TH_SPORT), ENDS))),
    (
        Nat(
            "snat",
            Lookup(
                IP_SADDR,
                (element(("10.0.0.1",), "203.0.113.1"), element(("10.0.0.2",), "203.0.113.2")),
                ("ipv4_addr",),
            ),
        ),
    ),
    (
        match(IP_SADDR, addresses("10.1.0.0/24")),
        Nat("snat", Constant(addresses("203.0.113.0/24")), None, True),
    ),
    (match(IP_SADDR, addresses("10.2.0.0/24")), Nat("masquerade", None)),
    (BOTH, match(IP_SADDR, addresses("10.3.0.0/24")), Nat("masquerade", None, Constant(Range(1024, 2047)))),
    (BOTH, match(IP_SADDR, addresses("10.4.0.0/24")), Nat("masquerade", None, Constant(Range(1024, 1024)))),
    (Nat("masquerade", None, flags=("persistent",)),),
)


def _rules(*statements: tuple[Statement, ...], origin: tuple[str, ...] = SITE) -> tuple[Rule, ...]:
    return tuple(Rule(one, origin) for one in statements)


def _matches() -> tuple[tuple[Statement, ...], ...]:
    both = tuple(
        one for one in MATCHES if isinstance(one, Match) and one.left in (IIFNAME, IP_SADDR, CT_MARK)
    )
    return (*((one, RETURN) for one in MATCHES), (*both, ACCEPT))


CHAINS = (
    Chain(LOWER, _rules((ACCEPT,)), SITE),
    Chain(FIRST, _rules(*_matches(), *UPDATES, *OTHERS), SITE),
    Chain(
        FORWARD,
        (Rule((jump(FIRST),), SITE, "a note"), *_rules(*((set_mark(value),) for value in VALUES))),
        (),
        Hook("filter", "forward", "filter - 5"),
    ),
    Chain(INPUT, _rules((set_mark(7, CT_MARK),)), (), Hook("filter", "input", "300")),
    Chain(SOURCE_NAT, _rules(*TRANSLATIONS), (), Hook("nat", "postrouting", "srcnat")),
    Chain(
        DESTINATION_NAT,
        _rules(
            (Mangle(ZONE, Lookup(IIFNAME, (element(("wan0",), 2), element(("lan0",), 1)), ("zone",))),),
            (BOTH, Nat("dnat", Constant(addresses("192.0.2.9")), Constant(Range(443, 443)))),
            (TCP_ONLY, Nat("dnat", None, Constant(Range(8080, 8080)))),
            (
                match(IP_DADDR, addresses("203.0.113.0/24")),
                Nat("dnat", Constant(addresses("10.1.0.0/24")), None, True),
            ),
        ),
        (),
        Hook("nat", "prerouting", "dstnat + 1"),
    ),
)
TABLE = Table("nfcompile", (*OBJECTS, *SETS, *CHAINS))

SITE6 = """
interfaces: {inside: [wan0, lan0], outside: [wan0]}
pools:
  tracked: {type: npt, priority: 1, global_map: {"fc00::/7": "2a00::/7", "2001:db8::1/128": "6::1/128"}}
  plain: {type: npt, priority: 2, stateless: on, global_map: {"4:0:0:8::/63": "5::/63"}}
"""
"""A site whose table of IPv6 has every form that there is of it."""
