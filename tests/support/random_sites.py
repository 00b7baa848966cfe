"""Random sites of all pool types, and random packets through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import PORT_LAST, Range, intersect
from nfcompile.pipeline import Compiled
from support.frames import ACK, ECHO, GRE, ICMP, SYN, TCP, UDP, Packet
from support.lab import route
from support.random_parts import (
    FAR,
    NETWORKS,
    PORTS,
    VLANS,
    acls,
    blocks,
    dnat_rules,
    global_maps,
    networks,
    one_in,
    snat_rules,
)

PACKETS = 60
LOW_PORTS = (0, 53, 80, 443)
ENDS_OF_PORTS = (0, 1, 1023, 1024, PORT_LAST - 1, PORT_LAST)
FAR_ENDS = tuple(map(address, ("1.0.0.0", "9.255.255.255", "11.0.0.0", "198.18.0.255", "223.255.255.255")))
EVERYWHERE = Range(0, 0xFFFFFFFF)


@st.composite
def pools(draw: st.DrawFn, number: int, names: list[str], vids: tuple[int, ...]) -> dict[str, Any]:
    kind = draw(st.sampled_from(("cgnat", "cgnat", "cgnat", "nat", "nat", "static", "fake")))
    pool: dict[str, Any] = {"type": kind, "priority": draw(st.integers(0, 50)) * 10 + number}
    pool["acl"] = draw(st.sampled_from(names))
    if kind == "static" and draw(st.booleans()):
        pool["acl"] = "none"
    if draw(one_in(10)):
        pool["enable"] = False
    if kind in ("nat", "static"):
        pool["allow_external_connect"] = draw(st.booleans())
    pool["hairpin"] = kind != "fake" and draw(st.booleans())
    if kind in ("nat", "cgnat"):
        pool["allocation"] = draw(st.sampled_from(("deterministic", "deterministic", "dynamic")))
        pool["subscribers"] = draw(subscribers())
    if kind == "nat":
        pool["global_ip"] = [f"203.0.{number}.0/24"]
        if pool["allocation"] == "dynamic":
            # Who has which address is for the kernel to choose, so nobody can say who would be reached.
            pool["allow_external_connect"] = pool["hairpin"] = False
    if kind == "cgnat":
        pool |= draw(cgnat(number, pool["allocation"]))
    if kind == "static":
        pool["global_map"] = draw(global_maps(number, vids))
    return pool


@st.composite
def subscribers(draw: st.DrawFn) -> list[str]:
    """Runs that may split a network, in any order; now and then neighbours of odd sizes."""
    if draw(one_in(3)):
        start = draw(networks)
        return [f"{start}40-{start}63", f"{start}0-{start}6", f"{start}7", f"{start}9-{start}38"]
    starts = draw(st.lists(networks, min_size=1, max_size=3, unique=True))
    return [draw(st.one_of(st.just(f"{one}0/26"), blocks(st.just(one)))) for one in starts]


@st.composite
def cgnat(draw: st.DrawFn, number: int, allocation: str) -> dict[str, Any]:
    """What a cgnat pool has to give, and how."""
    first, pool = f"203.0.{number}.", dict[str, Any]()
    if allocation == "dynamic":
        pool["global_ip"] = draw(st.sampled_from(([first + "0/29"], [first + "0/30", first + "7"])))
        pool["port_range"] = draw(st.sampled_from(("1024-2047", "64512-65535")))
    else:
        several = [first + "3-" + first + "21", first + "64/29", first + "1"]
        pool["global_ip"] = draw(
            st.sampled_from(([first + "0/27"], [first + "7"], several, [first + "255", first + "0"]))
        )
        ranges = ("1024-65535", "1024-65535", "65024-65535", "1025-60000")
        pool["port_range"] = draw(st.sampled_from(ranges))
    if draw(one_in(4)):
        pool["randomize_ports"] = draw(st.booleans()) if allocation == "deterministic" else True
    sizes = st.sampled_from((64, 128, 200, 256))
    pool["limits_peruser"] = {"portlimit_tcp": draw(sizes), "portlimit_udp": draw(sizes)}
    if draw(one_in(3)):
        pool["limits_peruser"]["portlimit_icmp"] = 64
    pool["filtering"] = draw(st.sampled_from(("address_and_port_dependent", "endpoint_independent")))
    return pool


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    vids = draw(st.sampled_from(((), (101, 102), (102,), (101, 102))))
    rules: dict[str, Any] = {}
    for index in range(draw(st.sampled_from((3, 2, 1)))):
        rules[f"a{index}"] = draw(acls(draw(st.sampled_from((*vids, None)))))
    count = draw(st.sampled_from((2, 1, 3, 2, 3, 4, 3, 0)))
    inside = ["lan0"] if 101 in vids else draw(st.sampled_from((["lan0", "lan1"], ["lan0"])))
    site: dict[str, Any] = {
        "version": 1,
        "interfaces": {"inside": inside, "outside": ["wan0"] if draw(one_in(4)) else ["wan0", "wan1"]},
        "nat_defaults": {"permit_invalid_flow": draw(st.booleans()), "port_block_size": 64},
        "acls": rules,
        "pools": {f"p{n}": draw(pools(n, sorted(rules), vids)) for n in range(count)},
        "dnat": {f"d{n}": draw(dnat_rules()) for n in range(draw(st.sampled_from((0, 1, 2, 3))))},
        "snat": {f"s{n}": draw(snat_rules(n)) for n in range(draw(st.sampled_from((0, 0, 1, 2, 3))))},
    }
    if draw(one_in(6)):
        site["nat_defaults"]["sessions_per_translation"] = 2
    if vids:
        site["nat_defaults"]["vlan_mode"] = "vlan"
        site["interfaces"]["vlans"] = {str(vid): VLANS[vid] for vid in vids}
    return site


class Aim(NamedTuple):
    """What some rule of the site asks for, and where such packets come in."""

    wires: tuple[str, ...]
    protocol: int
    sources: Range
    source_ports: Range
    destinations: Range
    destination_ports: Range


class Edges(NamedTuple):
    """Where a site's ranges begin and end, and the neighbours outside: what a slip in a comparison moves.

    `aims` are the rules themselves, `globals` the addresses of pools: most packets that are drawn field by
    field meet none.
    """

    near: list[int]
    far: list[int]
    ports: list[int]
    aims: list[Aim]
    globals: list[Range]


def edges(compiled: Compiled) -> Edges:
    aims = list(rules(compiled))
    return Edges(
        ends((one.sources for one in aims), [addresses(start + "0/24") for start in NETWORKS.values()]),
        ends((one.destinations for one in aims), [addresses(start + "0/24") for start in FAR.values()]),
        ends((one.destination_ports for one in aims), [Range(0, PORT_LAST)]),
        aims,
        [one for pool in compiled.site.active_pools for one in pool.global_ip]
        + [entry.globals for pool in compiled.site.active_pools for entry in pool.global_map],
    )


def rules(compiled: Compiled) -> Iterator[Aim]:
    """What the rules of pools, and of dnat and snat, ask for; a pool's once for each run of subscribers."""
    every = Range(0, PORT_LAST)
    site = compiled.site

    def wires(vid: int | None = None) -> tuple[str, ...]:
        return site.interfaces.inside if vid is None else (site.interfaces.vlan(vid),)

    for pool in site.active_pools:
        for rule in pool.acl.rules if pool.acl else ():
            for source in intersect([rule.source], pool.subscribers or [EVERYWHERE]):
                for left in rule.source_ports or (every,):
                    for right in rule.destination_ports or (every,):
                        yield Aim(wires(rule.vid), rule.protocol, source, left, rule.destination, right)
        for entry in pool.global_map:
            yield Aim(wires(entry.vid), -1, entry.local, every, EVERYWHERE, every)
    for one in (*site.dnat, *site.snat):
        protocol, source, left, destination, right, _ = one.match
        where = source or EVERYWHERE, left or every, destination or EVERYWHERE, right or every
        yield Aim(wires(), protocol, *where)


