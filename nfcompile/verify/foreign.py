"""A site against the foreign configuration that it was imported from, packet by packet, in boxes.

Both sides are asked of every packet: the foreign form as it is written, and the compiled ruleset. What is
announced to differ is not counted as a difference: docs/migrate.md, "What is never the same".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.importers.account import Origin
from nfcompile.importers.form import PROTOCOLS, ForeignRule, FoundPool
from nfcompile.importers.importing import Imported
from nfcompile.importers.inbound import bindings
from nfcompile.model.protocols import ICMP, TCP, UDP
from nfcompile.model.ranges import EVERYWHERE, subtract
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site
from nfcompile.verify.box import NOTHING, PORTS, Box, explored
from nfcompile.verify.boxes import Names, Packet, RangeTable, one_of, within
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS
from nfcompile.verify.foreign_walk import ForeignFate, Unclear, Walk
from nfcompile.verify.walk import LOCAL, Outcome, read, walk

MOST_BOXES = 100_000
OTHER_PROTOCOLS = (47, 50)
"""GRE and ESP stand for protocols without ports that no rule names."""
SECTIONS = (("dnat",), ("snat",), ("pools",))
AGREE, ANNOUNCED, UNCLEAR, DIFFER = "agree", "announced", "unclear", "differ"


class Difference(NamedTuple):
    """Packets of which the site says something else.

    `line` decides about them in the original, `entries` are the spots of the site that do.
    """

    box: Box
    line: Origin | None
    entries: tuple[Path, ...]
    fate: ForeignFate
    outcome: Outcome


class Verified(NamedTuple):
    """Boxes by what came of the comparison, rows of pools, and the differences."""

    boxes: dict[str, int]
    rows: int
    different: tuple[Difference, ...]
    wrong_rows: tuple[tuple[str, int], ...]
    complete: bool

    @property
    def holds(self) -> bool:
        return not self.different and not self.wrong_rows


def verify(found: Imported, compiled: Compiled, most_boxes: int = MOST_BOXES) -> Verified:
    """Compare a site with what it was imported from. Raises UnknownStatement for what cannot be walked."""
    boxes = dict.fromkeys((AGREE, ANNOUNCED, UNCLEAR, DIFFER), 0)
    different: list[Difference] = []
    complete = True
    for number, (word, difference) in enumerate(_compared(found, compiled)):
        boxes[word] += 1
        if difference is not None:
            different.append(difference)
        if number + 1 == most_boxes:
            complete = False
            break
    wrong = tuple(_wrong_rows(found, compiled))
    rows = sum(run.size for pool in found.pools for run in pool.subscribers)
    return Verified(boxes, rows, tuple(different), wrong, complete)


def _compared(found: Imported, compiled: Compiled) -> Iterator[tuple[str, Difference | None]]:
    foreign, program = Walk(found.program, found.gateway.addresses), read(compiled.table)
    gate = reference_site.gateway(compiled.site, compiled.allocations)
    left_out = found.account.left_out

    def ask(box: Box) -> tuple[str, Difference | None]:
        packet = box.packet
        outcomes = walk(program, packet, box.route)
        try:
            fate = foreign.fate(packet, box.route)
        except Unclear:
            return UNCLEAR, None
        if any((line.file, line.line) in left_out for line in fate.lines):
            return UNCLEAR, None
        pool = _stated_pool(found, gate, packet, fate, box.route(fate.destination))
        said = [_said(gate, packet, fate, outcome, pool) for outcome in outcomes]
        for outcome, (word, line) in zip(outcomes, said, strict=True):
            if word == DIFFER:
                entries = tuple(step.origin for step in outcome.steps if step.origin[:1] in SECTIONS)
                return DIFFER, Difference(box, line, entries, fate, outcome)
        return (ANNOUNCED if (ANNOUNCED, None) in said else AGREE), None

    interfaces = frozenset(found.gateway.sides.all)
    for _, answer in explored(_everything(interfaces, _named_protocols(found.rules)), ask):
        yield answer


def _named_protocols(rules: Iterable[ForeignRule]) -> Iterator[int]:
    """The protocols that rules match alone, or all but them."""
    for rule in rules:
        for some in (rule.match.protocol, subtract(PROTOCOLS, rule.match.protocol)):
            yield from (one.first for one in some if one.size == 1)


def _everything(interfaces: frozenset[str], named: Iterable[int]) -> Iterator[Box]:
    """All first packets between the interfaces of the site; TCP begins with SYN."""
    routes = interfaces | {LOCAL}
    for protocol in dict.fromkeys((TCP, UDP, ICMP, *OTHER_PROTOCOLS, *named)):
        ports = PORTS if protocol in (TCP, UDP) else NOTHING
        ids = PORTS if protocol == ICMP else ports
        yield Box(protocol, True, interfaces, (EVERYWHERE,), (ids,), (EVERYWHERE,), (ports,), routes, routes)


def _said(
    gate: reference_site.Gateway, packet: Packet, fate: ForeignFate, outcome: Outcome, pool: FoundPool | None
) -> tuple[str, Origin | None]:
    """Whether one way through the ruleset ends where the original does; if not, the line that differs.

    Of a pool that the input names the rows are compared, not each packet's block.
    """
    if outcome.verdict == "drop":
        return (ANNOUNCED, None) if _guarded(gate, packet, fate) else (DIFFER, fate.snat or fate.dnat)
    left = outcome.packet
    if (left.destination, left.destination_port) != (fate.destination, fate.destination_port):
        return DIFFER, fate.dnat
    if pool is not None:
        mine = any(within(left.source, one) is not False for one in pool.addresses)
        return (AGREE, None) if mine else (DIFFER, pool.origins[0])
    wanted = INTERFACE_ADDRESS if fate.interface else fate.source
    from_inside = reference_site.is_inside(gate, packet.interface, packet.source)
    if not from_inside or one_of((LOCAL,), outcome.out):
        return (AGREE if left.source == wanted else ANNOUNCED), None
    if left.source != wanted:
        return DIFFER, fate.snat
    if packet.protocol == ICMP or fate.source_port is None or left.source_port == fate.source_port:
        return AGREE, None
    return DIFFER, fate.snat


def _stated_pool(
    found: Imported, gate: reference_site.Gateway, packet: Packet, fate: ForeignFate, out: str | Names
) -> FoundPool | None:
    """The pool by which the input translates a packet from inside to outside."""
    if fate.snat is not None or not found.stated:
        return None
    if not one_of(gate.inside, packet.interface) or not one_of(gate.outside, out):
        return None
    for pool in found.stated:
        named = pool.outgoing.but or one_of(pool.outgoing.names, out)
        translated = any(one.first <= packet.protocol <= one.last for one in pool.protocols)
        if named and translated and RangeTable.of(pool.subscribers).holds(packet.source):
            return pool
    return None


def _guarded(gate: reference_site.Gateway, packet: Packet, fate: ForeignFate) -> bool:
    """Whether a gateway drops such packets by itself: to a global address that no mapping leads on from, also
    where a rule has led there, to a subscriber's own address, with a global address as their source."""
    ends = packet.source, packet.destination, fate.destination
    return any(reference.is_own(gate, end) for end in ends) or gate.sources.closed.holds(packet.destination)


def _wrong_rows(found: Imported, compiled: Compiled) -> Iterator[tuple[str, int]]:
    """Subscribers whose block in the compiled site is not the one of the imported pool."""
    layouts = {one.pool.name: one.layout() for one in compiled.allocations}
    for pool in found.pools:
        layout = layouts.get(pool.name)
        for subscriber, block in bindings(pool):
            if layout is None or layout.binding(subscriber) != block:
                yield pool.name, subscriber
