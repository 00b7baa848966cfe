"""How large the table of connections has to be, from the subscribers of the pools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.host.plan import Sysctl
from nfcompile.model.timeout_policies import CONNTRACK

CONNECTIONS_EACH = 256
"""Of a subscriber, on average over a pool whose subscribers are all busy: room, not a limit. A single one
may have as many as the limits allow, and a larger table does no harm but for 300 bytes a connection."""


def sizes(allocations: Iterable[PoolAllocation]) -> Iterator[Sysctl]:
    """`nf_conntrack_max` and as many buckets, the kernel's own ratio: a connection has two entries."""
    needed = connections(allocations)
    if needed:
        size = 1 << (needed - 1).bit_length()
        for name in ("max", "buckets"):
            yield Sysctl(CONNTRACK + name, size, ("pools",), at_least=True, machine=True)


def connections(allocations: Iterable[PoolAllocation]) -> int:
    """Connections at once, of all pools; of subscribers that cannot be counted, as many as can be served."""
    return CONNECTIONS_EACH * sum(map(_subscribers, allocations))


def _subscribers(allocation: PoolAllocation) -> int:
    room = allocation.stock.capacity
    if allocation.unbounded:
        return room
    return min(allocation.demand, room) if room else allocation.demand
