"""Parts of random sites as their author would write them: addresses, ports, ACL rules, dnat and snat rules.

Small networks and few ports, so that parts of one site meet; and the ends of what there is: 0.0.0.0,
255.255.255.255, the first and last address of a network, /0 and /32, the ports 1 and 65535.
"""

from __future__ import annotations

from random import Random
from typing import Any

NETWORKS = {"lan0": "10.0.0.", "lan1": "10.1.0.", "lan0.102": "10.102.0."}
FAR = {"wan0": "198.18.0.", "wan1": "198.18.1."}
VLANS = {101: "lan1", 102: "lan0.102"}
PORTS = (53, 80, 443, 8001, 8002, 8010)

EVERYBODY = ("any", "0.0.0.0/0", "0.0.0.0-255.255.255.255")
WIDE_SOURCES = (
    *("10.0.0.0/8", "10.0.0.0/32", "0.0.0.1-10.0.0.40", "10.0.0.20-255.255.255.254"),
    *("0.0.0.0/1", "10.1.0.63"),
)
WIDE_DESTINATIONS = (
    *("0.0.0.1-198.18.0.20", "198.18.0.31-255.255.255.255", "128.0.0.0/1"),
    *("198.18.0.0/32", "198.18.0.0/15"),
)
GLOBAL_ENDS = ("203.0.0.4", "203.0.1.7", "200.0.0.9", "200.0.1.16/30")
PORT_RANGES = (
    *map(str, PORTS),
    *("8000-8005", "1-65535", "65535", "1", "1-443", "443-65535", "65534-65535"),
)
PORT_LISTS = ("53,443", "1,80,8000-65535")
SOURCE_PORTS = ("20000-40000", "1-20200", "20210,20217-65535", "1-65535", "65535", "1,65535")
MARKS = (1, 2, 0x12, "0x10/0xf0", "0x2/0xf", "0x80000000/0x80000000")
WITH_PORTS = ("tcp", "udp", ["tcp", "udp"])
MANY = ("net", "range", "range")
ALL_FORMS = ("host", "net", "range")


def one_in(dice: Random, many: int) -> bool:
    """Now and then: true in one of so many cases."""
    return dice.randrange(many) == 0


def network(dice: Random) -> str:
    return dice.choice(sorted(NETWORKS.values()))


def block(dice: Random, start: str, forms: tuple[str, ...] = ALL_FORMS) -> str:
    """Addresses of a network of 64 as the site writes them: a host, a net or a range."""
    form, low = dice.choice(forms), dice.randrange(64)
    if form == "host":
        return f"{start}{low}{dice.choice(('', '/32'))}"
    if form == "net":
        bits = dice.randint(1, 6)
        return f"{start}{low >> bits << bits}/{32 - bits}"
    return f"{start}{low}-{start}{dice.randint(low, 63)}"


def source(dice: Random) -> str:
    kind = dice.choice(("many", "many", "block", "wide", "everybody"))
    if kind == "wide":
        return dice.choice(WIDE_SOURCES)
    if kind == "everybody":
        return dice.choice(EVERYBODY)
    return block(dice, network(dice), MANY if kind == "many" else ALL_FORMS)


def destination(dice: Random) -> str:
    kind, start = dice.choice(("many", "block", "wide")), dice.choice(sorted(FAR.values()))
    if kind == "wide":
        return dice.choice(WIDE_DESTINATIONS)
    return block(dice, start, MANY if kind == "many" else ALL_FORMS)


def acl_rule(dice: Random, vid: int | None) -> str:
    """A rule; where the ACL is one VLAN's, most of its rules say so."""
    protocol = dice.choice(("ip", "ip", "ip", "tcp", "udp", "icmp", "gre", "253"))
    where = source(dice)
    if vid is not None and not one_in(dice, 4):
        where += f"~{vid}"
    words = [dice.choice(("allow", "allow", "permit", "deny")), protocol, "src", where]
    ported = protocol in ("tcp", "udp")
    if ported and one_in(dice, 2):
        words += ["sport", dice.choice(SOURCE_PORTS)]
    if one_in(dice, 3):
        words += ["dst", destination(dice)]
    if ported and one_in(dice, 2):
        words += ["dport", dice.choice((*PORT_RANGES, *PORT_LISTS * 3))]
    return " ".join(words)


