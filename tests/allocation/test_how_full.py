"""How full the blocks are, cell by cell: as many as a count of every subscriber's block says."""

from collections import Counter
from itertools import pairwise

import pytest

from nfcompile.allocation.fill import COLUMNS_MOST, ROWS_MOST, fill
from nfcompile.ipalloc import Layout, Stock
from nfcompile.model.ranges import Range

ONE_ADDRESS, IN_ORDER = (Range(40, 40),), (Range(8, 11),)
OUT_OF_ORDER = Range(200, 261), Range(8, 75), Range(100, 106)
FEW_BLOCKS, MANY_BLOCKS = (Range(1024, 4095), 1024), (Range(1024, 65535), 500)
SUBSCRIBERS = Range(5, 9), Range(300, 377), Range(100, 111)


def addresses(run):
    return range(run.first, run.last + 1)


def counted(layout):
    """Every subscriber by the position of its address and the number of its block."""
    positions = [address for run in layout.stock.globals for address in addresses(run)]
    found = (layout.binding(one) for run in SUBSCRIBERS for one in addresses(run))
    return Counter(
        (positions.index(block.address), layout.stock.number(block.first)) for block in found if block
    )


@pytest.mark.parametrize("by_address", [False, True])
@pytest.mark.parametrize("cut", [FEW_BLOCKS, MANY_BLOCKS])
@pytest.mark.parametrize("globals_", [ONE_ADDRESS, IN_ORDER, OUT_OF_ORDER])
def test_every_subscribers_block_is_in_its_cell(globals_, cut, by_address):
    layout = Layout(Stock(globals_, *cut, by_address=by_address), SUBSCRIBERS)
    cells = fill(layout)

    expected = counted(layout)
    assert sum(expected.values()) == min(95, layout.stock.capacity)
    for cell in cells:
        inside = (
            count
            for (position, block), count in expected.items()
            if cell.addresses.first <= position <= cell.addresses.last
            and cell.blocks.first <= block <= cell.blocks.last
        )
        assert cell.used == sum(inside), cell


@pytest.mark.parametrize("cut", [FEW_BLOCKS, MANY_BLOCKS])
@pytest.mark.parametrize("globals_", [ONE_ADDRESS, IN_ORDER, OUT_OF_ORDER])
def test_the_cells_are_all_addresses_and_all_blocks(globals_, cut):
    stock = Stock(globals_, *cut)
    cells = fill(Layout(stock, SUBSCRIBERS))

    rows = sorted({cell.addresses for cell in cells})
    columns = sorted({cell.blocks for cell in cells})
    assert len(cells) == len(rows) * len(columns)
    for runs, number, most in (
        (rows, stock.addresses, ROWS_MOST),
        (columns, stock.blocks_per_address, COLUMNS_MOST),
    ):
        assert len(runs) == min(number, most)
        assert (runs[0].first, runs[-1].last) == (0, number - 1)
        assert all(one.last + 1 == other.first for one, other in pairwise(runs))
        assert max(one.size for one in runs) - min(one.size for one in runs) <= 1
