"""The map of a pool for `plan --html`: across the ports of an address, down the global addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.model.ranges import address_text

if TYPE_CHECKING:
    from nfcompile.allocation.fill import FillCell
    from nfcompile.allocation.pools import PoolAllocation
    from nfcompile.ipalloc import Stock

LEFT, TOP, RIGHT, CELL_HEIGHT = 120, 18, 1080, 9
"""Where the grid begins and ends, in the picture's units: names of addresses are left of it, ports above."""


class MapCell(NamedTuple):
    """A rectangle: `share` 0 is free, 1 all used; its title is shown over it."""

    x: float
    y: int
    width: float
    share: float
    title: str


class MapLabel(NamedTuple):
    """Words beside the grid; `anchor` as SVG has it."""

    x: int
    y: int
    text: str
    anchor: str


class FillMap(NamedTuple):
    """The grid as rectangles and words; `waste` is the strip of ports that are in no block."""

    label: str
    width: int
    height: int
    cell_height: int
    cells: tuple[MapCell, ...]
    waste: MapCell | None
    labels: tuple[MapLabel, ...]


def fill_map(allocation: PoolAllocation) -> FillMap | None:
    """The map of a deterministic cgnat pool; others have no computed blocks to show."""
    from nfcompile.allocation.fill import fill

    stock = allocation.stock
    if not (allocation.pool.is_deterministic and allocation.pool.shares_addresses) or stock.ports is None:
        return None
    cells = fill(allocation.layout())
    if not cells:
        return None
    columns = sum(one.addresses == cells[0].addresses for one in cells)
    height = len(cells) // columns * CELL_HEIGHT
    used = sum(one.used for one in cells)
    left_over = stock.ports.size - stock.blocks_per_address * stock.block_size
    label = f"{used:,} of {stock.capacity:,} blocks have a subscriber"
    if left_over:
        label += f", {left_over:,} ports of each address are in no block"
    return FillMap(
        label,
        RIGHT,
        height + TOP + 4,
        CELL_HEIGHT - 1,
        tuple(_cell(stock, run, row) for row, run in _runs(cells, columns)),
        _waste(stock, left_over) if left_over else None,
        tuple(_labels(stock, height)),
    )


def _runs(cells: Sequence[FillCell], columns: int) -> Iterator[tuple[int, list[FillCell]]]:
    """Neighbours of one row that are equally full, and the number of the row."""
    for row in range(len(cells) // columns):
        several = cells[row * columns : (row + 1) * columns]
        for _, equal in groupby(several, key=lambda one: one.share):
            yield row, list(equal)


def _place(stock: Stock, port: int) -> float:
    """Where a port stands; the range of ports is as wide as the grid."""
    assert stock.ports is not None
    return round(LEFT + (port - stock.ports.first) * (RIGHT - LEFT) / stock.ports.size, 2)


def _cell(stock: Stock, run: Sequence[FillCell], row: int) -> MapCell:
    first, last = run[0], run[-1]
    begin, end = stock.block(0, first.blocks.first).first, stock.block(0, last.blocks.last).last
    used = sum(one.used for one in run)
    blocks = f"{used:,} of {sum(one.addresses.size * one.blocks.size for one in run):,} blocks"
    addresses = f"addresses {first.addresses.first + 1:,} to {first.addresses.last + 1:,}"
    left, right = _place(stock, begin), _place(stock, end + 1)
    title = f"{addresses}, ports {begin}-{end}: {blocks}"
    share = round(0.15 + 0.85 * first.share, 2) if used else 0.0
    return MapCell(left, row * CELL_HEIGHT + TOP, round(right - left, 2), share, title)


def _waste(stock: Stock, left_over: int) -> MapCell:
    assert stock.ports is not None
    begin = _place(stock, stock.ports.last + 1 - left_over)
    title = f"ports {stock.ports.last + 1 - left_over}-{stock.ports.last} of each address are in no block"
    return MapCell(begin, TOP, round(RIGHT - begin, 2), 0.0, title)


def _labels(stock: Stock, height: int) -> Iterator[MapLabel]:
    assert stock.ports is not None
    yield MapLabel(LEFT, TOP - 6, f"port {stock.ports.first}", "start")
    yield MapLabel(RIGHT, TOP - 6, f"port {stock.ports.last}", "end")
    first, last = stock.globals[0].first, stock.globals[-1].last
    yield MapLabel(LEFT - 8, TOP + CELL_HEIGHT, address_text(first), "end")
    if first != last:
        yield MapLabel(LEFT - 8, max(TOP + height - 1, TOP + 2 * CELL_HEIGHT + 4), address_text(last), "end")
