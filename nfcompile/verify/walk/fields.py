"""The fields of a box in the flights of its packets: where each has its values, and flights with others.

Interfaces stand at places that are known; numbers of a field can be in any number of a flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names, Packet, names_of, one_among
from nfcompile.verify.field_values import FieldValues, with_values
from nfcompile.verify.moments import BACK, ERRORS, Later
from nfcompile.verify.walk.packet import Flight

Read = Callable[[Flight], Any]
Interface = str | Names
Change = Callable[[Range], Any]


class NamesAt(NamedTuple):
    """Where a flight keeps the interfaces of one field."""

    field: Callable[[Flight], str]
    read: Read
    put: Callable[[Flight, Interface], Flight]

    def without(self, flight: Flight) -> Flight:
        """All but the field's interfaces."""
        return self.put(flight, "")

    def joined(self, flights: list[Flight]) -> Flight:
        """One flight for some that are equal without the field."""
        names = frozenset[str]().union(*(names_of(self.read(one)) for one in flights))
        return self.put(flights[0], one_among(names, self.field(flights[0])))


class NumbersOf(NamedTuple):
    """A field of numbers, and where a flight has the values that it can have."""

    field: str
    read: Read

    def without(self, flight: Flight) -> object:
        """All but the field's values: what depends on them, as how it does."""
        field = self.field
        return _changed(flight, lambda value: with_values(value, field, lambda *moved: (field, *moved)))

    def joined(self, flights: list[Flight]) -> Flight:
        """One flight for some that are equal without the field."""
        found = [one for flight in flights for one in _of_field(flight, self.field)]
        values = union(one for value in found for one in value.domain)

        def filled(value: Range) -> Range:
            return with_values(value, self.field, partial(FieldValues.of_all, self.field, values))

        return _changed(flights[0], filled) if values else flights[0]


def fields_of(flight: Flight, is_routed: bool) -> list[NamesAt | NumbersOf]:
    """The fields in which parts of a box can differ. `is_routed`: `towards` leads to the destination as it is
    now."""
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
