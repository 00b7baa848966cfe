"""Arithmetic of ranges, against sets of integers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nfcompile.model.ranges import (
    Cover,
    Range,
    cidrs,
    intersect,
    subtract,
    union,
)

small = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=6).map(
    lambda pairs: [Range(first, first + size) for first, size in pairs]
)


def members(ranges):
    return {n for one in ranges for n in range(one.first, one.last + 1)}


@given(small, small)
def test_set_arithmetic(left, right):
    assert members(union(left)) == members(left)
    assert members(intersect(left, right)) == members(left) & members(right)
    assert members(subtract(left, right)) == members(left) - members(right)
    joined = union(left)
    assert all(a.last + 1 < b.first for a, b in pairwise(joined))


@given(small, st.integers(0, 60), st.integers(0, 12))
def test_cover(ranges, first, size):
    cover = Cover()
    for one in ranges:
        cover.add(one, one)
    asked = Range(first, first + size)

    assert cover.covers(asked) == (members([asked]) <= members(ranges))


@given(st.integers(0, 2**32 - 1), st.integers(0, 5000))
def test_cidrs(first, size):
    value = Range(first, min(first + size, 2**32 - 1))
    parts = list(cidrs(value))

    assert all(base % (1 << bits) == 0 for base, bits in parts)
    assert [base for base, _ in parts] == sorted(base for base, _ in parts)
    assert sum(1 << bits for _, bits in parts) == value.size
    assert parts[0][0] == value.first
    assert parts[-1][0] + (1 << parts[-1][1]) - 1 == value.last
