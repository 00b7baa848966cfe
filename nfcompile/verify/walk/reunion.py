"""Parts of a box that have come to the same, as one again.

A box is cut where a rule asks, also when what follows is equal for both parts: a ruleset that asks for the
interface, then for the source and then for the route has a part for each combination of them. Parts that
differ in one field only, and of which all else that is known is the same function of that field, are one
with the values of both. What is found of it holds for all its packets, as if it had never been cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names, Packet, names_of, one_among
from nfcompile.verify.field_values import FieldValues, Segment
from nfcompile.verify.moments import BACK, ERRORS, Later
from nfcompile.verify.walk.packet import Flight
from nfcompile.verify.walk.walker import Pause

Read = Callable[[Flight], Any]
Interface = str | Names
Change = Callable[[Range], Any]


class NamesAt(NamedTuple):
    """Where a flight keeps the interfaces of one field."""

    field: Callable[[Flight], str]
    read: Read
    put: Callable[[Flight, Interface], Flight]

    def without(self, flight: Flight) -> Flight:
        return self.put(flight, "")

    def joined(self, flights: list[Flight]) -> Flight:
        names = frozenset[str]().union(*(names_of(self.read(one)) for one in flights))
        return self.put(flights[0], one_among(names, self.field(flights[0])))


class NumbersOf(NamedTuple):
    """A field of numbers, and where a flight has the values that it can have."""

    field: str
    read: Read

    def without(self, flight: Flight) -> object:
        """All but the field's values: what depends on them, as how it does."""
        return _changed(flight, self._hollow)

    def _hollow(self, value: Range) -> object:
        if type(value) is not FieldValues or value.field != self.field:
            return value
        shift = _shift(value)
        return value if shift is None else (self.field, shift, value.grain)

    def joined(self, flights: list[Flight]) -> Flight:
        found = [one for flight in flights for one in _of_field(flight, self.field)]
        values = union(one for value in found for one in value.domain)

        def filled(value: Range) -> Range:
            if type(value) is not FieldValues or value.field != self.field:
                return value
            shift = _shift(value)
            if shift is None:
                return value
            return FieldValues(self.field, (Segment(*one, shift) for one in values), value.grain)

        return _changed(flights[0], filled) if values else flights[0]


def _shift(value: FieldValues) -> int | None:
    """By what a field's values are moved in a number; None if not all by the same."""
    first, *others = value.pieces
    return first.shift if all(other.shift == first.shift for other in others) else None


class Reunion:
    """Finds parts that are one again, among all that are walked together.

    `is_routed`: their routes are those to the destinations as they are now.
    """

    def __init__(self) -> None:
        self.is_routed = False
        self.apart: dict[int, dict[int, Flight]] = {}
        """The last parts of each box that differ in more than one field; so do some of them."""

    def fewer(self, pauses: Iterable[Pause]) -> list[Pause]:
        """The same packets in fewer parts."""
        boxes: dict[int, list[Pause]] = {}
        for pause in pauses:
            boxes.setdefault(pause.flight.start, []).append(pause)
        return [one for start, parts in boxes.items() for one in self._of_a_box(start, parts)]

    def _of_a_box(self, start: int, parts: list[Pause]) -> list[Pause]:
        if len(parts) == 1:
            return parts
        known = self.apart.get(start, {})
        if not all(id(part.flight) in known for part in parts):
            parts = _joined_in(_fields(parts[0].flight, self.is_routed), parts)
            self.apart[start] = {id(part.flight): part.flight for part in parts}
        return parts


def _joined_in(fields: list[NamesAt | NumbersOf], parts: list[Pause]) -> list[Pause]:
    count = len(parts) + 1
    while 1 < len(parts) < count:
        count = len(parts)
        for field in fields:
            if len({field.read(part.flight) for part in parts}) > 1:
                parts = _joined(parts, field)
    return parts


def _joined(parts: list[Pause], field: NamesAt | NumbersOf) -> list[Pause]:
    groups: dict[object, list[Pause]] = {}
    for part in parts:
        known = None if _knows(part, field.field) else id(part.learned)
        groups.setdefault((field.without(part.flight), known or id(part)), []).append(part)
    return [
        some[0] if len(some) == 1 else some[0]._replace(flight=field.joined([one.flight for one in some]))
        for some in groups.values()
    ]


def _knows(part: Pause, field: object) -> bool:
    """Whether what a part knows of elements depends on a field of numbers."""
    return any(
        getattr(value, "field", None) == field
        for (_, key), data in part.learned.items()
        for value in (*key, *(data or ()))
    )


