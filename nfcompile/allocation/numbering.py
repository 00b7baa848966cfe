"""Numbers of the blocks of a dynamic pool: what the kernel keeps in `assigned`, and what it logs as a mark.

nft computes no address from a number, so the ruleset looks numbers up in maps. `lookup`, the log of
assignments and the review of live state compute the block here. Number a * K + b is block b of address a,
where each address has K blocks: an appended address changes no number.

Knows nothing of nft.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from nfcompile.ipalloc import Block, Stock

FIRST_NUMBER = 0x2000000
"""The numbers of each pool start here: a packet mark of this range stands for a block."""


class Numbering:
    """The numbers of one pool's blocks, both ways; each question costs O(log entries of `global_ip`).

    >>> from nfcompile.model.ranges import Range
    >>> numbering = Numbering(Stock((Range(8, 9), Range(20, 20)), Range(1024, 3071), 1024))
    >>> numbering.block(FIRST_NUMBER + 3), numbering.number(20, 0) - FIRST_NUMBER
    (Block(address=9, first=2048, last=3071), 4)
    >>> numbering.block(FIRST_NUMBER + 6), numbering.number(10, 0), numbering.number(8, 2)
    (None, None, None)
    """

    __slots__ = ("_first_indexes", "_order", "_sorted_firsts", "each", "stock")

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.each = stock.blocks_per_address
        self._first_indexes = [0, *accumulate(entry.size for entry in stock.globals)]
        self._order = sorted(range(len(stock.globals)), key=lambda entry: stock.globals[entry].first)
        self._sorted_firsts = [stock.globals[entry].first for entry in self._order]

    def block(self, number: int) -> Block | None:
        """Return the block that a number stands for, None where it stands for none."""
        if not FIRST_NUMBER <= number < FIRST_NUMBER + self.stock.capacity:
            return None
        index, block = divmod(number - FIRST_NUMBER, self.each)
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
        index = self._first_indexes[entry] + address - first
        return FIRST_NUMBER + index * self.each + block

    def numbers(self, address: int, port: int | None = None) -> list[int]:
        """Return the numbers of all blocks of a global address, or of the one that holds `port`."""
        blocks = range(self.each) if port is None else (self.stock.number(port),)
        found = (self.number(address, block) for block in blocks if block is not None)
        return [number for number in found if number is not None]

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """All numbers with their blocks, ascending."""
        number = FIRST_NUMBER
        for address in self.addresses():
            for block in range(self.each):
                yield number, self.stock.block(address, block)
                number += 1

    def addresses(self) -> Iterator[int]:
        """All global addresses in the order of their numbers."""
        for entry in self.stock.globals:
            yield from range(entry.first, entry.last + 1)

    def turns(self) -> Iterator[int]:
        """All numbers in the order in which they are handed out: the addresses fill equally."""
        firsts = range(FIRST_NUMBER, FIRST_NUMBER + self.stock.capacity, self.each)
        return (first + block for block in range(self.each) for first in firsts)

    def following(self) -> Iterator[tuple[int, int]]:
        """Each number with the next one of the same address; the last is followed by the first."""
        for index in range(self.stock.addresses):
            first = FIRST_NUMBER + index * self.each
            for block in range(self.each):
                yield first + block, first + (block + 1) % self.each
