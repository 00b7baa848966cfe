"""Random packets through a site, aimed at where its ranges begin and end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, intersect, subtract
from nfcompile.model.rules import Qualifier
from nfcompile.pipeline import Compiled
from support.frames import ACK, ECHO, GRE, ICMP, SYN, TCP, UDP, Packet
from support.random_parts import FAR, NETWORKS, PORTS
from support.wires import route

PACKETS = 60
LOW_PORTS = (0, 53, 80, 443)
ENDS_OF_PORTS = (0, 1, 1023, 1024, PORT_LAST - 1, PORT_LAST)
FAR_ENDS = tuple(map(address, ("1.0.0.0", "9.255.255.255", "11.0.0.0", "198.18.0.255", "223.255.255.255")))


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
    field meet none. `blocks` are addresses and ports that lead to subscribers whatever came before.
    """

    near: list[int]
    far: list[int]
    ports: list[int]
    aims: list[Aim]
    globals: list[Range]
    blocks: list[tuple[Range, Range]]


def edges(compiled: Compiled) -> Edges:
    aims = list(rules(compiled))
    return Edges(
        ends((one.sources for one in aims), [addresses(start + "0/24") for start in NETWORKS.values()]),
        ends((one.destinations for one in aims), [addresses(start + "0/24") for start in FAR.values()]),
        ends((one.destination_ports for one in aims), [Range(0, PORT_LAST)]),
        aims,
        [one for pool in compiled.site.active_pools for one in pool.global_ip]
        + [entry.globals for pool in compiled.site.active_pools for entry in pool.global_map],
        [
            (one, pool.port_range)
            for pool in compiled.site.active_pools
            if pool.leads_inbound and not pool.keeps_mapping_entries
            for one in pool.global_ip
        ],
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
        numbers = (-1,) if protocol is None or protocol.negated else protocol.values
        sides = (source, EVERYWHERE), (left, every), (destination, EVERYWHERE), (right, every)
        for number, *where in itertools.product(numbers, *(asked(*side) for side in sides)):
            yield Aim(wires(), number, *where)


def asked(qualifier: Qualifier[Range] | None, every: Range) -> Sequence[Range]:
    """The ranges that a qualifier matches."""
    if qualifier is None:
        return (every,)
    return subtract([every], qualifier.values) if qualifier.negated else qualifier.values


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
    if way == "in" and edges.blocks:
        where, ports = dice.choice(edges.blocks)
        port = dice.choice(
            (ports.first - 1, ports.first, dice.randint(*ports), dice.randint(*ports), ports.last)
        )
        return (), dice.choice((TCP, UDP)), source, 1024, dice.randint(*where), port
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
