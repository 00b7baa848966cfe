"""Appending moves no subscriber: bindings stay when subscribers or global addresses are appended.

A list of a site is looked at as it grew: with its first entries, with one more, and so on. Bindings are
compared in runs (moves.py), so that is every subscriber.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.moves import Move, moves
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Stock
from nfcompile.model.ranges import Range

MOST = 64
"""Of longer lists so many lengths are looked at, evenly spread, the last one among them."""


class Grown(NamedTuple):
    """One list of a pool that got an entry more, and the subscribers that moved for it."""

    pool: str
    what: str
    entry: Range
    moved: tuple[Move, ...]


def grown(allocations: tuple[PoolAllocation, ...]) -> Iterator[Grown]:
    """Every deterministic pool, as its `global_ip` and its subscribers grew."""
    for allocation in allocations:
        pool = allocation.pool
        if not pool.is_deterministic:
            continue
        for count in _lengths(len(allocation.stock.globals)):
            fewer, more = (
                allocation._replace(stock=_first(allocation, length)) for length in (count, count + 1)
            )
            yield Grown(pool.name, "global_ip", allocation.stock.globals[count], moves([fewer], [more]).moved)
        for count in _lengths(len(allocation.subscribers)):
            fewer, more = (
                allocation._replace(subscribers=allocation.subscribers[:length])
                for length in (count, count + 1)
            )
            yield Grown(pool.name, "subscribers", allocation.subscribers[count], moves([fewer], [more]).moved)


def _first(allocation: PoolAllocation, count: int) -> Stock:
    return allocation.stock._replace(globals=allocation.stock.globals[:count])


def _lengths(count: int) -> list[int]:
    """Lengths from 1 to one less than the whole list."""
    if count <= MOST:
        return list(range(1, count))
    return sorted({1 + at * (count - 2) // (MOST - 1) for at in range(MOST)})
