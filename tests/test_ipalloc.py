"""Allocation: disjoint, complete, inverse, append-stable, and small where arithmetic allows it."""

from hypothesis import given
from hypothesis import strategies as st

from nfcompile.ipalloc import Layout, Stock
from nfcompile.model.ranges import Range


@st.composite
def disjoint_ranges(draw, low, high, count, size):
    """Ranges in any order that share nothing."""
    ranges, at = [], low
    for _ in range(draw(st.integers(1, count))):
        at += draw(st.integers(0, 20))
        last = at + draw(st.integers(1, size)) - 1
        if last > high:
            break
        ranges.append(Range(at, last))
        at = last + 1
    return draw(st.permutations(ranges)) if ranges else [Range(low, low)]


def laid_out(by_address):
    """Stocks of one layout."""
    return st.builds(
        Stock,
        disjoint_ranges(1000, 5000, 4, 40).map(tuple),
        st.builds(lambda lo, n: Range(lo, lo + n - 1), st.integers(1, 5000), st.integers(1, 60)),
        st.integers(1, 20),
        by_address=by_address,
    )


stocks = laid_out(st.booleans())
spread = laid_out(st.just(False))
by_address = laid_out(st.just(True))
runs = disjoint_ranges(100_000, 200_000, 5, 300)


def bindings(layout, subscribers):
    return {s: layout.binding(s) for run in subscribers for s in range(run.first, run.last + 1)}


@given(stocks, runs)
def test_disjoint_complete_inverse(stock, subscribers):
    layout = Layout(stock, subscribers)
    found = bindings(layout, subscribers)
    total = sum(run.size for run in subscribers)
    served = {s: block for s, block in found.items() if block is not None}

    assert len(served) == min(total, stock.capacity)
    assert len(set(served.values())) == len(served)
    for subscriber, block in served.items():
        assert any(entry.first <= block.address <= entry.last for entry in stock.globals)
        assert stock.ports.first <= block.first <= block.last <= stock.ports.last
        assert block.last - block.first + 1 == stock.block_size
        assert layout.owner(block.address, block.first) == subscriber
        assert layout.owner(block.address, block.last) == subscriber


@given(stocks, runs)
def test_owner_is_exact(stock, subscribers):
    layout = Layout(stock, subscribers)
    owned = {b: s for s, b in bindings(layout, subscribers).items() if b is not None}
    for entry in stock.globals:
        for address in range(entry.first - 1, entry.last + 2):
            for number in range(stock.blocks_per_address):
                block = stock.block(address, number)
                assert layout.owner(address, block.first) == owned.get(block)
            assert layout.owner(address, stock.ports.first - 1) is None


@given(stocks, runs)
def test_all_owners_of_an_address(stock, subscribers):
    """In the order of their blocks."""
    layout = Layout(stock, subscribers)
    served = [(b, s) for s, b in bindings(layout, subscribers).items() if b is not None]
    for address in {block.address for block, _ in served}:
        assert list(layout.owners(address)) == [s for b, s in sorted(served) if b.address == address]


@given(stocks, runs, st.integers(1, 50), st.integers(1, 50))
def test_append_moves_nobody(stock, subscribers, more, longer):
    """A further run, a longer last run and a further global entry all leave every binding as it was."""
    before = Layout(stock, subscribers)
    old = {s: b for s, b in bindings(before, subscribers).items() if b is not None}
    appended = [*subscribers, Range(300_000, 300_000 + more - 1)]
    extended = [*subscribers[:-1], Range(subscribers[-1].first, subscribers[-1].last + longer)]
    if any(a.first <= extended[-1].last and extended[-1].first < a.first for a in subscribers[:-1]):
        extended = list(subscribers)
    grown = stock._replace(globals=(*stock.globals, Range(9000, 9000 + more)))
    for layout in (Layout(stock, appended), Layout(stock, extended), Layout(grown, subscribers)):
        assert {s: layout.binding(s) for s in old} == old


@given(spread, runs)
def test_addresses_fill_equally(stock, subscribers):
    """Inside an entry no address has two blocks more than another."""
    layout = Layout(stock, subscribers)
    used = [b.address for b in bindings(layout, subscribers).values() if b is not None]
    for entry in stock.globals:
        counts = [used.count(a) for a in range(entry.first, entry.last + 1)]
        assert max(counts) - min(counts) <= 1


@given(by_address, runs)
def test_an_address_is_full_before_the_next_one_is_used(stock, subscribers):
    layout = Layout(stock, subscribers)
    used = [b.address for b in bindings(layout, subscribers).values() if b is not None]
    addresses = [a for entry in stock.globals for a in range(entry.first, entry.last + 1)]
    counts = [used.count(a) for a in addresses]
    full = sum(count == stock.blocks_per_address for count in counts)

    assert all(count == stock.blocks_per_address for count in counts[:full])
    assert not any(counts[full + 1 :])


def test_aligned_million_is_one_piece_a_block():
    stock = Stock((Range(0xC6120000, 0xC6120000 + 16383),), Range(1024, 65535), 1008)
    layout = Layout(stock, [Range(0x64400000, 0x64400000 + 2**20 - 1)])

    assert len(layout.pieces) == 64
    assert stock.capacity == 2**20
    for number in (0, 1, 16383, 16384, 2**20 - 1):
        block = layout.binding(0x64400000 + number)
        assert block.address == 0xC6120000 + number % 16384
        assert block.first == 1024 + 1008 * (number // 16384)


@given(spread, runs)
def test_pieces_stay_few(stock, subscribers):
    """The bound of the module's docstring."""
    layout = Layout(stock, subscribers)
    parts = sum(2 * entry.size.bit_length() for entry in stock.globals)
    bound = parts * stock.blocks_per_address + len(subscribers) * 2 * 6

    assert len(layout.pieces) == layout.piece_count <= bound


@given(by_address, runs)
def test_sections_stay_as_few_as_the_runs(stock, subscribers):
    """A layout by address keeps no value per subscriber unless it is asked for its pieces."""
    layout = Layout(stock, subscribers)

    assert len(layout.sections) <= len(subscribers)
    assert layout.piece_count == min(sum(run.size for run in subscribers), stock.capacity)
    assert layout.piece_count == len(layout.pieces)


def test_bindings_stay_from_version_to_version():
    """Who has which block is in an operator's log for years: a change of the order moves everybody."""
    stock = Stock((Range(1000, 1006), Range(2000, 2003)), Range(1, 4), 2)
    runs = [Range(13, 15), Range(100, 101), Range(40, 47)]
    found = [(b.address, b.first) for b in bindings(Layout(stock, runs), runs).values()]

    assert found[:5] == [(1001, 1), (1002, 1), (1003, 1), (1000, 1), (1005, 1)]
    assert found[5:9] == [(1004, 1), (1006, 1), (1002, 3), (1003, 3)]
    assert found[9:] == [(1000, 3), (1001, 3), (1004, 3), (1005, 3)]


def test_what_a_short_run_leaves_is_used_from_its_end_on():
    """Neighbours who come one after the other get neighbouring addresses, also across runs."""
    layout = Layout(Stock((Range(1000, 1007),)), [Range(8, 8), Range(101, 101), Range(50, 51), Range(72, 75)])

    found = {s: layout.binding(s).address for s in (8, 101, 50, 51, 72, 73, 74, 75)}
    assert found == {8: 1000, 101: 1001, 50: 1002, 51: 1003, 72: 1004, 73: 1005, 74: 1006, 75: 1007}