def acl(dice: Random, vid: int | None) -> dict[str, str]:
    """Mostly an ACL ends with a rule that lets many in; what comes before it makes holes."""
    numbers = dice.sample(range(1, 99), dice.randrange(5))
    rules = {str(number): acl_rule(dice, vid) for number in numbers}
    if not rules or not one_in(dice, 4):
        tag = "" if vid is None else f"~{vid}"
        many = (dice.choice(EVERYBODY), dice.choice(WIDE_SOURCES), block(dice, network(dice), MANY))
        rules["99"] = f"allow ip {dice.choice(many)}{tag}"
    return rules


def global_map(dice: Random, number: int, vids: tuple[int, ...]) -> dict[str, str]:
    """Each pool has its own sixteen addresses of every network, so that no local address is mapped twice; in
    several VLANs it may be, since it is another host in each."""
    entries = {}
    mine = number % 4 * 16
    for index, start in enumerate(NETWORKS.values()):
        there = f"200.{index}.{number}."
        tags = [f"~{vid}" for vid in vids] if vids and one_in(dice, 2) else [""]
        form = dice.choice(("none", "hosts", "net"))
        for turn, tag in enumerate(tags):
            if form == "hosts":
                entries[f"{start}{mine + 1}{tag}"] = f"{there}{9 + 32 * turn}"
                entries[f"{start}{mine + 5}{tag}"] = f"{there}{2 + 32 * turn}"
            elif form == "net":
                entries[f"{start}{mine + 4}/30{tag}"] = f"{there}{16 + 32 * turn}/30"
                entries[f"{start}{mine}{tag}"] = f"{there}{32 * turn}"
    return entries or {f"10.0.0.{mine}": f"200.0.{number}.1"}


def match(dice: Random, interfaces: tuple[str, ...]) -> dict[str, Any]:
    """The qualifiers that dnat and snat rules share."""
    rule: dict[str, Any] = {}
    protocol = dice.choice(("all", "tcp", "tcp", "udp", "icmp"))
    if protocol != "all":
        rule["protocol"] = protocol
    if one_in(dice, 3):
        rule["src_cidr"] = source(dice).replace("any", "0.0.0.0/0")
    if one_in(dice, 3):
        rule["dst_cidr"] = dice.choice((destination(dice), "0.0.0.0/0"))
    if protocol in ("tcp", "udp"):
        if one_in(dice, 2):
            common = ("8001", "8002", "8000-8005")
            rule["dst_port"] = dice.choice((dice.choice(PORT_RANGES), dice.choice(common)))
        if one_in(dice, 3):
            rule["src_port"] = dice.choice(("1-20200", "20217-65535", "65535", "1-65535"))
    if one_in(dice, 3):
        rule["interface"] = dice.choice(interfaces)
    return rule if one_in(dice, 2) else listed(dice, rule)


def listed(dice: Random, rule: dict[str, Any]) -> dict[str, Any]:
    """The same rule with a list, or with a negation, in some of its qualifiers."""
    more = {
        "src_cidr": lambda: source(dice).replace("any", "10.0.0.0/8"),
        "dst_cidr": lambda: destination(dice).replace("any", "198.18.0.0/16"),
        "src_port": lambda: dice.choice(("5", "20000-30000")),
        "dst_port": lambda: dice.choice(PORT_RANGES),
        "interface": lambda: dice.choice(("lan0", "wan0", "wan1")),
    }
    for key in sorted(rule.keys() & more.keys()):
        if one_in(dice, 2):
            rule[key] = sorted({rule[key], more[key]()})
        if one_in(dice, 4):
            values = rule[key] if isinstance(rule[key], list) else [rule[key]]
            rule[key] = [f"!{value}" for value in values]
    if rule.get("protocol") in ("tcp", "udp") and one_in(dice, 2):
        rule["protocol"] = ["tcp", "udp"]
    elif rule.get("protocol") == "icmp" and one_in(dice, 2):
        rule["protocol"] = dice.choice(("!icmp", ["icmp", "gre"], "!tcp"))
    return rule


