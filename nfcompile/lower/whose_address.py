"""Which pool a global address is of: by the address alone, or by its port too where several pools have it."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.shared_addresses import shares
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import L4PROTO, PORTED, match, unlike
from nfcompile.lower.context import Context
from nfcompile.lower.part import Statements
from nfcompile.model.ranges import Range, union

PORT_OF = {
    "ct reply ip daddr": Field("ct reply proto-dst"),
    "ct original ip daddr": Field("ct original proto-dst"),
}
"""The port beside an address, as conntrack has it."""


def whose(context: Context, allocation: PoolAllocation, address: Field) -> Iterator[Statements]:
    """Matches of which one must hold for a connection with a global address of a pool.

    Of an address that several pools have: tcp and udp by the port. Other protocols leave no entries, but
    renew the assignment of a dynamic pool; who has none of that pool renews nothing.
    """
    pool = allocation.pool
    mine = match(address, *union(pool.global_ip))
    if not shares(pool, context.site.active_pools):
        yield (mine,)
        return
    yield mine, match(L4PROTO, *PORTED), match(PORT_OF[address.name], *ports(allocation))
    if pool.is_dynamic:
        yield mine, unlike(L4PROTO, *PORTED)


def ports(allocation: PoolAllocation) -> tuple[Range, ...]:
    """All ports that subscribers of a pool may have."""
    low = () if allocation.low is None or allocation.low.ports is None else (allocation.low.ports,)
    return union((*low, allocation.pool.port_range))
