"""Ways that differ in computed ports only go on as one, in the state in which everything is remembered.

A search for a free port ends at one of many candidates, and all that follows is the same for each. What is
joined keeps every candidate: a port that is not in the subscriber's block is seen in whichever of them it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from nfcompile.verify.chosen_values import Scrambled
from nfcompile.verify.walk.state import Learned
from nfcompile.verify.walk.walker import Pause

Row = tuple[int, ...]
"""What one candidate has put in the computed ports of a way, in their order."""


def alike(pauses: Sequence[Pause]) -> list[Pause]:
    """The same ways, those joined that are equal but for computed ports; in the order in which they begin."""
    groups: dict[object, list[Pause]] = {}
    for number, pause in enumerate(pauses):
        groups.setdefault(_shape(pause) if _is_computed(pause) else number, []).append(pause)
    if len(groups) == len(pauses):
        return list(pauses)
    return [members[0] if len(members) == 1 else _joined(members) for members in groups.values()]


def _is_computed(pause: Pause) -> bool:
    flight = pause.flight
    return type(flight.now.source_port) is Scrambled or any(
        type(value) is Scrambled for _, value in flight.written
    )


def _joined(members: list[Pause]) -> Pause:
    """All candidates of some ways in one, each once."""
    rows = sorted(set(chain.from_iterable(map(_rows, members))))
    columns = iter(zip(*rows, strict=True))
    first = members[0]
    flight = first.flight
    port = _with(flight.now.source_port, columns)
    written = tuple((name, _with(value, columns)) for name, value in flight.written)
    learned: Learned = {
        (name, tuple(_with(part, columns) for part in key)): None
        if data is None
        else tuple(_with(part, columns) for part in data)
        for (name, key), data in first.learned.items()
    }
    return first._replace(
        flight=flight._replace(now=flight.now._replace(source_port=port), written=written), learned=learned
    )


def _with(value: Any, columns: Iterator[Sequence[int]]) -> Any:
    if type(value) is not Scrambled:
        return value
    field, mask, _, by = value.of
    return Scrambled(field, mask, *next(columns), by=by)


def _rows(pause: Pause) -> Iterable[Row]:
    """The candidates of a way; what is one number in all of them stands in each."""
    columns = [value.of[2] for value in _values(pause) if type(value) is Scrambled]
    many = max(map(len, columns))
    return zip(*(one * many if len(one) == 1 else one for one in columns), strict=True)


def _shape(pause: Pause) -> object:
    """What ways must have in common to be joined."""
    flight = pause.flight
    hollow = flight._replace(now=flight.now._replace(source_port=flight.original.source_port), written=())
    shapes = tuple(
        (value.of[:2], value.of[3]) if type(value) is Scrambled else value for value in _values(pause)
    )
    names = tuple((name, len(key)) for name, key in pause.learned)
    gone = tuple(data is None for data in pause.learned.values())
    return hollow, tuple(name for name, _ in flight.written), names, gone, shapes


def _values(pause: Pause) -> Iterator[Any]:
    """Every value that a candidate may be in, always in the same order."""
    yield pause.flight.now.source_port
    yield from (value for _, value in pause.flight.written)
    for (_, key), data in pause.learned.items():
        yield from key
        yield from data or ()
