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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from nfcompile.model.ranges import Range, intersect, union

WORD = 0xFFFFFFFF
LOCAL = "lo"
"""What a route says of an address of the gateway itself."""
CHOSEN = ("chosen", "chosen port")
"""The fields of a box for what the kernel takes of a dnat rule's addresses and ports."""
Row = TypeVar("Row")
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
        for piece in sorted(pieces):
            if joined and joined[-1].last + 1 == piece.first and joined[-1].shift == piece.shift:
                joined[-1] = joined[-1]._replace(last=piece.last)
            else:
                joined.append(piece)
        first = min(piece.first + piece.shift for piece in joined) // grain * grain
        last = max(piece.last + piece.shift for piece in joined) // grain * grain
        made = super().__new__(cls, first, last)
        made.field, made.pieces, made.grain = field, tuple(joined), grain
        made._hash = hash((first, last) if first == last else made._identity())
        return made

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
            answers.setdefault(within(numbers, pattern), []).append(where)
        if len(answers) > 1:
            raise Split(self.field, (union(where) for where in answers.values()))
        return next(iter(answers))


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

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> RangeTable:
        """Ranges that are only asked whether they hold a value."""
        return cls((one, 0, 0) for one in union(ranges))

    def holds(self, value: Range) -> bool:
        """Whether a value lies in any range. Raises Split."""
        return self.look_up(value) is not None

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
            index = bisect_right(self.ranges, Range(value.first + 1, -1)) - 1
            if index < 0 or value.first > self.ranges[index].last:
                return None
            _, by, tag = self.rows[index]
            return moved(value, by), tag
        divided = divided_once(value, self.ranges, self._divided)
        alike(value, divided, lambda index: self.rows[index][2])
        if -1 in divided:
            return None
        rows = sorted((one, self.rows[index][1]) for index, where in divided.items() for one in where)
        pieces = (piece._replace(shift=piece.shift + by) for piece, by in value.over(rows))
        return FieldValues(value.field, pieces), self.rows[next(iter(divided))][2]


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
    if value.last < pattern.first or pattern.last < value.first:
        return False
    if pattern.first <= value.first and value.last <= pattern.last:
        return True
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


def one_of(names: Iterable[str], value: str | Names) -> bool:
    """Whether an interface is among these. Raises Split."""
    wanted = frozenset(names)
    answer = among(value, wanted)
    if answer is None and isinstance(value, Names):
        raise value.together(wanted)
    return bool(answer)


def moved(value: Range, by: int) -> Range:
    """Every number of a value plus `by`."""
    return value.moved(by) if isinstance(value, FieldValues) else Range(value.first + by, value.last + by)


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


# ---- masks


def masked(value: Range, mask: int) -> Range:
    """`value & mask`. Of numbers that the kernel chooses the hull of the results, as close as usual masks
    allow.

    >>> masked(Range(0x1000001, 0x1000200), 0xFF000000), masked(Range(0x102, 0x105), 0xFF)
    (Range(first=16777216, last=16777216), Range(first=2, last=5))
    """
    if isinstance(value, FieldValues):
        return _masked_part(value, mask)
    first, last = value
    varying = (1 << (first ^ last).bit_length()) - 1
    dropped = varying & ~mask
    if dropped & (dropped + 1) == 0:
        return Range(first & mask, last & mask)
    fixed = first & mask & ~varying
    return Range(fixed, fixed | (mask & varying))


def _masked_part(value: FieldValues, mask: int) -> Range:
    """Low bits that go round the part; high bits that go move each stretch between them by another number."""
    if not mask:
        single = all(piece.first == piece.last for piece in value.pieces)
        zero = (piece._replace(shift=-piece.first) for piece in value.pieces)
        return FieldValues(value.field, zero) if single else Range(0, 0)
    grain = mask & -mask
    size = mask + grain
    if size & (size - 1) or value.grain > 1:
        raise ValueError(f"the mask 0x{mask:x} is not one stretch of bits")
    pieces = (one for piece in value.pieces for one in _wrapped(piece, size))
    return FieldValues(value.field, pieces, grain)


def _wrapped(piece: Segment, size: int) -> Iterator[Segment]:
    """The remainders of a piece: its values modulo `size`, a power of two."""
    first, last, shift = piece
    at, end = first + shift, last + shift
    while at <= end:
        stop = min(end, at | (size - 1))
        yield Segment(at - shift, stop - shift, shift - (at & ~(size - 1)))
        at = stop + 1


def netmapped(value: FieldValues, rows: Iterable[tuple[Range, Range]]) -> FieldValues:
    """The kernel's NETMAP (nft_nat.c), by where the field lies: bits in which both ends of the target agree
    are new, the others stay."""
    pieces: list[Segment] = []
    for piece, target in value.over(rows):
        size = 1 << (target.first ^ target.last).bit_length()
        base = target.first & ~(size - 1)
        pieces += (one._replace(shift=one.shift + base) for one in _wrapped(piece, size))
    return FieldValues(value.field, pieces)


def inverted(value: Range, bits: int) -> Range:
    """`value ^ bits`: of one number, or of a stretch of an aligned power of two that the bits keep together.

    >>> inverted(Range(5, 5), 4), inverted(Range(0, 7), 4)
    (Range(first=1, last=1), Range(first=0, last=7))
    """
    if not bits:
        return value
    if value.first == value.last:
        return Range(value.first ^ bits, value.first ^ bits)
    varying = (1 << (value.first ^ value.last).bit_length()) - 1
    fixed = (value.first ^ bits) & ~varying
    return Range(fixed, fixed | varying)


def joined(value: Range, bits: int) -> Range:
    """`value | bits`, where no number of the range has any of the bits; otherwise for one number only."""
    if not bits:
        return value
    if isinstance(value, FieldValues):
        stretches = [Range(piece.first + piece.shift, piece.last + piece.shift) for piece in value.pieces]
    else:
        stretches = [value]
    if all(masked(one, bits) == Range(0, 0) for one in stretches):
        return moved(value, bits)
    if value.first == value.last:
        return Range(value.first | bits, value.first | bits)
    return Range(bits, WORD)
