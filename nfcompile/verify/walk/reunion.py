"""Parts of a box that have come to the same, as one again.

A box is cut where a rule asks, also when what follows is equal for both parts: a ruleset that asks for the
interface, then for the source and then for the route has a part for each combination of them. Parts that
differ in one field only, and of which all else that is known is the same function of that field, are one
with the values of both. What is found of it holds for all its packets, as if it had never been cut.
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.verify.walk.fields import NamesAt, NumbersOf, fields_of
from nfcompile.verify.walk.packet import Flight
from nfcompile.verify.walk.walker import Pause


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
            parts = _joined_in(fields_of(parts[0].flight, self.is_routed), parts)
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
