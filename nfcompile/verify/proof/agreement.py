"""Does the ruleset what the site says? Both are asked of every packet, box by box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.model.protocols import IN_BLOCK
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Qualifiers
from nfcompile.model.site import Site
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site
from nfcompile.verify.box import Box, everything, explored
from nfcompile.verify.boxes import names_of, within
from nfcompile.verify.chosen_values import Blocks, DrawnBlocks, DrawnNumber, Scrambled
from nfcompile.verify.field_values import FieldValues, Ranges
from nfcompile.verify.narrowing import narrowed_range
from nfcompile.verify.reference import Fate
from nfcompile.verify.reference_site import ANY_PORT
from nfcompile.verify.walk import NOTHING, Outcome, Program, State, Together, gate_open
from nfcompile.verify.walk.cuts import patterns
from nfcompile.verify.walk.packet import Flight
from nfcompile.verify.walk.ways import outcome

PROTOCOL_NUMBERS = 256


class Compared(NamedTuple):
    """What both say of the packets of a box; of a box that has several outcomes, one of them. `is_closed`: on
    a node of a pair whose gate is closed."""

    box: Box
    fate: Fate
    outcome: Outcome
    is_closed: bool = False

    @property
    def agree(self) -> bool:
        return agrees(self.outcome, self.fate)


def fates(compiled: Compiled, program: Program, is_closed: bool = False) -> Iterator[tuple[Box, Fate]]:
    """What the site says of every packet, box by box; its protocols are told apart as the ruleset does.

    `is_closed`: on a node of a pair whose gate is closed.
    """
    gate = reference_site.gateway(compiled.site, compiled.allocations, is_closed)
    named = {name for match in _matches(compiled.site) if match.interface for name in match.interface.values}
    interfaces = gate.inside | gate.outside | named
    every = everything(interfaces, _protocols(compiled, patterns(program, "meta l4proto")))
    return explored(every, lambda box: reference.fate(gate, box.packet, box.route_apart))


def compared(
    program: Program, boxes: Iterable[tuple[Box, Fate]], state: State = NOTHING, most: int | None = None
) -> Iterator[Compared]:
    """Every packet, in boxes of which both sides say one thing each. Raises TooManyBoxes."""
    together = Together(program, state, most)
    for alike in by_protocol(boxes):
        left = together.walk([(box.packet, box.route) for box, _ in alike])
        ends = (("accept", left.passed, True), ("drop", left.dropped, True), ("drop", left.early, False))
        for verdict, pauses, routed in ends:
            for pause in pauses:
                box, fate = alike[pause.flight.start]
                part = part_of(box, pause.flight, routed)
                yield Compared(part, _confined(part, fate), outcome(verdict, pause))


def opened(compiled: Compiled, is_closed: bool) -> State:
    """The state of a ruleset that has just been loaded, on a node of a pair with its gate open or closed."""
    sides = reference_site.sides(compiled.site)
    return NOTHING if is_closed or compiled.site.pair is None else gate_open(sides[0] | sides[1])


def by_protocol(boxes: Iterable[tuple[Box, Fate]]) -> list[list[tuple[Box, Fate]]]:
    """Boxes that a ruleset can be walked with together."""
    found: dict[tuple[int, bool], list[tuple[Box, Fate]]] = {}
    for box, fate in boxes:
        found.setdefault((box.protocol, box.opens), []).append((box, fate))
    return list(found.values())


def part_of(box: Box, flight: Flight, routed: bool = True) -> Box:
    """The packets of a box that have gone a way, and whether they have come as far as their routes."""
    came = flight.original
    towards, out = names_of(flight.first), box.out
    if routed and flight.now.destination == came.destination:
        towards = names_of(flight.towards)
    elif routed:
        out = names_of(flight.towards)
    assert came.chosen is not None
    return Box(
        box.protocol,
        box.opens,
        names_of(came.interface),
        _domain(came.source),
        _domain(came.source_port),
        _domain(came.destination),
        _domain(came.destination_port),
        towards,
        out,
        *came.chosen,
        names_of(flight.home),
    )


def _domain(value: Range) -> Ranges:
    assert isinstance(value, FieldValues)
    return value.domain


def _confined(box: Box, fate: Fate) -> Fate:
    """A fate of a larger box, for the packets of this one."""
    return fate._replace(
        sources=box.confined(fate.sources),
        source_ports=box.confined(fate.source_ports),
        destinations=box.confined(fate.destinations),
        destination_ports=box.confined(fate.destination_ports),
    )


def agrees(outcome: Outcome, fate: Fate) -> bool:
    """Whether a way through the ruleset ends as the site says. Where the site leaves the port to the kernel,
    the ruleset may say which it prefers."""
    if outcome.verdict == "drop" or fate.action == "drop":
        return outcome.verdict == fate.action
    left = outcome.packet
    source_ports = fate.source_ports if fate.source_ports != ANY_PORT else left.source_port
    if _computed(left.source_port) and _is_in(left.source_port, fate.source_ports):
        source_ports = left.source_port
    ends = (_any_of(left.source), left.source_port, left.destination, left.destination_port)
    return ends == (fate.sources, source_ports, fate.destinations, fate.destination_ports)


def _any_of(address: Range) -> Range:
    """An address that a ruleset has drawn and written into the packet, as if it had translated to it."""
    return Range(*address) if isinstance(address, DrawnNumber) else address


def _computed(port: Range) -> bool:
    """Whether the ruleset has made one port for each packet, where the site lets it have any of a block."""
    return isinstance(port, Scrambled | DrawnNumber | DrawnBlocks) or port.first == port.last


def _is_in(port: Range, block: Range) -> bool:
    """Whether a port is in the block of each subscriber."""
    if not isinstance(block, Blocks):
        return within(Range(*port), block) is True
    of_each = ((numbers, narrowed_range(port, block.field, (where,))) for where, numbers in block.rows)
    return all(within(Range(*mine), numbers) for numbers, mine in of_each)


def _protocols(compiled: Compiled, asked: set[Range]) -> Iterator[int]:
    """One of every group of protocols that neither side tells apart."""
    site = compiled.site
    named = {rule.protocol for acl in site.acls for rule in acl.rules}
    named |= {number for match in _matches(site) if match.protocol for number in match.protocol.values}
    named |= IN_BLOCK
    edges = {edge for one in asked for edge in (one.first, one.last + 1)}
    starts = {0, *edges, *named, *(one + 1 for one in named)}
    alike: dict[tuple[object, ...], int] = {}
    for start in sorted(starts):
        if 0 <= start < PROTOCOL_NUMBERS:
            held = tuple(one for one in asked if one.first <= start <= one.last)
            alike.setdefault((start if start in named else None, held), start)
    return iter(alike.values())


def _matches(site: Site) -> list[Qualifiers]:
    return [*(rule.match for rule in site.dnat), *(rule.match for rule in site.snat)]