def _fields(flight: Flight, is_routed: bool) -> list[NamesAt | NumbersOf]:
    elsewhere = [ELSEWHERE] if is_routed and flight.later is None else []
    led = LED if is_routed else UNROUTED
    return [ARRIVED, led, HOME, *elsewhere, *NUMBERS, *(OF_LATER if flight.later is not None else ())]


def _goes_on(flight: Flight) -> bool:
    """Whether the route to the destination as it came is the one that is taken."""
    return flight.later is not None or flight.now.destination == flight.original.destination


def _put_arrived(flight: Flight, names: Interface) -> Flight:
    original = flight.original._replace(interface=names)
    if flight.later is None:
        is_same = flight.now is flight.original
        return flight._replace(
            original=original, now=original if is_same else flight.now._replace(interface=names)
        )
    moment, came, sent, answer = flight.later
    came, sent = came._replace(interface=names), sent._replace(interface=names)
    if moment in BACK | ERRORS:
        answer, original = answer._replace(interface=names), flight.original
    later = Later(moment, came, sent, answer)
    return flight._replace(original=original, now=flight.now._replace(interface=names), later=later)


def _put_led(flight: Flight, names: Interface) -> Flight:
    led = flight._replace(first=names)
    return _put_towards(led, names) if _goes_on(flight) else led


def _put_unrouted(flight: Flight, names: Interface) -> Flight:
    return _put_towards(flight._replace(first=names), names)


def _put_towards(flight: Flight, names: Interface) -> Flight:
    return flight._replace(towards=names, out=names if flight.out else "")


def _put_elsewhere(flight: Flight, names: Interface) -> Flight:
    return _put_towards(flight, names) if _leads_elsewhere(flight) else flight


def _leads_elsewhere(flight: Flight) -> bool:
    """Whether routes to another destination are a field of their own: those to the source itself are not."""
    return not _goes_on(flight) and getattr(flight.now.destination, "field", "") != "source"


def _back(flight: Flight) -> bool:
    return flight.later is not None and flight.later.moment in BACK


ARRIVED = NamesAt(
    lambda flight: "back" if flight.moment in BACK | ERRORS else "interface",
    lambda flight: flight.now.interface,
    _put_arrived,
)
LED = NamesAt(lambda flight: "home" if _back(flight) else "towards", lambda flight: flight.first, _put_led)
UNROUTED = LED._replace(put=_put_unrouted)
HOME = NamesAt(
    lambda flight: "towards" if _back(flight) else "home",
    lambda flight: flight.home,
    lambda flight, names: flight._replace(home=names),
)
ELSEWHERE = NamesAt(lambda _: "out", lambda flight: flight.towards, _put_elsewhere)
NUMBERS = (
    NumbersOf("source", lambda flight: flight.original.source),
    NumbersOf("source_port", lambda flight: flight.original.source_port),
    NumbersOf("destination", lambda flight: flight.original.destination),
    NumbersOf("destination_port", lambda flight: flight.original.destination_port),
)
OF_LATER = (
    NumbersOf("given", lambda flight: _later(flight).answer.destination),
    NumbersOf("given_port", lambda flight: _later(flight).answer.destination_port),
    NumbersOf("host", lambda flight: _later(flight).answer.source),
    NumbersOf("host_port", lambda flight: _later(flight).answer.source_port),
    NumbersOf("sender", lambda flight: _later(flight).came.source),
)
"""Fields of packets that are not the first of their connection."""


def _later(flight: Flight) -> Later:
    assert flight.later is not None
    return flight.later


def _of_field(flight: Flight, field: str) -> Iterator[FieldValues]:
    later = flight.later[1:] if flight.later is not None else ()
    packets = flight.original, flight.now, *later
    for value in (value for packet in packets for value in packet[2:6]):
        if type(value) is FieldValues and value.field == field:
            yield value
            return


def _changed(flight: Flight, change: Change) -> Flight:
    """A flight with something else for all its numbers."""
    original = _changed_packet(flight.original, change)
    return flight._replace(
        original=original,
        now=original if flight.now is flight.original else _changed_packet(flight.now, change),
        mark=change(flight.mark),
        ct_mark=change(flight.ct_mark),
        zone=change(flight.zone),
        written=tuple((name, change(value)) for name, value in flight.written),
        later=flight.later
        and Later(flight.later.moment, *(_changed_packet(one, change) for one in flight.later[1:])),
    )


def _changed_packet(packet: Packet, change: Change) -> Packet:
    interface, protocol, source, source_port, destination, destination_port, opens, chosen = packet
    ends = change(source), change(source_port), change(destination), change(destination_port)
    return Packet(interface, protocol, *ends, opens, chosen)
