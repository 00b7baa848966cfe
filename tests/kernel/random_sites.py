"""Random sites of all pool types, and random packets through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from frames import ACK, ECHO, GRE, ICMP, SYN, TCP, UDP, Packet
from hypothesis import strategies as st
from lab import route

from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import Range
from nfcompile.pipeline import Compiled

PACKETS = 60

NETWORKS = {"lan0": "10.0.0.", "lan1": "10.1.0.", "lan0.102": "10.102.0."}
FAR = {"wan0": "198.18.0.", "wan1": "198.18.1."}
LOW_PORTS = (53, 80, 443)
PORTS = (*LOW_PORTS, 8001, 8002, 8010)

hosts = st.integers(0, 63)
networks = st.sampled_from(sorted(NETWORKS.values()))
fars = st.sampled_from(sorted(FAR.values()))


@st.composite
def blocks(
    draw: st.DrawFn, prefix: st.SearchStrategy[str], forms: tuple[str, ...] = ("host", "net", "range")
) -> str:
    """Addresses as the site writes them: a host, a net or a range."""
    form, start = draw(st.sampled_from(forms)), draw(prefix)
    low = draw(hosts)
    if form == "host":
        return f"{start}{low}"
    if form == "net":
        bits = draw(st.integers(1, 6))
        return f"{start}{low >> bits << bits}/{32 - bits}"
    return f"{start}{low}-{start}{draw(st.integers(low, 63))}"


sources, destinations = blocks(networks), blocks(fars)
ports = st.one_of(
    st.sampled_from(PORTS).map(str),
    st.just("8000-8005"),
    st.just("53,443"),
    st.sampled_from(("1-65535", "65535", "1-443", "443-65535")),
)


@st.composite
def acl_rules(draw: st.DrawFn, vlan: bool) -> str:
    protocol = draw(st.sampled_from(("ip", "ip", "tcp", "udp", "icmp", "gre", "253")))
    source = draw(st.one_of(sources, sources, st.sampled_from(("any", "0.0.0.0/0", "10.0.0.7/32"))))
    if vlan and draw(st.booleans()):
        source += "~102"
    words = [draw(st.sampled_from(("allow", "allow", "permit", "deny"))), protocol, "src", source]
    ported = protocol in ("tcp", "udp")
    if ported and draw(st.integers(0, 4)) == 0:
        words += ["sport", draw(st.sampled_from(("20000-40000", "1-20200", "20210,20217-65535")))]
    if draw(st.booleans()):
        words += ["dst", draw(destinations)]
    if ported and draw(st.integers(0, 2)) == 0:
        words += ["dport", draw(ports)]
    return " ".join(words)


@st.composite
def pools(draw: st.DrawFn, number: int, acls: list[str], vlan: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(("cgnat", "cgnat", "nat", "static", "fake")))
    pool: dict[str, Any] = {"type": kind, "priority": draw(st.integers(0, 50)) * 10 + number}
    pool["acl"] = draw(st.sampled_from(acls))
    if kind == "static" and draw(st.booleans()):
        pool["acl"] = "none"
    if draw(st.integers(0, 7)) == 0:
        pool["enable"] = False
    if kind in ("nat", "static"):
        pool["allow_external_connect"] = draw(st.booleans())
    pool["hairpin"] = kind != "fake" and draw(st.booleans())
    if kind in ("nat", "cgnat"):
        pool["allocation"] = draw(st.sampled_from(("deterministic", "deterministic", "dynamic")))
        pool["subscribers"] = [draw(blocks(st.just(one))) for one in draw(st.sets(networks, min_size=1))]
    if kind == "nat":
        pool["global_ip"] = [f"203.0.{number}.0/24"]
        if pool["allocation"] == "dynamic":
            # Who has which address is for the kernel to choose, so nobody can say who would be reached.
            pool["allow_external_connect"] = pool["hairpin"] = False
    if kind == "cgnat":
        first = f"203.0.{number}."
        pool["global_ip"] = draw(
            st.sampled_from(
                ([first + "0/27"], [first + "7"], [first + "3-" + first + "21", first + "64/29", first + "1"])
            )
        )
        if pool["allocation"] == "dynamic":
            pool["global_ip"], pool["port_range"] = [first + "0/29"], "1024-2047"
        else:
            pool["port_range"] = draw(
                st.sampled_from(("1024-65535", "1024-65535", "65024-65535", "1025-60000"))
            )
        if draw(st.integers(0, 3)) == 0:
            pool["randomize_ports"] = draw(st.booleans())
        sizes = st.sampled_from((128, 200, 256))
        pool["limits_peruser"] = {"portlimit_tcp": draw(sizes), "portlimit_udp": draw(sizes)}
        pool["filtering"] = draw(st.sampled_from(("address_and_port_dependent", "endpoint_independent")))
    if kind == "static":
        pool["global_map"] = draw(global_maps(number, vlan))
    return pool


@st.composite
def global_maps(draw: st.DrawFn, number: int, vlan: bool) -> dict[str, str]:
    """Each pool has its own sixteen addresses of every network, so that no local address is mapped twice."""
    entries = {}
    for index, start in enumerate(NETWORKS.values()):
        mine = number % 4 * 16
        vid = "~102" if vlan and start == NETWORKS["lan0.102"] and draw(st.booleans()) else ""
        there = f"200.{index}.{number}."
        form = draw(st.sampled_from(("none", "hosts", "net")))
        if form == "hosts":
            entries[f"{start}{mine + 1}{vid}"] = there + "9"
            entries[f"{start}{mine + 5}{vid}"] = there + "2"
        elif form == "net":
            entries[f"{start}{mine + 4}/30{vid}"] = there + "16/30"
            entries[f"{start}{mine}{vid}"] = there + "1"
    return entries or {f"10.0.0.{number % 4 * 16}": f"200.0.{number}.1"}


@st.composite
def matches(draw: st.DrawFn, interfaces: tuple[str, ...]) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    protocol = draw(st.sampled_from(("all", "tcp", "tcp", "udp", "icmp")))
    if protocol != "all":
        rule["protocol"] = protocol
    if draw(st.integers(0, 2)) == 0:
        rule["src_cidr"] = draw(sources)
    if draw(st.integers(0, 2)) == 0:
        rule["dst_cidr"] = draw(destinations)
    if protocol in ("tcp", "udp") and draw(st.integers(0, 1)):
        rule["dst_port"] = draw(st.sampled_from(("8001", "8002", "8000-8005")))
    if draw(st.integers(0, 5)) == 0:
        rule["interface"] = draw(st.sampled_from(interfaces))
    return rule


marks = st.sampled_from((1, 2, 0x12, "0x10/0xf0", "0x2/0xf"))


@st.composite
def dnat_rules(draw: st.DrawFn) -> dict[str, Any]:
    rule = draw(matches(("lan0", "lan1", "wan0")))
    if draw(st.integers(0, 3)):
        rule["mark"] = draw(marks)
    if rule.get("protocol") in ("tcp", "udp") and draw(st.booleans()):
        rule["dnat_port"] = draw(st.sampled_from(("9001", "8002", "443")))
    if draw(st.integers(0, 2)) == 0 or not rule.keys() & {"mark", "dnat_port"}:
        rule["dnat_ip"] = draw(st.sampled_from(("198.18.0.200", "198.18.1.200", "198.18.0.208-198.18.0.215")))
    return rule


@st.composite
def snat_rules(draw: st.DrawFn, number: int) -> dict[str, Any]:
    rule = draw(matches(("wan0", "wan1")))
    if draw(st.integers(0, 3)):
        rule["mark"] = draw(marks)
    start = f"203.1.{number}."
    rule["snat_ip"] = draw(st.sampled_from((start + "1", start + "8-" + start + "11")))
    if rule.get("protocol") in ("tcp", "udp") and draw(st.integers(0, 2)) == 0:
        rule["snat_port"] = "30000-31000"
    return rule


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    vlan = draw(st.booleans())
    acls = {
        f"a{index}": {
            str(number): draw(acl_rules(vlan))
            for number in draw(st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True))
        }
        for index in range(draw(st.integers(1, 3)))
    }
    site: dict[str, Any] = {
        "version": 1,
        "interfaces": {
            "inside": draw(st.sampled_from((["lan0"], ["lan0", "lan1"]))),
            "outside": draw(st.sampled_from((["wan0"], ["wan0", "wan1"]))),
        },
        "nat_defaults": {"permit_invalid_flow": draw(st.booleans()), "port_block_size": 64},
        "acls": acls,
        "pools": {f"p{n}": draw(pools(n, sorted(acls), vlan)) for n in range(draw(st.integers(0, 4)))},
        "dnat": {f"d{n}": draw(dnat_rules()) for n in range(draw(st.integers(0, 3)))},
        "snat": {f"s{n}": draw(snat_rules(n)) for n in range(draw(st.integers(0, 3)))},
    }
    if vlan:
        site["nat_defaults"]["vlan_mode"] = "vlan"
        site["interfaces"]["vlans"] = {"102": "lan0.102"}
    return site


class Edges(NamedTuple):
    """Where a site's ranges begin and end, and the neighbours outside: what a slip in a comparison moves."""

    near: list[int]
    far: list[int]
    ports: list[int]


