"""Numbers of dynamic blocks: both directions agree, and every order holds every number once."""

from hypothesis import given
from hypothesis import strategies as st

from nfcompile.allocation.numbering import FIRST_NUMBER, Numbering
from nfcompile.ipalloc import Stock
from nfcompile.model.ranges import Range


@st.composite
def stocks(draw):
    """Up to four entries in any order, disjoint, with or without ports."""
    firsts = draw(st.lists(st.sampled_from(range(0, 80, 10)), min_size=1, max_size=4, unique=True))
    entries = tuple(Range(first, first + draw(st.integers(0, 9))) for first in firsts)
    ports = draw(st.one_of(st.none(), st.just(Range(1000, 1099))))
    return Stock(entries, ports, draw(st.integers(2, 100)) if ports else 1)


@given(stocks())
def test_numbers_and_blocks_are_each_others_inverse(stock):
    numbering = Numbering(stock)
    pairs = list(numbering.blocks())

    assert [number for number, _ in pairs] == sorted({number for number, _ in pairs})
    assert len({block for _, block in pairs}) == stock.capacity
    for number, block in pairs:
        assert numbering.block(number) == block
        assert numbering.numbers(block.address, block.first) == [number]
        assert number in numbering.numbers(block.address)
    assert numbering.block(FIRST_NUMBER - 1) is None
    assert numbering.block(FIRST_NUMBER + stock.addresses) is None
    assert numbering.block(FIRST_NUMBER + (1 << 24) - 1) is None
    assert numbering.numbers(99) == []


@given(stocks())
def test_a_number_is_the_address_in_its_low_bits_and_the_block_in_its_high_ones(stock):
    """What the ruleset looks at: two numbers with the same low bits are on one address, with the same high
    bits they have the same ports."""
    numbering = Numbering(stock)
    mask = numbering.block_mask

    for number, block in numbering.blocks():
        assert numbering.block(number & ~mask).address == block.address
        if mask:
            assert numbering.block(FIRST_NUMBER | number & mask).first == block.first
    assert numbering.most_addresses + 1 == (1 << 24) // (1 << numbering.block_bits)


@given(stocks(), st.integers(0, 9))
def test_an_appended_address_renumbers_nothing(stock, more):
    before = dict(Numbering(stock).blocks())
    grown = stock._replace(globals=(*stock.globals, Range(200, 200 + more)))

    assert dict(Numbering(grown).blocks()) | before == dict(Numbering(grown).blocks())
