"""Where the ports of new sockets are looked for."""

import pytest

from nfcompile.ipalloc import Stock
from nfcompile.lower.computed_ports import spread
from nfcompile.model.ranges import Range


@pytest.mark.parametrize("size", [1024, 1008, 1000, 100, 63, 7, 1])
def test_no_candidate_leaves_its_block(size):
    """Every port that a part and its low bits can give is one of the block's."""
    stock = Stock((), Range(1024, 65535), size)
    one = spread(("tcp", "udp"), stock, size)

    for number in range(stock.blocks_per_address):
        block = stock.block(0, number)
        for at in range(one.parts):
            part = one.part(block.first, at)
            if part is not None:
                assert block.first <= part.first <= part.last <= block.last
                assert part.first % part.size == 0
                assert part.size >= 1 << one.bits
