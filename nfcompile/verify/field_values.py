"""Values of a field of a box of packets, and the places where the box must be cut.

A *part* is what a rule or the reference knows of a field: its values in the packets of the box, each moved
by a number, so `part` is a function of the field and not just a set of results.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from nfcompile.model.ranges import Range, union

Row = TypeVar("Row")
Other = TypeVar("Other")
Ranges = tuple[Range, ...]
"""Ascending, none touching the next."""


class Split(Exception):
    """The box must be cut in its field `field`, into these values: Ranges of numbers, or sets of names."""

    def __init__(self, field: str, values: Iterable[Ranges | frozenset[str]]) -> None:
        super().__init__(field)
        self.field = field
        self.values = tuple(values)


class Segment(NamedTuple):
    """`first` to `last` of a field, moved by `shift`."""

    first: int
    last: int
    shift: int


class FieldValues(Range):
    """Values of `field` in a box, as its pieces say, rounded down to a multiple of `grain`; as a Range their
    hull.

    Equal to another part when both have the same numbers for every packet of the box.
    """

    field: str
    pieces: tuple[Segment, ...]
    grain: int
    _hash: int

    def __new__(cls, field: str, pieces: Iterable[Segment], grain: int = 1) -> FieldValues:
        joined: list[Segment] = []
        ascending = sorted(pieces)
        for piece in ascending if len(ascending) > 1 else ():
            if joined and joined[-1].last + 1 == piece.first and joined[-1].shift == piece.shift:
                joined[-1] = joined[-1]._replace(last=piece.last)
            else:
                joined.append(piece)
        joined = joined or ascending
        first = min([first + shift for first, _, shift in joined]) // grain * grain
        last = max([last + shift for _, last, shift in joined]) // grain * grain
        made = super().__new__(cls, first, last)
        made.field, made.pieces, made.grain = field, tuple(joined), grain
        made._hash = hash((first, last) if first == last else made._identity())
        return made

    @staticmethod
    def of_all(field: str, values: Ranges, shift: int, grain: int) -> FieldValues:
        """A field that is moved by the same everywhere."""
        return FieldValues(field, (Segment(*one, shift) for one in values), grain)

    @staticmethod
    @lru_cache(4096)
    def whole(field: str, values: Ranges) -> FieldValues:
        """A field as it came."""
        return FieldValues(field, (Segment(*one, 0) for one in values))

    def __eq__(self, other: object) -> bool:
        if self.first == self.last:
            return tuple(self) == tuple(other) if isinstance(other, Range) else False
        return isinstance(other, FieldValues) and self._identity() == other._identity()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    def _identity(self) -> tuple[object, ...]:
        return self.field, self.pieces, self.grain

    def __repr__(self) -> str:
        return f"FieldValues({self.field}, {self.pieces}, {self.grain})"

    @property
    def domain(self) -> Ranges:
        """Which values the field has."""
        return union(Range(piece.first, piece.last) for piece in self.pieces)

    def moved(self, by: int) -> FieldValues:
        """The same packets, every value plus `by`, a multiple of `grain`."""
        assert by % self.grain == 0, "a rounded part is moved in steps of its grain only"
        return FieldValues(self.field, (p._replace(shift=p.shift + by) for p in self.pieces), self.grain)

    def over(self, rows: Iterable[tuple[Range, Row]]) -> Iterator[tuple[Segment, Row]]:
        """The pieces of which the field lies in these ranges, ascending and not overlapping, with what is
        theirs."""
        index = 0
        for where, row in rows:
            while index < len(self.pieces) and self.pieces[index].last < where.first:
                index += 1
            at = index
            while at < len(self.pieces) and self.pieces[at].first <= where.last:
                first, last, shift = self.pieces[at]
                yield Segment(max(first, where.first), min(last, where.last), shift), row
                at += 1

    def divided(self, patterns: Sequence[Range]) -> dict[int, Ranges]:
        """Which of the field's values lie in each of the patterns, by its position; -1 is for none of them.

        Patterns are ascending and do not overlap.
        """
        grain = self.grain
        if grain > 1:
            patterns = [
                Range(-(-one.first // grain) * grain, one.last // grain * grain + grain - 1)
                for one in patterns
            ]
        firsts = [one.first for one in patterns]
        found: dict[int, list[Range]] = {}
        for first, last, shift in self.pieces:
            at, end = first + shift, last + shift
            index = max(bisect_right(firsts, at) - 1, 0)
            while at <= end:
                here = patterns[index] if index < len(patterns) else Range(end + 1, end + 1)
                if here.last < at:
                    index += 1
                    continue
                inside = here.first <= at
                stop = min(end, here.last if inside else here.first - 1)
                found.setdefault(index if inside else -1, []).append(Range(at - shift, stop - shift))
                at = stop + 1
        return {index: tuple(ranges) for index, ranges in found.items()}


def with_values(value: Range, field: str, made: Callable[[int, int], Other]) -> Range | Other:
    """A number, and where it is the field itself, all of it moved by the same, what is made of that and its
    grain instead: what parts that differ in the field have in common, or the number that it is of both. One
    number that each packet of a part has by another move is that number, and no more of the field."""
    if type(value) is not FieldValues or value.field != field:
        return value
    shift, *others = {piece.shift for piece in value.pieces}
    if not others:
        return made(shift, value.grain)
    return Range(*value) if value.first == value.last else value


def range_within(value: Range, pattern: Range) -> bool | None:
    """Whether a range lies in a pattern; None where only a part of it does."""
    if value.last < pattern.first or pattern.last < value.first:
        return False
    return True if pattern.first <= value.first and value.last <= pattern.last else None
