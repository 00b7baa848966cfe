"""`fill: address`: one global address is filled before the next, as VyOS and the usual ISP scripts do."""

from hypothesis import given
from hypothesis import strategies as st

from nfcompile.ipalloc import Block, Layout, Stock
from nfcompile.model.ranges import Range


@st.composite
def stocks(draw):
    firsts = draw(st.lists(st.sampled_from(range(0, 80, 10)), min_size=1, max_size=4, unique=True))
    entries = tuple(Range(first, first + draw(st.integers(0, 9))) for first in firsts)
    return Stock(entries, Range(1000, 1099), draw(st.integers(10, 60)), by_address=True)


runs = st.lists(st.sampled_from(range(100, 400, 20)), min_size=1, max_size=5, unique=True).map(
    lambda firsts: [Range(first, first + first % 7) for first in firsts]
)


def addresses(ranges):
    return [address for one in ranges for address in range(one.first, one.last + 1)]


@given(stocks(), runs)
def test_subscriber_i_has_block_i_mod_k_of_address_i_div_k(stock, subscribers):
    layout, each = Layout(stock, subscribers), stock.blocks_per_address
    globals_ = addresses(stock.globals)

    for number, subscriber in enumerate(addresses(subscribers)):
        expected = None
        if number < stock.capacity:
            expected = stock.block(globals_[number // each], number % each)
        assert layout.binding(subscriber) == expected
        if expected is not None:
            assert layout.owner(expected.address, expected.first) == subscriber
            assert layout.owner(expected.address, expected.last) == subscriber


@given(stocks(), runs)
def test_runs_of_one_address_are_those_of_the_pieces(stock, subscribers):
    layout = Layout(stock, subscribers)
    found = {s: base for run, base, _ in layout.prefix_runs() for s in range(run.first, run.last + 1)}

    assert found == {piece.first: piece.base for piece in layout.pieces}


@given(stocks(), runs, st.integers(0, 9))
def test_appending_moves_no_subscriber(stock, subscribers, more):
    before = Layout(stock, subscribers)
    grown = stock._replace(globals=(*stock.globals, Range(200, 200 + more)))

    for layout in (Layout(grown, subscribers), Layout(stock, [*subscribers, Range(500, 500 + more)])):
        for subscriber in addresses(subscribers):
            if before.binding(subscriber) is not None:
                assert layout.binding(subscriber) == before.binding(subscriber)


def test_the_order_is_the_one_of_vyos():
    """VyOS 1.4 cgnat: 10.0.0.0/30, two blocks per address."""
    layout = Layout(Stock((Range(8, 9),), Range(1024, 65535), 32256, True), [Range(100, 103)])

    assert [layout.binding(one) for one in range(100, 104)] == [
        Block(8, 1024, 33279),
        Block(8, 33280, 65535),
        Block(9, 1024, 33279),
        Block(9, 33280, 65535),
    ]
