"""`fill: address` as two short look-ups: which block of its address a subscriber has.

Subscriber number i has block i mod K. nft has no division, but the low bits of a source and its high bits are
looked up one after the other: in an aligned *cell* of 2^n sources, number i = (number of the cell's start) +
(low n bits), so the remainder of the start, of which there are K at most, and the low bits say the block.
Elements: a cell each, and K times 2^n; at best about 2 sqrt(K subscribers). K may be any number; where it is
2^n, neighbouring cells have the same remainder and are one.
"""

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.ipalloc import Layout

MOST_BITS = 16


class Cell(NamedTuple):
    """Sources `first` to `last`: one with the low bits n has block `(residue + n) mod K` of its address."""

    first: int
    last: int
    residue: int


class Shape(NamedTuple):
    """Cells of 2^bits sources, and how many elements they need together with the low bits."""

    bits: int
    elements: int


def cells(layout: Layout, bits: int) -> Iterator[Cell]:
    """The cells of a layout by address, ascending; neighbours with one remainder are joined."""
    each, size = layout.stock.blocks_per_address, 1 << bits
    for section in layout.sections:
        joined: Cell | None = None
        at = section.first
        while at <= section.last:
            last = min(section.last, at | (size - 1))
            residue = (section.number + at - section.first - (at & (size - 1))) % each
            if joined is not None and joined.residue == residue:
                joined = joined._replace(last=last)
            else:
                if joined is not None:
                    yield joined
                joined = Cell(at, last, residue)
            at = last + 1
        if joined is not None:
            yield joined


def shape(layout: Layout) -> Shape | None:
    """The cells with the fewest elements; None where an element per subscriber is no worse.

    One look-up is quicker than two, so two must save half of the elements.
    """
    if not layout.sections:
        return None
    each = layout.stock.blocks_per_address
    best = min(
        (Shape(bits, _elements(layout, bits)) for bits in range(MOST_BITS + 1)), key=lambda one: one[1]
    )
    return best if 2 * (best.elements + each) < layout.piece_count else None


def address_count(layout: Layout) -> int:
    """Runs of subscribers that share one global address, about: the elements of the map to addresses."""
    if not layout.sections:
        return 0
    return layout.piece_count // layout.stock.blocks_per_address + 2 * len(layout.sections)


def _elements(layout: Layout, bits: int) -> int:
    """Cells and low bits, counted without a loop over the cells."""
    each = layout.stock.blocks_per_address
    count = sum((one.last >> bits) - (one.first >> bits) + 1 for one in layout.sections)
    if (1 << bits) % each == 0:
        count = len(layout.sections)
    return count + (min(count, each) << bits)
