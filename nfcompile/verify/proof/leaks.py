"""No private source leaves: what a pool accepts goes out with one of the pool's addresses, or not at all;
what an element leads elsewhere, and a pool accepts there, with one of any pool's or rule's.

Asked of the ruleset in every state that packets can have left it in: each look-up of an element that packets
write is walked both ways, with any data. So a full block, a limit that is reached and a lost race are among
the ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from nfcompile.model.ranges import EVERYWHERE, Range, union
from nfcompile.model.site import Pool, Site
from nfcompile.verify.box import Box
from nfcompile.verify.boxes import within
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS
from nfcompile.verify.field_values import FieldValues, Ranges, Split
from nfcompile.verify.proof.agreement import by_protocol, part_of
from nfcompile.verify.reference import Fate
from nfcompile.verify.reference_rules import accepts
from nfcompile.verify.reference_site import Gateway
from nfcompile.verify.walk import Program, Together
from nfcompile.verify.walk.packet import STATUS, Flight
from nfcompile.verify.walk.state import ANYHOW


class Leak(NamedTuple):
    """Packets that a pool accepts, and a way on which they leave with an address that it has not."""

    box: Box
    pool: str
    way: Flight


class Ways(NamedTuple):
    """Ways that packets can go out of pools, the leaks among them, and every way on which a packet passes."""

    out_of_pools: int
    leaks: tuple[Leak, ...]
    passed: tuple[Flight, ...]


def leaks(
    gate: Gateway, program: Program, boxes: Iterable[tuple[Box, Fate]], most: int | None = None
) -> Iterator[Ways]:
    """The ways of packets that a pool or a rule translates. Raises TooManyBoxes."""
    site = gate.site
    globals_ = {pool.name: _globals(pool) for pool in site.active_pools if pool.translates}
    anybodys = _anybodys(site)
    together = Together(program, ANYHOW, most)
    mine = [(box, fate) for box, fate in boxes if fate.pool in globals_ or _is_translated(box, fate)]
    for alike in by_protocol(mine):
        left = together.walk([(box.packet, box.route) for box, _ in alike])
        ways = list(dict.fromkeys(pause.flight for pause in left.passed))
        count, found = 0, []
        for way in ways:
            box, fate = alike[way.start]
            if fate.pool is None or fate.pool not in globals_ or fate.action == "drop":
                continue
            count += 1
            if not _leaks(way, globals_[fate.pool]):
                continue
            if not _is_led(box, fate, way) or (_leaks(way, anybodys) and _is_accepted(gate, way)):
                found.append(Leak(part_of(box, way), fate.pool, way))
        yield Ways(count, tuple(found), tuple(ways))


def _is_translated(box: Box, fate: Fate) -> bool:
    """Whether a rule translates packets."""
    packet = box.packet
    changed = (fate.sources, fate.destinations) != (packet.source, packet.destination)
    return changed and fate.action != "drop"


def _leaks(way: Flight, mine: Callable[[Range], bool]) -> bool:
    source = way.now.source
    return not (way.status & STATUS["snat"] and (source == EVERYWHERE or mine(source)))


def _is_led(box: Box, fate: Fate, way: Flight) -> bool:
    """Whether an element leads packets elsewhere than the site says: another rule may translate them then."""
    part, now = part_of(box, way), way.now
    ends = part.confined(fate.destinations), part.confined(fate.destination_ports)
    return (now.destination, now.destination_port) != ends


def _is_accepted(gate: Gateway, way: Flight) -> bool:
    """Whether a pool that translates accepts some of the packets where they are led."""
    waiting = [way]
    while waiting:
        part = waiting.pop()
        try:
            pools = gate.by_source.of(part.now.source)
            first = next((one.pool for one in pools if accepts(gate, one, part.now)), None)
        except Split as split:
            waiting += (part.narrowed(split.field, kept) for kept in split.values)
            continue
        if first is not None and first.translates:
            return True
    return False


def _anybodys(site: Site) -> Callable[[Range], bool]:
    """Whether a source is the address of any pool or rule."""
    of_pools = [one for pool in site.active_pools if pool.translates for one in pool.global_ranges]
    known = _lies_in(union([*of_pools, *(rule.snat_ip for rule in site.snat if rule.snat_ip is not None)]))
    if any(rule.snat_ip is None and not rule.exclude for rule in site.snat):
        return lambda source: source == INTERFACE_ADDRESS or known(source)
    return known


def _globals(pool: Pool) -> Callable[[Range], bool]:
    ranges = union(pool.global_ranges)
    first, last = ranges[0].first, ranges[-1].last
    # What a dynamic pool takes is walked as the hull of all its addresses.
    if pool.is_dynamic:
        return lambda source: first <= source.first and source.last <= last
    return _lies_in(ranges)


def _lies_in(ranges: Ranges) -> Callable[[Range], bool]:
    return lambda source: any(within(source, one) for one in ranges) or _pieces_within(source, ranges)


def _pieces_within(source: Range, ranges: Ranges) -> bool:
    return isinstance(source, FieldValues) and -1 not in source.divided(ranges)
