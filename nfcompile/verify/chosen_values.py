"""Values that the kernel chooses, or that a box does not know: they are no parts, and cut nothing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from nfcompile.model.ranges import Range, intersect, union
from nfcompile.verify.field_values import FieldValues, Ranges, Split, range_within
from nfcompile.verify.value_arithmetic import WORD, inverted, joined, masked

CHOSEN = ("chosen", "chosen port")
"""The fields of a box for what the kernel takes of a dnat rule's addresses and ports."""


class Scrambled(Range):
    """`field & mask ^ bits`, of the packets of a box: each has one number; as a Range all of them."""

    of: tuple[str, int, int]

    def __new__(cls, field: str, mask: int, bits: int) -> Scrambled:
        made = super().__new__(cls, bits & ~mask, bits | mask)
        made.of = field, mask, bits
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scrambled) and self.of == other.of

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.of)

    def turned(self, mask: int, bits: int) -> Scrambled:
        """`& mask ^ bits` of that."""
        field, mine, old = self.of
        return Scrambled(field, mine & mask, (old & mask) ^ bits)


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
        return isinstance(other, DrawnNumber) and mine == (*other, other.many, other.tossed)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((DrawnNumber, *self, self.many, self.tossed))

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
            return DrawnNumber(*(joined(apart, bits) if free else inverted(apart, bits)))
        if mask & ~tossed:
            turned = bits & ~tossed
            return DrawnNumber(first | turned, last | turned, self.many, tossed)
        step = mask & -mask
        return DrawnNumber(first, last, (last - first) // step + 1, tossed & mask)


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
        return isinstance(other, Blocks) and (self.field, self.rows) == (other.field, other.rows)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    @lru_cache(1 << 12)  # noqa: B019 (values, as many as there are pools)
    def narrowed(self, kept: Ranges) -> Range:
        """The numbers of some values of the field."""
        found, at = [], 0
        for where, numbers in self.rows:
            while at < len(kept) and kept[at].last < where.first:
                at += 1
            index = at
            while index < len(kept) and kept[index].first <= where.last:
                first, last = max(where.first, kept[index].first), min(where.last, kept[index].last)
                found.append((Range(first, last), numbers))
                index += 1
        return Blocks.of(self.field, found)

    def within(self, pattern: Range) -> bool | None:
        """Whether the numbers lie in a pattern; None where the kernel chooses. Raises Split."""
        answers: dict[bool | None, list[Range]] = {}
        for where, numbers in self.rows:
            answers.setdefault(range_within(numbers, pattern), []).append(where)
        if len(answers) > 1:
            raise Split(self.field, (union(where) for where in answers.values()))
        return next(iter(answers))


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
