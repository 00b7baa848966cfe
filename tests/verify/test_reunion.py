"""Parts of a box that a chain has told apart for nothing."""

from __future__ import annotations

from typing import Any

from nfcompile.model.protocols import TCP
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import Names, Packet
from nfcompile.verify.field_values import FieldValues, Segment
from nfcompile.verify.walk.packet import Flight
from nfcompile.verify.walk.reunion import Reunion
from nfcompile.verify.walk.walker import Pause

PORTS = Range(1024, 65535)


def part(**changed: Any) -> Pause:
    """A packet of a box from lan0, of sources 1 to 9, to 100, routed to wan0."""
    ends = {
        "source": FieldValues.whole("source", (Range(1, 9),)),
        "source_port": FieldValues.whole("source_port", (PORTS,)),
        "destination": FieldValues.whole("destination", (Range(100, 100),)),
        "destination_port": FieldValues.whole("destination_port", (PORTS,)),
    }
    fields = {name: changed.pop(name, value) for name, value in ends.items()}
    now = {name: changed.pop(f"new_{name}", value) for name, value in fields.items()}
    interface = changed.pop("interface", "lan0")
    original = Packet(interface, TCP, **fields)
    flight = Flight(original, Packet(interface, TCP, **now), "", "wan0", "wan0", "lan0")
    return Pause(flight._replace(**changed))


def moved(first: int, last: int, by: int) -> dict[str, FieldValues]:
    """Sources, and what they have become."""
    came = FieldValues.whole("source", (Range(first, last),))
    return {"source": came, "new_source": came.moved(by)}


def fewer(*parts: Pause) -> list[Flight]:
    return [pause.flight for pause in Reunion().fewer(parts)]


def test_parts_that_differ_in_one_field_are_one() -> None:
    (sources,) = fewer(part(**moved(1, 4, 50)), part(**moved(5, 9, 50)))
    (interfaces,) = fewer(part(interface="lan0"), part(interface="lan1"))
    (routes,) = fewer(part(first="wan0", towards="wan0"), part(first="wan1", towards="wan1"))

    assert sources == part(**moved(1, 9, 50)).flight
    assert interfaces == part(interface=Names(frozenset({"lan0", "lan1"}), "interface")).flight
    both = Names(frozenset({"wan0", "wan1"}), "towards")
    assert routes == part(first=both, towards=both).flight


def test_a_product_is_one_again() -> None:
    parts = [
        part(interface=interface, home=home, **moved(first, first + 2, 7))
        for interface in ("lan0", "lan1")
        for home in ("lan0", "wan0", "*")
        for first in (1, 4, 7)
    ]

    assert len(fewer(*parts)) == 1


def test_what_has_become_something_else_stays_apart() -> None:
    """Translated by another number, to one address in all, marked, or of another box."""
    one = part(**moved(1, 4, 50))
    fixed = part(**(moved(5, 9, 0) | {"new_source": Range(52, 52)}))
    for other in (
        part(**moved(5, 9, 51)),
        fixed,
        part(**moved(5, 9, 50), ct_mark=Range(1, 1)),
        part(**moved(5, 9, 50), start=1),
    ):
        assert len(fewer(one, other)) == 2


def test_parts_that_differ_in_two_fields_stay_apart() -> None:
    assert len(fewer(part(interface="lan0", home="lan0"), part(interface="lan1", home="wan0"))) == 2


def test_one_to_one_with_two_numbers_stays_so() -> None:
    """Two ways of the same packets are one; the second number is not the first one's."""
    became = FieldValues("source", [Segment(1, 4, 50), Segment(5, 9, 70)])
    twice = [part(new_source=became, home=home) for home in ("lan0", "wan0", "lan0")]

    (found,) = fewer(*twice)

    assert found.now.source == became


def test_parts_behind_another_route_keep_it() -> None:
    """Once routed, a changed destination has a route of its own."""
    reunion = Reunion()
    reunion.is_routed = True
    led = {"new_destination": Range(7, 7), "towards": "lan0", "out": "lan0"}

    (found,) = reunion.fewer([part(first="wan0", **led), part(first="wan1", **led)])

    assert (found.flight.first, found.flight.towards) == (
        Names(frozenset({"wan0", "wan1"}), "towards"),
        "lan0",
    )
