"""What a field can hold: a range of numbers, of which the true one is not known, or a name.

A key is a tuple of them, as in a concatenation. Questions about ranges have three answers: yes, no, and
None, which is for the walker to try both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

from nfcompile.model.ranges import Range

Value = Range | str
Key = tuple[Value, ...]

WORD = 0xFFFFFFFF
ANYTHING = Range(0, WORD)


def number(value: int) -> Range:
    """The range that holds one number."""
    return Range(value, value)


def certain(key: Key) -> bool:
    """Whether every part is one number or a name."""
    return all(isinstance(part, str) or part.first == part.last for part in key)


def within(value: Value, pattern: Value) -> bool | None:
    """Whether a value lies in a pattern; None where only a part of it does.

    >>> within(Range(5, 6), Range(1, 9)), within(Range(5, 6), Range(6, 9)), within(Range(5, 6), Range(7, 9))
    (True, None, False)
    """
    if isinstance(value, str) or isinstance(pattern, str):
        return value == pattern
    if value.last < pattern.first or pattern.last < value.first:
        return False
    return True if pattern.first <= value.first and value.last <= pattern.last else None


def key_within(key: Key, pattern: Key) -> bool | None:
    """The same of all parts of a key."""
    answers = [within(part, one) for part, one in zip(key, pattern, strict=True)]
    if False in answers:
        return False
    return None if None in answers else True


def hull(keys: Sequence[Key]) -> Key:
    """The smallest key that holds all; names must not differ."""
    joined: list[Value] = []
    for parts in zip(*keys, strict=True):
        ranges = [part for part in parts if isinstance(part, Range)]
        if len(ranges) == len(parts):
            joined.append(Range(min(r.first for r in ranges), max(r.last for r in ranges)))
        elif len(set(parts)) == 1:
            joined.append(parts[0])
        else:
            raise ValueError(f"no common value of {parts}")
    return tuple(joined)


def masked(value: Range, mask: int) -> Range:
    """`value & mask`; of a range the hull of the results, as close as two of the usual masks allow.

    >>> masked(Range(0x1000001, 0x1000200), 0xFF000000), masked(Range(0x102, 0x105), 0xFF)
    (Range(first=16777216, last=16777216), Range(first=2, last=5))
    """
    first, last = value
    varying = (1 << (first ^ last).bit_length()) - 1
    dropped = varying & ~mask
    if dropped & (dropped + 1) == 0:
        return Range(first & mask, last & mask)
    fixed = first & mask & ~varying
    return Range(fixed, fixed | (mask & varying))


def joined(value: Range, bits: int) -> Range:
    """`value | bits`, where no number of the range has any of the bits; otherwise for one number only."""
    if value.first == value.last:
        return number(value.first | bits)
    if masked(value, bits) == number(0):
        return Range(value.first + bits, value.last + bits)
    return Range(bits, WORD)
