"""A box of packets: fields that hold many values at once, and the places where a box must be cut.

A *part* is what a rule or the reference knows of a field: its values in the packets of the box, each moved
by a number, so `part` is a function of the field and not just a set of results. *Names* are interfaces among
which one is meant. A question whose answer differs within the box raises Split, which
says how to cut it; the caller cuts the box and asks again. So a box that needs no further cut has one answer
that holds for all of it.

Boxes are cut by what is asked, not by the number of ranges in the question: addresses that lie in a set of
ten thousand are one half, all others the other. Ranges that are no part are what the kernel chooses; they
cut nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from nfcompile.model.ranges import Range, union
from nfcompile.verify.chosen_values import Blocks, Scrambled
from nfcompile.verify.field_values import FieldValues, Ranges, Split, range_within
from nfcompile.verify.value_arithmetic import moved

LOCAL = "lo"
"""What a route says of an address of the gateway itself."""


class Names(NamedTuple):
    """One of several interfaces; which one differs from packet to packet of the box."""

    names: frozenset[str]
    field: str

    def apart(self, names: Iterable[str]) -> Split:
        """Cut these names from the others, and from each other."""
        mine = sorted(self.names & set(names))
        rest = self.names - set(mine)
        return Split(self.field, [*(frozenset({name}) for name in mine), *([rest] if rest else ())])

    def together(self, names: Iterable[str]) -> Split:
        """Cut these names from the others."""
        mine = self.names & set(names)
        return Split(self.field, (mine, self.names - mine))


def one_among(names: frozenset[str], field: str) -> str | Names:
    """An interface that is one of these."""
    return next(iter(names)) if len(names) == 1 else Names(names, field)


def names_of(interface: str | Names) -> frozenset[str]:
    """Those that an interface is one of."""
    return interface.names if isinstance(interface, Names) else frozenset([interface])


class Packet(NamedTuple):
    """Where it arrives, and its two ends; a box of packets where ranges hold more than one number.

    Of ICMP `source_port` is the id. `opens` is false for a TCP segment that is no SYN. `chosen` is what the
    kernel takes of the addresses and ports that a dnat rule leaves to it; None: no question needs it.
    """

    interface: str | Names
    protocol: int
    source: Range
    source_port: Range
    destination: Range
    destination_port: Range
    opens: bool = True
    chosen: tuple[Ranges, Ranges] | None = None


class RangeTable:
    """Ranges that do not overlap; what lies in one moves by its number, and has its tag."""

    def __init__(self, rows: Iterable[tuple[Range, int, int]]) -> None:
        self.rows = sorted(rows, key=lambda row: row[0])
        self.ranges = [row[0] for row in self.rows]
        self._divided: dict[FieldValues, dict[int, Ranges]] = {}
        self._moved: dict[FieldValues, FieldValues] = {}

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> RangeTable:
        """Ranges that are only asked whether they hold a value."""
        return cls((one, 0, 0) for one in union(ranges))

    def holds(self, value: Range) -> bool:
        """Whether a value lies in any range. Raises Split."""
        if not isinstance(value, FieldValues):
            return self._row(value) is not None
        return -1 not in self._alike(value)

    def look_up_all(self, value: Range) -> tuple[Range, list[tuple[Range, int]]] | None:
        """The value moved, and the tags of its stretches; None where no range has it. Raises Split."""
        if not isinstance(value, FieldValues):
            found = self.look_up(value)
            return None if found is None else (found[0], [(value, found[1])])
        divided = divided_once(value, self.ranges, self._divided)
        alike(value, divided, lambda _: True)
        if -1 in divided:
            return None
        rows = sorted((one, index) for index, where in divided.items() for one in where)
        pieces = [
            piece._replace(shift=piece.shift + self.rows[index][1]) for piece, index in value.over(rows)
        ]
        return FieldValues(value.field, pieces), [(one, self.rows[index][2]) for one, index in rows]

    def look_up(self, value: Range) -> tuple[Range, int] | None:
        """The value moved, and its tag; None where no range has it. Raises Split."""
        if not isinstance(value, FieldValues):
            row = self._row(value)
            return None if row is None else (moved(value, row[1]), row[2])
        divided = self._alike(value)
        if -1 in divided:
            return None
        return self._each_moved(value, divided), self.rows[next(iter(divided))][2]

    def tag(self, value: Range) -> int | None:
        """The tag alone. Raises Split."""
        if not isinstance(value, FieldValues):
            row = self._row(value)
            return None if row is None else row[2]
        divided = self._alike(value)
        return None if -1 in divided else self.rows[next(iter(divided))][2]

    def _row(self, value: Range) -> tuple[Range, int, int] | None:
        """The range with a number."""
        index = bisect_right(self.ranges, Range(value.first + 1, -1)) - 1
        return None if index < 0 or value.first > self.ranges[index].last else self.rows[index]

    def _each_moved(self, value: FieldValues, divided: dict[int, Ranges]) -> FieldValues:
        """The value moved, by the range in which each of its numbers lies; remembered as `divided` is."""
        if value.first < value.last and value in self._moved:
            return self._moved[value]
        rows = sorted((one, self.rows[index][1]) for index, where in divided.items() for one in where)
        pieces = (piece._replace(shift=piece.shift + by) for piece, by in value.over(rows))
        made = FieldValues(value.field, pieces)
        if value.first < value.last:
            self._moved[value] = made
        return made

    def _alike(self, value: FieldValues) -> dict[int, Ranges]:
        """Which of its numbers lie in which range, where all ranges have one tag."""
        divided = divided_once(value, self.ranges, self._divided)
        alike(value, divided, lambda index: self.rows[index][2])
        return divided


def divided_once(
    value: FieldValues, patterns: Sequence[Range], known: dict[FieldValues, dict[int, Ranges]]
) -> dict[int, Ranges]:
    """`divided`, remembered: most boxes ask what others have asked. Parts of one number are equal whatever
    they are of, so they are not."""
    if value.first == value.last:
        return value.divided(patterns)
    if value not in known:
        known[value] = value.divided(patterns)
    return known[value]


def alike(value: FieldValues, divided: dict[int, Ranges], kind: Callable[[int], Hashable]) -> None:
    """Raise Split where patterns of different kinds, or some and none, hold values of a part."""
    kinds: dict[Hashable, list[Range]] = {}
    for index, where in divided.items():
        kinds.setdefault((index >= 0, index >= 0 and kind(index)), []).extend(where)
    if len(kinds) > 1:
        raise Split(value.field, (union(where) for where in kinds.values()))


def within(value: Range, pattern: Range) -> bool | None:
    """Whether a value lies in a pattern; None where only a part of it does.

    >>> within(Range(5, 6), Range(1, 9)), within(Range(5, 6), Range(6, 9)), within(Range(5, 6), Range(7, 9))
    (True, None, False)
    """
    if (answer := range_within(value, pattern)) is not None:
        return answer
    if isinstance(value, Scrambled):
        value = value.ranges
    if isinstance(value, Blocks):
        return value.within(pattern)
    return _part_within(value, pattern) if isinstance(value, FieldValues) else None


@lru_cache(1 << 16)
def _part_within(value: FieldValues, pattern: Range) -> bool | None:
    """Boxes that were cut in another field ask the same again."""
    divided = value.divided([pattern])
    return None if len(divided) > 1 else 0 in divided


def among(value: str | Names, names: Iterable[str]) -> bool | None:
    """The same of an interface."""
    wanted = set(names)
    if isinstance(value, str):
        return value in wanted
    if value.names <= wanted:
        return True
    return None if value.names & wanted else False


def has(pattern: Range | None, value: Range) -> bool:
    """Whether a qualifier holds; one that is not given always does. Raises Split."""
    answer = True if pattern is None else within(value, pattern)
    if answer is None and pattern is not None and isinstance(value, FieldValues):
        alike(value, value.divided([pattern]), bool)
    assert answer is not None, "only packets of a box can differ"
    return answer


def is_kept(destination: Range, address: Range) -> bool:
    """Whether packets with a destination go to it, when they go to an address. Raises Split where some do."""
    if address.size > 1 or destination.size == 1:
        return address == destination
    return has(Range(*address), destination)


def one_of(names: Iterable[str], value: str | Names) -> bool:
    """Whether an interface is among these. Raises Split."""
    wanted = frozenset(names)
    answer = among(value, wanted)
    if answer is None and isinstance(value, Names):
        raise value.together(wanted)
    return bool(answer)
