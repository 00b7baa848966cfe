"""Boxes of which the site says the same, as one: a box is cut where the reference asks, also when both parts
have the same fate.

Boxes that differ in one field only, and whose fates are the same function of it, are one with the values of
both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any, TypeGuard

from nfcompile.model.ranges import Range, union
from nfcompile.verify.box import FIELDS, Box
from nfcompile.verify.field_values import FieldValues, with_values
from nfcompile.verify.reference import Fate

Said = tuple[Box, Fate]
NAMES = {place: field for field, place in FIELDS.items()}
"""What values call a field that has another name in a box."""


def joined(said: Iterable[Said]) -> list[Said]:
    """The same boxes, as few as there are."""
    found = list(said)
    count = len(found) + 1
    while 1 < len(found) < count:
        count = len(found)
        for place, value in enumerate(found[0][0]):
            if isinstance(value, frozenset | tuple) and any(box[place] != value for box, _ in found):
                found = _joined_at(place, found)
    return found


def _joined_at(place: int, said: list[Said]) -> list[Said]:
    field = Box._fields[place]
    name = NAMES.get(field, field)
    groups: dict[object, list[Said]] = {}
    for box, fate in said:
        key = box[:place], box[place + 1 :], _changed(fate, name, lambda *moved: (name, *moved))
        groups.setdefault(key, []).append((box, fate))
    return [some[0] if len(some) == 1 else _one(place, name, some) for some in groups.values()]


def _one(place: int, name: str, said: list[Said]) -> Said:
    """One box with the values that some have of a field. What the kernel takes of a dnat rule's addresses has
    fewer values in a fate than in its box."""
    box, fate = said[0]
    kept: list[Any] = [one[place] for one, _ in said]
    is_named = isinstance(kept[0], frozenset)
    values: Any = frozenset[str]().union(*kept) if is_named else union(chain(*kept))
    ends = (one for _, other in said for one in _ends(other))
    right = union(where for one in ends if _is_of(one, name) for where in one.domain)
    if right:
        fate = Fate(*_changed(fate, name, partial(FieldValues.of_all, name, right)))
    return box._replace(**{Box._fields[place]: values}), fate


def _changed(fate: Fate, name: str, made: Callable[[int, int], Any]) -> tuple[Any, ...]:
    ends = (with_values(one, name, made) for one in _ends(fate))
    return fate.action, *ends, fate.reason, fate.pool


def _ends(fate: Fate) -> tuple[Range, ...]:
    return fate.sources, fate.source_ports, fate.destinations, fate.destination_ports


def _is_of(value: Range, name: str) -> TypeGuard[FieldValues]:
    return type(value) is FieldValues and value.field == name
