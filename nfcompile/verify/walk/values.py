"""What a field can hold: a range of numbers, of which the true one is not known, or a name.

A key is a tuple of them, as in a concatenation. Questions about ranges have three answers: yes, no, and
None, where it differs among the packets of a box or with what the kernel chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names
from nfcompile.verify.boxes import within as number_within
from nfcompile.verify.chosen_values import Scrambled
from nfcompile.verify.field_values import FieldValues, Split

Value = Range | str | Names
Key = tuple[Value, ...]


class UnknownStatement(Exception):
    """A rule has something that the walker does not know; the message names it."""


def number_of(value: Value) -> Range:
    """A value that must be a number; UnknownStatement where it is a name."""
    if not isinstance(value, Range):
        raise UnknownStatement(f"'{value}' is not a number")
    return value


def certain(key: Key) -> bool:
    """Whether the kernel has no choice: every part is a name, one number, or what a packet of a box has."""
    return all(
        not isinstance(part, Range) or part.first == part.last or isinstance(part, FieldValues | Scrambled)
        for part in key
    )


def within(value: Value, pattern: Value) -> bool | None:
    """Whether a value lies in a pattern; None where only a part of it does."""
    if isinstance(value, Names):
        return None if pattern in value.names else False
    if isinstance(value, Range) and isinstance(pattern, Range):
        return number_within(value, pattern)
    return value == pattern


def key_within(key: Key, pattern: Key) -> bool | None:
    """The same of all parts of a key."""
    found: bool | None = True
    for part, one in zip(key, pattern, strict=True):
        answer = within(part, one)
        if answer is False:
            return False
        found = found and answer
    return found


def apart(key: Key, patterns: Sequence[Key]) -> None:
    """Raise Split where packets of one box differ in which of these patterns their key lies in."""
    for index, part in enumerate(key):
        unsure = {one[index] for one in patterns if within(part, one[index]) is None}
        if unsure and isinstance(part, Names):
            raise part.apart(one for one in unsure if isinstance(one, str))
        if unsure and isinstance(part, FieldValues):
            ranges = [one for one in unsure if isinstance(one, Range)]
            edges = sorted({edge for one in ranges for edge in (one.first, one.last + 1)})
            stretches = [Range(first, after - 1) for first, after in pairwise(edges)]
            held = [tuple(one.first <= each.first <= one.last for one in ranges) for each in stretches]
            nowhere = (False,) * len(ranges)
            by_kind: dict[tuple[bool, ...], list[Range]] = {}
            for at, where in part.divided(stretches).items():
                by_kind.setdefault(held[at] if at >= 0 else nowhere, []).extend(where)
            raise Split(part.field, (union(where) for where in by_kind.values()))


def hull(keys: Sequence[Key]) -> Key:
    """The smallest key that holds all; names must not differ."""
    if len(keys) == 1:
        return keys[0]
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
