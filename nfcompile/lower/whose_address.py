"""Which pool a global address is of: by the address alone, or by its port too where several pools have it."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Set
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import L4PROTO, PORTED, concat, match, unlike
from nfcompile.lower import names
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
    if pool.name not in context.in_common:
        yield (mine,)
        return
    yield by_port(allocation, address)
    if pool.is_dynamic:
        yield mine, unlike(L4PROTO, *PORTED)


def by_port(allocation: PoolAllocation, address: Field) -> Statements:
    """Whether an address and its port are the pool's. (Of a range of ports alone nft makes a listing that it
    cannot read again.)"""
    end = concat(address, PORT_OF[address.name])
    return match(L4PROTO, *PORTED), match(end, names.shared_ports(allocation.pool.name))


def shared_ports(context: Context, allocation: PoolAllocation) -> list[Set]:
    """The set of a pool's addresses and ports, where another pool has one of the addresses."""
    pool = allocation.pool
    asked = pool.renews or pool.opens_to_outside
    if not asked or pool.name not in context.in_common:
        return []
    keys = ((address, part) for address in union(pool.global_ip) for part in _ports(allocation))
    elements = tuple(Element(key) for key in keys)
    path = (*pool.path, "port_range")
    return [Set(names.shared_ports(pool.name), ("ipv4_addr", "inet_service"), path, elements, ("interval",))]


def _ports(allocation: PoolAllocation) -> tuple[Range, ...]:
    """All ports that subscribers of a pool may have."""
    low = () if allocation.low is None or allocation.low.ports is None else (allocation.low.ports,)
    return union((*low, allocation.pool.port_range))
