"""What statements make of a value: moved, masked, mapped to another network, inverted, joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from nfcompile.model.ranges import Range
from nfcompile.verify.field_values import FieldValues, Segment

WORD = 0xFFFFFFFF


def moved(value: Range, by: int) -> Range:
    """Every number of a value plus `by`."""
    return value.moved(by) if isinstance(value, FieldValues) else Range(value.first + by, value.last + by)


def masked(value: Range, mask: int) -> Range:
    """`value & mask`. Of numbers that the kernel chooses the hull of the results, as close as usual masks
    allow.

    >>> masked(Range(0x1000001, 0x1000200), 0xFF000000), masked(Range(0x102, 0x105), 0xFF)
    (Range(first=16777216, last=16777216), Range(first=2, last=5))
    """
    if isinstance(value, FieldValues):
        return _masked_values(value, mask) if value.first < value.last else _masked_part(value, mask)
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


_masked_values = lru_cache(1 << 12)(_masked_part)
"""Rules ask for the same part of an address again and again. One number is equal to that of another field."""


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
    """`value ^ bits`: of one number, or of stretches of an aligned power of two that the bits keep together.

    >>> inverted(Range(5, 5), 4), inverted(Range(0, 7), 4), inverted(Range(8, 31), 4)
    (Range(first=1, last=1), Range(first=0, last=7), Range(first=8, last=31))
    """
    if not bits:
        return value
    if value.first == value.last:
        return Range(value.first ^ bits, value.first ^ bits)
    size = 1 << bits.bit_length()
    if value.first % size == 0 and (value.last + 1) % size == 0:
        return value
    varying = (1 << (value.first ^ value.last).bit_length()) - 1
    fixed = (value.first ^ bits) & ~varying
    return Range(fixed, fixed | varying)


def joined(value: Range, bits: int) -> Range:
    """`value | bits`, where no number of the range has any of the bits; otherwise for one number only."""
    if not bits:
        return value
    whole = isinstance(value, FieldValues) and value.first < value.last
    return _joined_values(value, bits) if whole else _joined(value, bits)


def _joined(value: Range, bits: int) -> Range:
    if isinstance(value, FieldValues):
        stretches = [Range(piece.first + piece.shift, piece.last + piece.shift) for piece in value.pieces]
    else:
        stretches = [value]
    if all(masked(one, bits) == Range(0, 0) for one in stretches):
        return moved(value, bits)
    if value.first == value.last:
        return Range(value.first | bits, value.first | bits)
    return Range(bits, WORD)


_joined_values = lru_cache(1 << 12)(_joined)
"""As with masks."""
