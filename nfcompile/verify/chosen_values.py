"""Values that the kernel chooses, or that a box does not know: they are no parts, and cut nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from nfcompile.model.ranges import Range, intersect, union
from nfcompile.verify.field_values import FieldValues, Ranges, Row, Split, range_within
from nfcompile.verify.value_arithmetic import WORD, inverted, joined, masked

CHOSEN = ("chosen", "chosen port")
"""The fields of a box for what the kernel takes of a dnat rule's addresses and ports."""


Bases = tuple[tuple[Range, int], ...]
"""Ascending values of a field, and what a computed number is turned over by where the field has them."""


class Scrambled(Range):
    """`field & mask ^ bits`, of the packets of a box: each has one number; as a Range all of them.

    Where there are several `bits`, a packet has taken one of them, at the same place in all values of it.
    `by` are another field and what the number is turned over by besides, which depends on that one.
    """

    of: tuple[str, int, tuple[int, ...], tuple[str, Bases] | None]
    _hash: int

    def __new__(cls, field: str, mask: int, *bits: int, by: tuple[str, Bases] | None = None) -> Scrambled:
        if by is not None:
            base, rows = by[1][0][1], list[tuple[Range, int]]()
            for where, turned in by[1]:
                if rows and rows[-1][0].last + 1 == where.first and rows[-1][1] == turned ^ base:
                    rows[-1] = Range(rows[-1][0].first, where.last), turned ^ base
                else:
                    rows.append((where, turned ^ base))
            by = (by[0], tuple(rows)) if any(turned for _, turned in rows) else None
            bits = tuple(one ^ base for one in bits)
        bases = {0} if by is None else {turned for _, turned in by[1]}
        hulls = [_hull(mask, bits, base) for base in bases]
        made = super().__new__(cls, min(one.first for one in hulls), max(one.last for one in hulls))
        made.of = field, mask, bits if len(set(bits)) > 1 else bits[:1], by
        made._hash = hash(made.of)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scrambled) and self.of == other.of

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    @property
    def ranges(self) -> Range:
        """All numbers that it can be, for each value of the field that it depends on besides."""
        _, mask, bits, by = self.of
        if by is None:
            return Range(*self)
        return Blocks.of(by[0], ((where, _hull(mask, bits, base)) for where, base in by[1]))

    @property
    def drawn(self) -> Range:
        """The same as numbers that a ruleset has drawn."""
        ranges = self.ranges
        return (
            DrawnBlocks.of(ranges.field, ranges.rows) if isinstance(ranges, Blocks) else DrawnNumber(*ranges)
        )

    @lru_cache(1 << 12)  # noqa: B019 (a number is frozen)
    def turned(self, mask: int, bits: int) -> Scrambled:
        """`& mask ^ bits` of that."""
        field, mine, old, by = self.of
        if by is not None:
            by = by[0], tuple((where, base & mask) for where, base in by[1])
        return Scrambled(field, mine & mask, *((one & mask) ^ bits for one in old), by=by)

    @lru_cache(1 << 12)  # noqa: B019 (as `turned`)
    def narrowed(self, field: str, kept: Ranges) -> Range:
        """That of packets in which a field has only some values."""
        mine, mask, bits, by = self.of
        if by is not None and by[0] == field:
            by = field, tuple(_kept(by[1], kept))
        if mine == field and len(kept) == 1 and kept[0].size == 1:
            bits, mask = tuple(one ^ (kept[0].first & mask) for one in bits), 0
        made = Scrambled(mine, mask, *bits, by=by)
        return made if made.of[1] or made.first < made.last else Range(*made)


def _hull(mask: int, bits: Iterable[int], base: int) -> Range:
    """Where a number lies whose bits of the mask may be any, and the others one of some, turned over."""
    turned = [one ^ base for one in bits]
    return Range(min(one & ~mask for one in turned), max(one | mask for one in turned))


class DrawnNumber(Range):
    """A number that a ruleset has drawn for each packet, out of `many` of these. The bits `tossed` were drawn
    one by one."""

    many: int
    tossed: int

    def __new__(cls, first: int, last: int, many: int = 0, tossed: int = 0) -> DrawnNumber:
        made = super().__new__(cls, first, last)
        made.many, made.tossed = many or last - first + 1, tossed
        return made

    def __eq__(self, other: object) -> bool:
        mine = *self, self.many, self.tossed
        return type(other) is type(self) and mine == (*other, other.many, other.tossed)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), *self, self.many, self.tossed))

    def below(self, first: int) -> DrawnNumber:
        """Those below a number: numbers are spread evenly over the bits in which they differ."""
        size = 1 << (self.first ^ self.last).bit_length()
        many = self.many * (first - (self.first & ~(size - 1))) // size
        last = (first - 1) & self.tossed | self.last & ~self.tossed
        return DrawnNumber(self.first, last, many, self.tossed)

    def changed(self, mask: int, bits: int) -> Range:
        """`& mask ^ bits` of that: what was tossed may be turned over, or be looked at alone."""
        first, last, tossed = self.first & mask, self.last & mask, self.tossed
        if not tossed & mask:
            apart = masked(Range(self.first & ~tossed, self.last & ~tossed), mask)
            free = not bits or masked(apart, bits) == Range(0, 0)
            return type(self)(*(joined(apart, bits) if free else inverted(apart, bits)))
        if mask & ~tossed:
            turned = bits & ~tossed
            return DrawnNumber(first | turned, last | turned, self.many, tossed)
        step = mask & -mask
        return DrawnNumber(first, last, (last - first) // step + 1, tossed & mask)


class ShuffledNumber(DrawnNumber):
    """One whose low bits were turned over at random: no packet of a box has the same as another one."""


class OutgoingAddress(Range):
    """The address that the outgoing interface has when the packet leaves; as a Range any address."""

    def __new__(cls) -> OutgoingAddress:
        return super().__new__(cls, 0, WORD)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutgoingAddress)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(OutgoingAddress)