def ends(ranges: Iterator[Range], where: Sequence[Range]) -> list[int]:
    found = {end for one in ranges for end in (one.first - 1, one.first, one.last, one.last + 1)}
    return sorted(end for end in found if any(one.first <= end <= one.last for one in where))


def packets(dice: Random, edges: Edges) -> Iterator[tuple[str, Packet]]:
    """Mostly from inside to outside; some to other insiders, to global addresses, also from outside.

    No two packets that one connection tracking entry could serve: each socket sends once, and no packet looks
    like the answer to another.
    """
    sockets: set[tuple[int, int, int]] = set()
    pairs: set[tuple[int, int, int]] = set()
    for index in range(PACKETS):
        way = dice.choice(("aimed",) * 7 + ("out", "across", "hairpin", "in"))
        drawn = aimed(dice, edges) if way == "aimed" and edges.aims else stray(dice, edges, way)
        wires, protocol, source, sport, destination, dport = drawn
        ported = protocol in (TCP, UDP)
        if dice.randrange(2) or sport not in (*ENDS_OF_PORTS, *edges.ports):
            sport = 20_000 + 7 * index
        sport = sport if ported or protocol == ICMP else 0
        dport = dport if ported else 0
        if ported or protocol == ICMP:
            if (protocol, source, sport) in sockets or (protocol, dport, sport) in pairs:
                continue
            sockets.add((protocol, source, sport))
            pairs.add((protocol, sport, dport))
        wire = route(source)
        if wires and wire not in wires:
            wire = dice.choice(wires)
        if way != "in" and dice.randrange(8) == 0:
            wire = dice.choice(sorted(NETWORKS))
        flags = {TCP: dice.choice((SYN, SYN, SYN, ACK)), ICMP: ECHO}.get(protocol, 0)
        yield wire, Packet(protocol, source, sport, destination, dport, flags)


