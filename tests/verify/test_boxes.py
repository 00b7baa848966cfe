"""Parts of a box: whatever is done with a part is what is done with every number of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names, RangeTable, has, one_of, within
from nfcompile.verify.field_values import FieldValues, Segment, Split
from nfcompile.verify.value_arithmetic import joined, masked, netmapped

TOP = 255
numbers = st.integers(0, TOP)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Range, ...]:
    ends = draw(st.lists(numbers, min_size=2, max_size=8).filter(lambda found: len(found) % 2 == 0))
    return union(Range(*sorted(pair)) for pair in zip(ends[::2], ends[1::2], strict=True))


@st.composite
def parts(draw: st.DrawFn) -> FieldValues:
    return FieldValues("x", (Segment(*one, draw(st.integers(0, 300)) + 1000) for one in draw(ranges())))


def table_of(part: FieldValues) -> dict[int, int]:
    """Every value of the field, and the part's number for it."""
    return {
        value: (value + piece.shift) // part.grain * part.grain
        for piece in part.pieces
        for value in range(piece.first, piece.last + 1)
    }


@given(parts())
def test_a_part_is_the_hull_of_its_numbers(part: FieldValues) -> None:
    found = table_of(part).values()

    assert tuple(part) == (min(found), max(found))


@given(parts(), numbers, numbers)
def test_a_question_that_has_two_answers_cuts_the_box_between_them(
    part: FieldValues, first: int, last: int
) -> None:
    pattern = Range(1000 + min(first, last), 1000 + 2 * max(first, last))
    answers = {value: pattern.first <= number <= pattern.last for value, number in table_of(part).items()}

    if len(set(answers.values())) == 1:
        assert has(pattern, part) is next(iter(answers.values()))
        return
    with pytest.raises(Split) as split:
        has(pattern, part)
    assert within(part, pattern) is None
    for values in split.value.values:
        inside = [
            value for one in values if isinstance(one, Range) for value in range(one.first, one.last + 1)
        ]
        assert len({answers[value] for value in inside}) == 1
    assert sum(one.size for values in split.value.values for one in values if isinstance(one, Range)) == len(
        answers
    )


@given(parts(), st.sampled_from((0xFFFFFF00, 0xFFFFFFC0, 0xFFFFFFFF, 0x3F, 0xFF, 0x7FF, 0x7F0)))
def test_a_mask_is_put_on_every_number(part: FieldValues, mask: int) -> None:
    found = masked(part, mask)

    assert isinstance(found, FieldValues)
    assert table_of(found) == {value: number & mask for value, number in table_of(part).items()}


@given(parts(), st.sampled_from((0xFFFFFFC0, 0xFFFFFF80)), ranges())
def test_a_rounded_part_is_divided_by_its_numbers(
    part: FieldValues, mask: int, patterns: tuple[Range, ...]
) -> None:
    found = masked(part, mask)
    moved = [Range(one.first * 5 + 900, one.last * 5 + 901) for one in patterns]

    assert isinstance(found, FieldValues)
    for value, number in table_of(found).items():
        at = next((n for n, one in enumerate(moved) if one.first <= number <= one.last), -1)
        holders = [
            n for n, where in found.divided(moved).items() if any(w.first <= value <= w.last for w in where)
        ]
        assert holders == [at]


@given(parts(), st.sampled_from((0x10000, 0x30000)))
def test_bits_are_added_to_every_number(part: FieldValues, bits: int) -> None:
    found = joined(part, bits)

    assert isinstance(found, FieldValues)
    assert table_of(found) == {value: number | bits for value, number in table_of(part).items()}


@given(ranges(), st.integers(0, 4))
def test_netmap_keeps_the_low_bits_of_every_number(where: tuple[Range, ...], bits: int) -> None:
    part = FieldValues.whole("x", where)
    base = 0x5000
    target = Range(base, base + (1 << bits) - 1)

    found = netmapped(part, [(one, target) for one in where])

    assert table_of(found) == {value: base | value & ((1 << bits) - 1) for value in table_of(part)}


@given(parts(), ranges())
def test_a_table_moves_what_it_holds(part: FieldValues, rows: tuple[Range, ...]) -> None:
    moved = [(Range(one.first + 1000, one.last + 1000), 7 * at, at % 2) for at, one in enumerate(rows)]
    table = RangeTable(moved)
    answers = {}
    for value, number in table_of(part).items():
        found = table.look_up(Range(number, number))
        answers[value] = None if found is None else (found[0].first, found[1])
    tags = {answer and answer[1] for answer in answers.values()}

    if len(tags) > 1:
        with pytest.raises(Split) as split:
            table.look_up(part)
        assert len(split.value.values) == len(tags)
        return
    found = table.look_up(part)
    if found is None:
        assert tags == {None}
    else:
        assert isinstance(found[0], FieldValues)
        assert table_of(found[0]) == {value: answer and answer[0] for value, answer in answers.items()}
        assert {found[1]} == tags


def test_parts_are_equal_when_every_packet_has_the_same() -> None:
    one = FieldValues("x", [Segment(1, 5, 10), Segment(6, 9, 10)])

    assert one == FieldValues("x", [Segment(1, 9, 10)])
    assert one != FieldValues("y", [Segment(1, 9, 10)])
    assert one != Range(11, 19)
    assert one != FieldValues("x", [Segment(1, 4, 15), Segment(5, 9, 6)])
    assert FieldValues("x", [Segment(4, 4, 1)]) == Range(5, 5) == FieldValues("y", [Segment(5, 5, 0)])


def test_a_table_answers_for_the_packets_that_it_is_asked_of() -> None:
    """Two parts of one number are equal, and still parts of different packets."""
    table = RangeTable([(Range(7, 7), 100, 0)])

    for value in (1, 3):
        found = table.look_up(FieldValues("x", [Segment(value, value, 7 - value)]))
        assert found is not None
        assert isinstance(found[0], FieldValues)
        assert table_of(found[0]) == {value: 107}


def test_names_are_cut_by_what_is_asked() -> None:
    some = Names(frozenset({"lan0", "lan1", "wan0"}), "interface")

    assert one_of(("lan0", "lan1", "wan0", "wan1"), some)
    assert not one_of(("wan1",), some)
    with pytest.raises(Split) as split:
        one_of(("lan0", "lan1"), some)
    assert set(split.value.values) == {frozenset({"lan0", "lan1"}), frozenset({"wan0"})}
