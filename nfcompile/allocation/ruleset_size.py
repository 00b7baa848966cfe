"""How many map elements the ruleset of a pool has, from counts alone: before anything is laid out.

A ruleset is text of about 35 bytes for each element; building takes 0.6 KB of memory for each, and loading it
with nft 1.3 KB (measured with 520,000 elements).
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.residues import address_count, shape
from nfcompile.ipalloc import Stock
from nfcompile.model.ranges import cidrs

MAX_ELEMENTS = 1 << 20
"""About 40 MB of text, 0.6 GB to build and 1.3 GB to load."""
SLOT_ELEMENTS = 140
"""What one more block that a subscriber of a dynamic pool may hold costs: its chains are 4.9 KB of text."""


def element_count(allocation: PoolAllocation) -> int:
    """Estimate the map elements of a pool; exact for static pools, and for dynamic ones of one block each.

    A dynamic pool has one for each address, and one for each block of an address where there are several; the
    chains for each further block of a subscriber count as the elements that take as much text.
    """
    stock = allocation.stock
    if allocation.pool.is_dynamic:
        each = stock.blocks_per_address
        return stock.addresses + (each if each > 1 else 0) + SLOT_ELEMENTS * (allocation.blocks_each - 1)
    if stock.by_address:
        return _by_address(allocation)
    if allocation.pool.is_deterministic:
        ways = 2 if allocation.pool.leads_inbound else 1
        return ways * piece_count(stock, allocation.demand) + len(allocation.subscribers)
    return 2 * len(allocation.pool.global_map)


def _by_address(allocation: PoolAllocation) -> int:
    """Blocks by two short look-ups or one per subscriber, and a map to the addresses."""
    layout = allocation.layout()
    short = shape(layout)
    back = layout.piece_count if allocation.pool.leads_inbound else 0
    return (short.elements if short else layout.piece_count) + address_count(layout) + back


def piece_count(stock: Stock, subscribers: int) -> int:
    """Pieces of a deterministic layout if the subscribers are neighbours: CIDR parts times blocks in use.

    >>> from nfcompile.model.ranges import Range
    >>> piece_count(Stock((Range(8, 15), Range(16, 18)), Range(1024, 2047), 128), 8 * 8 + 5)
    12
    """
    count = 0
    for entry in stock.globals:
        blocks = min(stock.blocks_per_address, -(-subscribers // entry.size))
        if blocks <= 0:
            break
        count += blocks * sum(1 for _ in cidrs(entry))
        subscribers -= blocks * entry.size
    return count