INTERFACE_ADDRESS = OutgoingAddress()


class Blocks(Range):
    """Numbers of which the kernel chooses one, other ones for each value of a field; as a Range their hull.

    `rows` are ascending values of `field`, and the numbers that they have.
    """

    field: str
    rows: tuple[tuple[Range, Range], ...]
    _hash: int

    @staticmethod
    def of(field: str, rows: Iterable[tuple[Range, Range]]) -> Range:
        """The same as a plain range where all values have the same."""
        joined: list[tuple[Range, Range]] = []
        for where, numbers in sorted(rows):
            if joined and joined[-1][0].last + 1 == where.first and joined[-1][1] == numbers:
                joined[-1] = Range(joined[-1][0].first, where.last), numbers
            else:
                joined.append((where, numbers))
        distinct = {numbers for _, numbers in joined}
        if len(distinct) == 1:
            return Range(*joined[0][1])
        first, last = min(one.first for one in distinct), max(one.last for one in distinct)
        made = Range.__new__(Blocks, first, last)
        made.field, made.rows = field, tuple(joined)
        made._hash = hash((field, made.rows))
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blocks) or type(other) is not type(self):
            return False
        return (self.field, self.rows) == (other.field, other.rows)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    @lru_cache(1 << 12)  # noqa: B019 (values, as many as there are pools)
    def narrowed(self, kept: Ranges) -> Range:
        """The numbers of some values of the field."""
        return type(self).of(self.field, _kept(self.rows, kept))

    def within(self, pattern: Range) -> bool | None:
        """Whether the numbers lie in a pattern; None where the kernel chooses. Raises Split."""
        answers: dict[bool | None, list[Range]] = {}
        for where, numbers in self.rows:
            answers.setdefault(range_within(numbers, pattern), []).append(where)
        if len(answers) > 1:
            raise Split(self.field, (union(where) for where in answers.values()))
        return next(iter(answers))


class DrawnBlocks(Blocks):
    """Numbers that a ruleset has drawn for each packet, others for each value of a field."""

    @staticmethod
    def of(field: str, rows: Iterable[tuple[Range, Range]]) -> Range:
        """The same as one shuffled number where all values have the same."""
        made = Blocks.of(field, rows)
        if not isinstance(made, Blocks):
            return ShuffledNumber(*made)
        drawn = Range.__new__(DrawnBlocks, *made)
        drawn.field, drawn.rows, drawn._hash = made.field, made.rows, made._hash
        return drawn

    @lru_cache(1 << 12)  # noqa: B019 (as `narrowed`)
    def changed(self, mask: int, bits: int) -> Range:
        """`& mask ^ bits` of that."""
        rows = ((where, DrawnNumber(*numbers).changed(mask, bits)) for where, numbers in self.rows)
        return DrawnBlocks.of(self.field, ((where, Range(*numbers)) for where, numbers in rows))


def either(one: Range, other: Range) -> Range | None:
    """What a packet has one of, two numbers that depend on the same field. None if they do not."""
    one, other = (value.ranges if isinstance(value, Scrambled) else value for value in (one, other))
    if not isinstance(one, Blocks) or not isinstance(other, Blocks) or one.field != other.field:
        return None
    if [where for where, _ in one.rows] != [where for where, _ in other.rows]:
        return None
    rows = zip(one.rows, other.rows, strict=True)
    hulls = ((a[0], Range(min(a[1].first, b[1].first), max(a[1].last, b[1].last))) for a, b in rows)
    return DrawnBlocks.of(one.field, hulls)


def _kept(rows: Iterable[tuple[Range, Row]], kept: Ranges) -> Iterator[tuple[Range, Row]]:
    """Rows of values of a field, of those that are kept."""
    at = 0
    for where, row in rows:
        while at < len(kept) and kept[at].last < where.first:
            at += 1
        index = at
        while index < len(kept) and kept[index].first <= where.last:
            yield Range(max(where.first, kept[index].first), min(where.last, kept[index].last)), row
            index += 1


def taken(given: Range, chosen: tuple[Ranges, Ranges] | None, which: int) -> tuple[Range, Range]:
    """What the kernel takes of a dnat rule's addresses (0) or ports (1): the value, and all that are right.

    In a box it is a field of its own, CHOSEN, since what follows may depend on it.
    """
    if isinstance(given, FieldValues):
        return given, given
    if given.first == given.last or chosen is None:
        return Range(given.first, given.first), given
    right = intersect(chosen[which], (given,))
    if not right:
        # One packet of a box of which nobody has asked what the kernel takes.
        return Range(given.first, given.first), given
    part = FieldValues.whole(CHOSEN[which], right)
    return part, part