def edges(compiled: Compiled) -> Edges:
    site = compiled.site
    rules = [rule for acl in site.acls for rule in acl.rules]
    matches = [rule.match for rule in (*site.dnat, *site.snat)]
    sources = [one.source for one in rules] + [one.src_cidr for one in matches if one.src_cidr]
    sources += [entry.local for pool in site.pools for entry in pool.global_map]
    sources += [one for pool in site.pools for one in pool.subscribers or ()]
    destinations = [one.destination for one in rules] + [one.dst_cidr for one in matches if one.dst_cidr]
    ports = [one for rule in rules for one in rule.destination_ports]
    ports += [one.dst_port for one in matches if one.dst_port]
    return Edges(
        ends(sources, [addresses(start + "0/24") for start in NETWORKS.values()]),
        ends(destinations, [addresses(start + "0/24") for start in FAR.values()]),
        ends(ports, [Range(1, 65535)]),
    )


def ends(ranges: Sequence[Range], where: Sequence[Range]) -> list[int]:
    found = {end for one in ranges for end in (one.first - 1, one.first, one.last, one.last + 1)}
    return sorted(end for end in found if any(one.first <= end <= one.last for one in where))


def packets(dice: Random, edges: Edges) -> Iterator[tuple[str, Packet]]:
    """Mostly from inside to outside; some to other insiders, to global addresses, also from outside."""
    for index in range(PACKETS):
        protocol = dice.choice((TCP, TCP, UDP, UDP, ICMP, GRE, 253))
        way = dice.choice(("out", "out", "out", "out", "across", "hairpin", "in", "in"))
        source = far(dice, edges) if way == "in" else near(dice, edges)
        choose = {"out": far, "across": near}.get(way)
        destination = choose(dice, edges) if choose else globally(dice)
        if way == "in" and dice.randrange(3) == 0:
            destination = near(dice, edges)
        wire = route(source)
        if way != "in" and dice.randrange(8) == 0:
            wire = dice.choice(sorted(NETWORKS))
        sport = 20_000 + 7 * index if protocol in (TCP, UDP, ICMP) else 0
        # Towards global addresses only ports that no block has: nobody can have a mapping there.
        known = (*PORTS, *edges.ports) if way in ("out", "across") else LOW_PORTS
        dport = dice.choice(known) if protocol in (TCP, UDP) else 0
        flags = {TCP: dice.choice((SYN, SYN, SYN, ACK)), ICMP: ECHO}.get(protocol, 0)
        yield wire, Packet(protocol, source, sport, destination, dport, flags)


def near(dice: Random, edges: Edges) -> int:
    if edges.near and dice.randrange(2):
        return dice.choice(edges.near)
    return address(f"{dice.choice(sorted(NETWORKS.values()))}{dice.randrange(64)}")


def far(dice: Random, edges: Edges) -> int:
    if edges.far and dice.randrange(2):
        return dice.choice(edges.far)
    return address(f"{dice.choice(sorted(FAR.values()))}{dice.randrange(64)}")


def globally(dice: Random) -> int:
    """An address that some pool may have."""
    if dice.randrange(2):
        return address(f"203.0.{dice.randrange(4)}.{dice.choice((1, 4, 7, 16, 65, 200))}")
    return address(f"200.{dice.randrange(3)}.{dice.randrange(4)}.{dice.choice((1, 2, 9, 16, 19))}")