Drawn = tuple[tuple[str, ...], int, int, int, int, int]


def stray(dice: Random, edges: Edges, way: str) -> Drawn:
    """Each field by itself."""
    source = far(dice, edges) if way == "in" else near(dice, edges)
    choose = {"out": far, "across": near, "aimed": far}.get(way)
    destination = choose(dice, edges) if choose else globally(dice, edges)
    if way == "in" and dice.randrange(6) == 0:
        destination = near(dice, edges)
    # Towards global addresses only ports that no block has: nobody can have a mapping there.
    known = (*PORTS, *edges.ports) if choose else LOW_PORTS
    protocol = dice.choice((TCP, TCP, UDP, UDP, ICMP, GRE, 253))
    return (), protocol, source, dice.choice(ENDS_OF_PORTS), destination, dice.choice(known)


def aimed(dice: Random, edges: Edges) -> Drawn:
    """What a rule asks for, now and then but for one field."""
    aim = dice.choice(edges.aims)
    protocol = aim.protocol
    if protocol == -1 or dice.randrange(8) == 0:
        protocol = dice.choice((TCP, TCP, UDP, UDP, ICMP, GRE, 253))
    source = within(dice, intersect([aim.sources], NEAR)) or near(dice, edges)
    destination = within(dice, intersect([aim.destinations], OUTSIDE))
    if destination is None or dice.randrange(6) == 0:
        destination = far(dice, edges)
    dport = dice.choice(
        (dice.choice((0, *PORTS, *edges.ports)), *aim.destination_ports, *aim.destination_ports)
    )
    sport = dice.choice((*ENDS_OF_PORTS, *aim.source_ports))
    return aim.wires, protocol, source, sport, destination, dport


NEAR = [addresses(start + "0/26") for start in NETWORKS.values()]
OUTSIDE = [addresses(start + "0/26") for start in FAR.values()]


def within(dice: Random, parts: Sequence[Range]) -> int | None:
    """An end of one of the parts, or something between."""
    if not parts:
        return None
    part = dice.choice(parts)
    return dice.choice((part.first, part.last, dice.randint(*part)))


def near(dice: Random, edges: Edges) -> int:
    if edges.near and dice.randrange(2):
        return dice.choice(edges.near)
    return address(f"{dice.choice(sorted(NETWORKS.values()))}{dice.randrange(64)}")


def far(dice: Random, edges: Edges) -> int:
    if edges.far and dice.randrange(2):
        return dice.choice(edges.far)
    if dice.randrange(4) == 0:
        return dice.choice(FAR_ENDS)
    return address(f"{dice.choice(sorted(FAR.values()))}{dice.randrange(64)}")


def globally(dice: Random, edges: Edges) -> int:
    """An address that some pool has, or one beside it; now and then one that another site's pool may have."""
    if edges.globals and dice.randrange(8):
        return (within(dice, edges.globals) or 0) + dice.choice((0, 0, 0, 0, -1, 1))
    return address(f"203.0.{dice.randrange(4)}.{dice.choice((0, 1, 4, 7, 16, 65, 200, 255))}")
