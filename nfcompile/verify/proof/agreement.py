"""Does the ruleset what the site says? Both are asked of every packet, box by box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.model.protocols import IN_BLOCK
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Qualifiers
from nfcompile.model.site import Site
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference
from nfcompile.verify.boxes import Scrambled, within
from nfcompile.verify.proof.box import Box, everything, explored
from nfcompile.verify.reference import ANY_PORT, Fate
from nfcompile.verify.walk import NOTHING, Outcome, gate_open, read, walk
from nfcompile.verify.walk.cuts import cuts

PROTOCOL_NUMBERS = 256


class Compared(NamedTuple):
    """What both say of the packets of a box."""

    box: Box
    fate: Fate
    outcomes: tuple[Outcome, ...]

    @property
    def agree(self) -> bool:
        return all(agrees(outcome, self.fate) for outcome in self.outcomes)


def compared(compiled: Compiled) -> Iterator[Compared]:
    """Every packet, in boxes of which both sides say one thing each; on a node of a pair once with the gate
    open, and once with the gate closed."""
    yield from _compared(compiled, False)
    if compiled.site.pair is not None:
        yield from _compared(compiled, True)


def _compared(compiled: Compiled, is_closed: bool) -> Iterator[Compared]:
    program = read(compiled.table)
    gate = reference.gateway(compiled.site, compiled.allocations, is_closed)
    state = NOTHING if is_closed else gate_open(gate.inside | gate.outside)

    def ask(box: Box) -> tuple[Fate, tuple[Outcome, ...]]:
        packet = box.packet
        return reference.fate(gate, packet, box.route), walk(program, packet, box.route, state)

    named = {name for match in _matches(compiled.site) if match.interface for name in match.interface.values}
    interfaces = gate.inside | gate.outside | named
    points = cuts(program, "meta l4proto")
    for box, (fate, outcomes) in explored(everything(interfaces, _protocols(compiled, points)), ask):
        yield Compared(box, fate, outcomes)


def agrees(outcome: Outcome, fate: Fate) -> bool:
    """Whether a way through the ruleset ends as the site says. Where the site leaves the port to the kernel,
    the ruleset may say which it prefers."""
    if outcome.verdict == "drop" or fate.action == "drop":
        return outcome.verdict == fate.action
    left = outcome.packet
    source_ports = fate.source_ports if fate.source_ports != ANY_PORT else left.source_port
    if _computed(left.source_port) and within(left.source_port, fate.source_ports):
        source_ports = left.source_port
    ends = (left.source, left.source_port, left.destination, left.destination_port)
    return ends == (fate.sources, source_ports, fate.destinations, fate.destination_ports)


def _computed(port: Range) -> bool:
    """Whether the ruleset has made one port for each packet, where the site lets it have any of a block."""
    return isinstance(port, Scrambled) or port.first == port.last


def _protocols(compiled: Compiled, points: list[int]) -> Iterator[int]:
    """One of every group of protocols that neither side tells apart."""
    site = compiled.site
    named = {rule.protocol for acl in site.acls for rule in acl.rules}
    named |= {number for match in _matches(site) if match.protocol for number in match.protocol.values}
    named |= IN_BLOCK
    starts = {0, *points, *named, *(one + 1 for one in named)}
    return iter(sorted(start for start in starts if 0 <= start < PROTOCOL_NUMBERS))


def _matches(site: Site) -> list[Qualifiers]:
    return [*(rule.match for rule in site.dnat), *(rule.match for rule in site.snat)]
