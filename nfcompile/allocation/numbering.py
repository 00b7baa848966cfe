"""Numbers of the blocks of a dynamic pool: what the kernel keeps in `assigned`, and what it logs as a mark.

nft computes no address from a number, but it can look at some of its bits: the low ones count the addresses,
the high ones the blocks of an address, so that a map of the addresses and one of the blocks say what a number
stands for. How many bits count blocks depends on the ports alone: an appended address changes no number.

Knows nothing of nft.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from nfcompile.ipalloc import Block, Stock

FIRST_NUMBER = 0x2000000
"""The numbers of each pool start here: a packet mark of this range stands for a block."""
BITS = 24
"""Bits of a number, without those of FIRST_NUMBER."""


class Numbering:
    """The numbers of one pool's blocks, both ways; each question costs O(log entries of `global_ip`).

    >>> from nfcompile.model.ranges import Range
    >>> numbering = Numbering(Stock((Range(8, 9), Range(20, 20)), Range(1024, 3071), 1024))
    >>> numbering.block(FIRST_NUMBER + (1 << 23) + 2), hex(numbering.number(20, 0))
    (Block(address=20, first=2048, last=3071), '0x2000002')
    >>> numbering.block(FIRST_NUMBER + 3), numbering.number(10, 0), numbering.number(8, 2)
    (None, None, None)
    """

    __slots__ = ("_first_indexes", "_order", "_sorted_firsts", "block_bits", "each", "shift", "stock")

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.each = stock.blocks_per_address
        self.block_bits = max(self.each - 1, 0).bit_length()
        self.shift = BITS - self.block_bits
        self._first_indexes = [0, *accumulate(entry.size for entry in stock.globals)]
        self._order = sorted(range(len(stock.globals)), key=lambda entry: stock.globals[entry].first)
        self._sorted_firsts = [stock.globals[entry].first for entry in self._order]

    @property
    def most_addresses(self) -> int:
        """So many addresses can be counted; the last number of all stands for no block."""
        return (1 << self.shift) - 1

    @property
    def block_mask(self) -> int:
        """The bits that count the blocks of an address; 0 where each has one."""
        return (1 << BITS) - (1 << self.shift)

    def block(self, number: int) -> Block | None:
        """Return the block that a number stands for, None where it stands for none."""
        if not 0 <= number - FIRST_NUMBER < 1 << BITS:
            return None
        block, index = divmod(number - FIRST_NUMBER, 1 << self.shift)
        if block >= self.each or index >= self._first_indexes[-1]:
            return None
        entry = bisect_right(self._first_indexes, index) - 1
        address = self.stock.globals[entry].first + index - self._first_indexes[entry]
        return self.stock.block(address, block)

    def number(self, address: int, block: int) -> int | None:
        """Return the number of block `block` (from 0) of a global address, None where there is none."""
        at = bisect_right(self._sorted_firsts, address) - 1
        if at < 0 or not 0 <= block < self.each:
            return None
        entry = self._order[at]
        first, last = self.stock.globals[entry]
        if address > last:
            return None
        return FIRST_NUMBER | block << self.shift | self._first_indexes[entry] + address - first

    def numbers(self, address: int, port: int | None = None) -> list[int]:
        """Return the numbers of all blocks of a global address, or of the one that holds `port`."""
        blocks = range(self.each) if port is None else (self.stock.number(port),)
        found = (self.number(address, block) for block in blocks if block is not None)
        return [number for number in found if number is not None]

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """All numbers with their blocks, ascending."""
        for block in range(self.each):
            for index, address in enumerate(self.addresses()):
                yield FIRST_NUMBER | block << self.shift | index, self.stock.block(address, block)

    def addresses(self) -> Iterator[int]:
        """All global addresses in the order in which they are counted."""
        for entry in self.stock.globals:
            yield from range(entry.first, entry.last + 1)
