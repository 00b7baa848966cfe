"""What a foreign configuration does with a packet: its chains walked as they are, first match first.

A packet may be a box of them, as in `prove`: then every answer holds for all packets of the box, or Split
says where they differ. Rules of one subscriber each that follow each other are looked up as a table, so a
family of ten thousand costs as many boxes as it has blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from nfcompile.importers.account import Origin
from nfcompile.importers.chains import Jump, Return, Statement
from nfcompile.importers.form import (
    ANYTHING,
    RANGE_FIELDS,
    Exclude,
    InterfaceSet,
    PacketSet,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.reading import ForeignProgram
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import LOCAL, Packet, RangeTable, one_of
from nfcompile.verify.boxes import Names as Several
from nfcompile.verify.chosen_values import taken

DEPTH_MOST = 32
"""Chains within chains; a reader has said of those that are deeper."""
Route = Callable[[Range], str | Several]


class Unclear(Exception):
    """A condition that was not translated decides; nothing is claimed of these packets."""


class ForeignFate(NamedTuple):
    """The ends of a packet behind the gateway, and the lines that decided about them, an exclusion, too.

    `interface`: the source is the address of the outgoing interface. `source_port` None: any port is right.
    """

    destination: Range
    destination_port: Range
    source: Range
    source_port: Range | None
    interface: bool = False
    dnat: Origin | None = None
    snat: Origin | None = None

    @property
    def lines(self) -> tuple[Origin, ...]:
        return tuple(line for line in (self.dnat, self.snat) if line is not None)


class SourceRow(NamedTuple):
    """Of a run of rules for one source each: protocols and interfaces, and the table of their sources."""

    match: PacketSet
    table: RangeTable
    ports: tuple[Range | None, ...]
    lines: dict[int, Origin]


Step = Statement | SourceRow
Decision = tuple[Statement, Translate | Exclude]


class Walk:
    """A foreign program, ready to be walked by many packets; `addresses` are those of interfaces."""

    def __init__(self, program: ForeignProgram, addresses: Mapping[str, int] | None = None) -> None:
        self.addresses = addresses or {}
        self.chains = {name: list(_steps(statements)) for name, statements in program.chains.items()}
        self.starts = program.starts
        self.tables: dict[Ranges, RangeTable] = {}

    def fate(self, packet: Packet, route: Route) -> ForeignFate:
        """Walk both stages. Raises Split, and Unclear."""
        line: Origin | None = None
        mark = 0
        now = packet
        found = self.decided("dnat", now, "", 0)
        if found is not None:
            statement, action = found
            line = statement.origin
            if isinstance(action, Translate):
                mark = action.mark.value if action.mark else 0
                now = self.destination(now, action, statement.match)
        out = route(now.destination)
        ends = ForeignFate(now.destination, now.destination_port, now.source, now.source_port, dnat=line)
        if one_of((LOCAL,), out):
            return ends
        found = self.decided("snat", now, out, mark)
        if found is None:
            return ends
        statement, action = found
        if isinstance(action, Exclude):
            return ends._replace(snat=statement.origin)
        ends = ends._replace(snat=statement.origin, source_port=action.ports)
        if action.interface:
            return ends._replace(interface=True)
        return ends._replace(source=_moved(now.source, action, statement.match.source))

    def destination(self, packet: Packet, action: Translate, match: PacketSet) -> Packet:
        if action.interface:
            packet = packet._replace(destination=self.own(packet.interface))
        elif action.prefix and action.addresses is not None:
            packet = packet._replace(destination=_moved(packet.destination, action, match.destination))
        elif action.addresses is not None:
            packet = packet._replace(destination=taken(action.addresses, packet.chosen, 0)[0])
        if action.ports is not None:
            packet = packet._replace(destination_port=taken(action.ports, packet.chosen, 1)[0])
        return packet

    def own(self, interface: str | Several) -> Range:
        """The address of the incoming interface. Raises Split, and Unclear where it is not known."""
        for name, address in self.addresses.items():
            if one_of((name,), interface):
                return Range(address, address)
        raise Unclear

    def decided(self, stage: str, packet: Packet, out: str | Several, mark: int) -> Decision | None:
        """The statement that decides about a packet in a stage, None where none does."""
        end = self.chain(self.starts.get(stage, ""), packet, out, mark, 0)
        return end if isinstance(end, tuple) else None

    def chain(self, name: str, packet: Packet, out: str | Several, mark: int, depth: int) -> Decision | str:
        """What decides in a chain: a translation, an exclusion, or 'return' at its end."""
        for step in self.chains.get(name, ()) if depth < DEPTH_MOST else ():
            if isinstance(step, SourceRow):
                found = self.row(step, packet, out)
                if found is not None:
                    return found
                continue
            if not self.matches(step.match, packet, out, mark):
                continue
            verdict = step.verdict
            if isinstance(verdict, Jump):
                end = self.chain(verdict.chain, packet, out, mark, depth + 1)
                if end != "return":
                    return self.sure(step, end)
                if not verdict.back:
                    return self.sure(step, "return")
            elif isinstance(verdict, Return):
                return self.sure(step, "return")
            elif isinstance(verdict, Unsaid):
                raise Unclear
            elif verdict is not None:
                return self.sure(step, (step, verdict))
        return "return"

    def sure(self, step: Statement, end: Decision | str) -> Decision | str:
        if step.doubt:
            raise Unclear
        return end

    def row(self, row: SourceRow, packet: Packet, out: str | Several) -> Decision | None:
        if not self.matches(row.match, packet, out, 0):
            return None
        found = row.table.look_up(packet.source)
        if found is None:
            return None
        source, tag = found
        line = row.lines[tag]
        return Statement(ANYTHING, None, line, ""), Translate(source, row.ports[tag])

    # ---- matches

    def matches(self, match: PacketSet, packet: Packet, out: str | Several, mark: int) -> bool:
        """Whether a packet is in a box of the form. Raises Split."""
        if match is ANYTHING:
            return True
        if match.mark is not None and mark & match.mark.mask != match.mark.value:
            return False
        if not any(one.first <= packet.protocol <= one.last for one in match.protocol):
            return False
        if not _named(match.incoming, packet.interface) or not _named(match.outgoing, out):
            return False
        values = {
            "source": packet.source,
            "destination": packet.destination,
            "source_port": packet.source_port,
            "destination_port": packet.destination_port,
        }
        return all(
            wanted == RANGE_FIELDS[name] or self.table(wanted).holds(value)
            for name, value in values.items()
            if (wanted := getattr(match, name))
        )

    def table(self, ranges: Ranges) -> RangeTable:
        if ranges not in self.tables:
            self.tables[ranges] = RangeTable.of(ranges)
        return self.tables[ranges]


def _named(names: InterfaceSet, value: str | Several) -> bool:
    if names.but and not names.names:
        return True
    return one_of(names.names, value) != names.but


def _moved(value: Range, action: Translate, matched: Ranges) -> Range:
    """The new address: of one to one the old one's host bits below the new prefix."""
    assert action.addresses is not None
    if not action.prefix or action.addresses.size == 1:
        return action.addresses
    if len(matched) != 1 or matched[0].size != action.addresses.size:
        raise Unclear
    found = RangeTable([(matched[0], action.addresses.first - matched[0].first, 0)]).look_up(value)
    if found is None:
        raise Unclear
    return found[0]