def dnat_rule(dice: Random) -> dict[str, Any]:
    """To a far host or segment, now and then to a subscriber, to a global address, or nowhere."""
    rule = match(dice, ("lan0", "lan1", "wan0", "wan1"))
    if one_in(dice, 7):
        return rule | {"exclude": True}
    if one_in(dice, 5):
        rule["dst_cidr"] = dice.choice(GLOBAL_ENDS)
    if not one_in(dice, 4):
        rule["mark"] = dice.choice(MARKS)
    if one_in(dice, 6):
        pair = dice.choice((("198.18.0.0/26", "198.18.1.64/26"), ("198.18.1.16/30", "198.18.0.60/30")))
        return rule | dict(zip(("dst_cidr", "dnat_prefix"), pair, strict=True))
    if rule.get("protocol") in WITH_PORTS and one_in(dice, 2):
        rule["dnat_port"] = dice.choice(("9001", "8002", "443", "65535", "1", "9001-9004"))
    if one_in(dice, 2) or not rule.keys() & {"mark", "dnat_port"}:
        there = ("198.18.0.200", "198.18.1.200", "198.18.0.208-198.18.0.215", "198.18.0.0")
        rule["dnat_ip"] = dice.choice((*there, *there, "10.0.0.5", "10.1.0.63", *GLOBAL_ENDS[:3]))
    return rule


def forwards(dice: Random) -> list[dict[str, Any]]:
    """A list of dnat rules of one form, as a gateway with servers has it; some of them twice."""
    keys = dice.choice(("sockets", "sockets", "addresses", "ports"))
    common: dict[str, Any] = {} if one_in(dice, 2) else {"interface": dice.choice(("wan0", "lan0", "!lan1"))}
    marked, ported = one_in(dice, 3), keys != "addresses" and one_in(dice, 2)
    rules = []
    for _ in range(dice.randint(5, 9)):
        rule = dict(common)
        if keys != "ports":
            rule["dst_cidr"] = dice.choice((*GLOBAL_ENDS, "198.18.0.7", "198.18.0.8"))
        if keys != "addresses":
            several = [["tcp", "udp"]] if keys == "sockets" else []
            rule["protocol"] = dice.choice(("tcp", "udp", *several))
            rule["dst_port"] = dice.choice(("8001", "8002", "443", "53"))
        if marked:
            rule["mark"] = dice.choice((1, 2))
        if ported:
            rule["dnat_port"] = dice.choice(("9001", "443", "1"))
        rules.append(rule | {"dnat_ip": dice.choice(("198.18.0.200", "198.18.1.200", "10.0.0.5"))})
    return rules


def egress(dice: Random) -> list[dict[str, Any]]:
    """A list of snat rules by source alone; some within others."""
    ends = ("1", "8-203.1.9.11", "0", "255")
    return [
        {"src_cidr": source(dice).replace("any", "10.0.0.0/8"), "snat_ip": f"203.1.9.{dice.choice(ends)}"}
        for _ in range(dice.randint(5, 8))
    ]


def snat_rule(dice: Random, number: int) -> dict[str, Any]:
    """From an address or a segment of their own, now and then from some of its ports; from the interface's
    address, one to one, or excluded."""
    rule = match(dice, ("wan0", "wan1", "lan1"))
    if not one_in(dice, 4):
        rule["mark"] = dice.choice(MARKS)
        if one_in(dice, 4):
            rule["mark"] = dice.choice(([1, 2], "!1", ["!1", "!2"]))
    start = f"203.1.{number}."
    kind = dice.choice(("address", "address", "address", "interface", "prefix", "exclude"))
    if kind == "exclude":
        return rule | {"exclude": True}
    if kind == "prefix":
        pair = dice.choice((("10.0.0.0/26", "64/26"), ("10.1.0.32/27", "0/27"), ("10.102.0.6/31", "254/31")))
        return rule | {"src_cidr": pair[0], "snat_prefix": start + pair[1]}
    rule["snat_ip"] = dice.choice((start + "1", start + "8-" + start + "11", start + "0", start + "255"))
    if kind == "interface":
        rule["snat_ip"] = "interface"
    if rule.get("protocol") in WITH_PORTS and one_in(dice, 2):
        rule["snat_port"] = dice.choice(("30000-31000", "65000-65535", "1-1023"))
    return rule
