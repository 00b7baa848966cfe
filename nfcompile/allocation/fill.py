"""How full the blocks of a deterministic pool are: a grid of few cells, however many addresses there are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from nfcompile.ipalloc import Layout
from nfcompile.model.ranges import Range

ROWS_MOST = 48
COLUMNS_MOST = 96


class FillCell(NamedTuple):
    """Neighbouring addresses (by position in `global_ip`) and blocks of a pool, and how many of these blocks
    subscribers have."""

    addresses: Range
    blocks: Range
    used: int

    @property
    def share(self) -> float:
        """From 0, all free, to 1."""
        return self.used / (self.addresses.size * self.blocks.size)


def fill(layout: Layout) -> tuple[FillCell, ...]:
    """The cells row by row; none where an address has no block.

    >>> from nfcompile.ipalloc import Stock
    >>> stock = Stock((Range(8, 11),), Range(1024, 3071), 1024)
    >>> [(cell.addresses.first, cell.blocks.first, cell.share) for cell in fill(Layout(stock, [Range(1, 3)]))]
    [(0, 0, 0.0), (0, 1, 0.0), (1, 0, 1.0), (1, 1, 0.0), (2, 0, 1.0), (2, 1, 0.0), (3, 0, 1.0), (3, 1, 0.0)]
    """
    stock = layout.stock
    if not stock.blocks_per_address:
        return ()
    rows = _cut(stock.addresses, ROWS_MOST)
    columns = _cut(stock.blocks_per_address, COLUMNS_MOST)
    used = [[0] * len(columns) for _ in rows]
    for positions, block in _runs(layout):
        column = block * len(columns) // stock.blocks_per_address
        for row in range(_index(positions.first, rows), _index(positions.last, rows) + 1):
            first, last = max(positions.first, rows[row].first), min(positions.last, rows[row].last)
            used[row][column] += last - first + 1
    return tuple(
        FillCell(addresses, blocks, used[row][column])
        for row, addresses in enumerate(rows)
        for column, blocks in enumerate(columns)
    )


def _cut(number: int, most: int) -> list[Range]:
    """0 to `number` - 1 in at most so many runs of nearly equal size."""
    count = min(number, most)
    edges = [-(-index * number // count) for index in range(count + 1)]
    return [Range(first, after - 1) for first, after in pairwise(edges)]


def _index(position: int, runs: list[Range]) -> int:
    return bisect_right(runs, position, key=lambda run: run.first) - 1


def _runs(layout: Layout) -> Iterator[tuple[Range, int]]:
    """Positions of addresses whose block of a number has a subscriber, and that number."""
    stock = layout.stock
    if stock.by_address:
        for section in layout.sections:
            last = section.number + section.last - section.first
            yield from _by_address(section.number, last, stock.blocks_per_address)
        return
    starts = accumulate((entry.size for entry in stock.globals), initial=0)
    shifts = sorted(
        (entry.first, start - entry.first) for entry, start in zip(stock.globals, starts, strict=False)
    )
    firsts = [first for first, _ in shifts]
    for run in layout.runs():
        _, shift = shifts[bisect_right(firsts, run.addresses.first) - 1]
        yield Range(run.addresses.first + shift, run.addresses.last + shift), run.block


def _by_address(first: int, last: int, each: int) -> Iterator[tuple[Range, int]]:
    """Blocks `first` to `last`, counted address by address."""
    for block in range(each):
        start = -(-(first - block) // each)
        end = (last - block) // each
        if start <= end:
            yield Range(start, end), block