# ---- runs of rows


def _steps(statements: Sequence[Statement]) -> Iterator[Step]:
    """The statements of a chain, runs of rules for one source each as tables."""
    at = 0
    while at < len(statements):
        end = at
        while end < len(statements) and _is_row(statements[end]):
            end += 1
        if end - at >= ROWS_LEAST:
            yield from _rows(statements[at:end])
            at = end
        else:
            yield statements[at]
            at += 1


ROWS_LEAST = 16


def _is_row(statement: Statement) -> bool:
    match, action = statement.match, statement.verdict
    if statement.doubt or not isinstance(action, Translate) or action.addresses is None or action.mark:
        return False
    plain = ANYTHING.having(source=match.source, protocol=match.protocol, outgoing=match.outgoing)
    one_to_one = len(match.source) == 1 and match.source[0].size == action.addresses.size
    return match == plain and one_to_one and (action.prefix or action.addresses.size == 1)


def _rows(statements: Sequence[Statement]) -> Iterator[Step]:
    """Tables for the classes of a run, by protocols and interfaces; the statements where their order would
    tell: a source that meets two classes in another order than others, or twice."""
    classes: dict[tuple[Ranges, InterfaceSet], dict[Range, Statement]] = {}
    order: dict[Range, list[tuple[Ranges, InterfaceSet]]] = {}
    for statement in statements:
        match = statement.match
        key = (match.protocol, match.outgoing)
        classes.setdefault(key, {}).setdefault(match.source[0], statement)
        order.setdefault(match.source[0], []).append(key)
    ranks = {key: rank for rank, key in enumerate(classes)}
    sources = sorted(order)
    apart = all(one.last < other.first for one, other in pairwise(sources))
    if not apart or any(keys != sorted(set(keys), key=ranks.__getitem__) for keys in order.values()):
        yield from statements
        return
    for (protocol, outgoing), rows in classes.items():
        yield _row(ANYTHING.having(protocol=protocol, outgoing=outgoing), list(rows.values()))


def _row(match: PacketSet, statements: list[Statement]) -> SourceRow:
    tags: dict[Range | None, int] = {}
    lines: dict[int, Origin] = {}
    entries = []
    for statement in statements:
        action = statement.verdict
        assert isinstance(action, Translate)
        assert action.addresses is not None
        tag = tags.setdefault(action.ports, len(tags))
        lines.setdefault(tag, statement.origin)
        source = statement.match.source[0]
        entries.append((source, action.addresses.first - source.first, tag))
    return SourceRow(match, RangeTable(entries), tuple(tags), lines)
