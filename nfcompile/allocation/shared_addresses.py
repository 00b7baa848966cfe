"""Global addresses that several cgnat pools have, each with a part of the ports, or the gateway too.

A packet to or from such an address is of the pool that has its port. Protocols without ports are of the first
of these pools in packet order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nfcompile.model.ranges import Range, intersect
from nfcompile.model.site import Pool, Site


def by_address(pools: Iterable[Pool]) -> Iterator[tuple[Range, tuple[Pool, ...]]]:
    """Ascending, disjoint ranges of global addresses, each with its pools in the order in which they came."""
    ordered = list(pools)
    events: list[tuple[int, bool, int]] = []
    for rank, pool in enumerate(ordered):
        for one in pool.global_ranges:
            events += ((one.first, True, rank), (one.last + 1, False, rank))
    events.sort()  # a range that ends comes before one of the same pool that begins there
    here: set[int] = set()
    last: tuple[Range, tuple[Pool, ...]] | None = None
    for at, (start, begins, rank) in enumerate(events):
        if begins:
            here.add(rank)
        else:
            here.discard(rank)
        end = events[at + 1][0] if at + 1 < len(events) else start
        if not here or end == start:
            continue
        owners = tuple(ordered[one] for one in sorted(here))
        if last is not None and last[0].last + 1 == start and last[1] == owners:
            last = Range(last[0].first, end - 1), owners
            continue
        if last is not None:
            yield last
        last = Range(start, end - 1), owners
    if last is not None:
        yield last


def in_common(pools: Iterable[Pool]) -> frozenset[str]:
    """The names of those cgnat pools of which another one has an address, too."""
    owners = (own for _, own in by_address(pool for pool in pools if pool.shares_addresses))
    return frozenset(pool.name for own in owners if len(own) > 1 for pool in own)


def own_address(site: Site) -> int | None:
    """The gateway's own address, where a cgnat pool has it too: what no mapping wants is for the gateway."""
    own = site.gateway.primary_ip
    if own is None or not any(intersect([Range(own, own)], pool.global_ip) for pool in _sharing(site)):
        return None
    return own


def _sharing(site: Site) -> Iterator[Pool]:
    return (pool for pool in site.active_pools if pool.shares_addresses)
