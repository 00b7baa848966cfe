"""How full each pool is, what it leaves unused, and what other block sizes would need. Pure arithmetic.

Counts the blocks of the deterministic layout. Only the kernel knows the use of a dynamic pool, so its plan
has the capacity alone.

Recommended block sizes: RFC 6888 REQ-4 requires a port limit for each subscriber without naming one; EcoNAT's
manual recommends 1024 to 4096 ports for an ordinary subscriber.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log, log1p
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Stock

RECOMMENDED_PORTS = (1024, 4096)
"""EcoNAT's manual, "Pools and ACL", limits_peruser."""
LARGER = (2, 4)
"""Multiples of a pool's block size that are worked out."""


class Resize(NamedTuple):
    """Another block size: how many subscribers share an address then, and what today's would need.

    `more` addresses than the pool has; negative where some would be left.
    """

    ports_each: int
    per_address: int
    addresses: int
    more: int


class Plan(NamedTuple):
    """One pool. None: pools of its type do not have the value, or it cannot be counted.

    subscribers       number of subscribers; None where the ACL allows any source
    addresses         global addresses
    ports             usable ports of each (`port_range`)
    ports_each        ports of a block
    per_address       blocks of an address: subscribers that share it (the compression, or sharing ratio)
    blocks_most       blocks that one subscriber may have
    capacity          subscribers that it serves with one block each
    capacity_at_limit the same with the largest number of blocks each
    addresses_used    addresses with at least one assigned block
    left_over         ports of each address that are in no block
    largest           the largest block with which the subscribers fit into the addresses
    larger            addresses that larger blocks would need
    missing           addresses to add before all subscribers fit
    months            whole months of that growth until the pool is full
    pair              of a fleet: the pair, or the node without one, that has these addresses
    prefix_pairs      pairs of prefixes of an npt pool, which needs no capacity
    """

    pool: str
    type: str
    allocation: str | None = None
    subscribers: int | None = None
    addresses: int = 0
    ports: int | None = None
    ports_each: int | None = None
    per_address: int | None = None
    blocks_most: int | None = None
    capacity: int | None = None
    capacity_at_limit: int | None = None
    addresses_used: int | None = None
    left_over: int | None = None
    largest: Resize | None = None
    larger: tuple[Resize, ...] = ()
    missing: int = 0
    months: int | None = None
    pair: str = ""
    prefix_pairs: int = 0

    @property
    def is_dynamic(self) -> bool:
        """Whether the kernel gives the blocks away."""
        return self.allocation == "dynamic"

    @property
    def is_deterministic(self) -> bool:
        """Whether the blocks are computed."""
        return self.allocation is not None and not self.is_dynamic

    @property
    def free(self) -> int | None:
        """How many more subscribers fit; negative where too many are there."""
        if self.capacity is None or self.subscribers is None:
            return None
        return self.capacity - self.subscribers


def plan(allocation: PoolAllocation, unit: int, growth: float | None = None) -> Plan:
    """Work out one pool. Blocks are multiples of `unit` ports; `growth` is in percent a month."""
    pool, stock = allocation.pool, allocation.stock
    if pool.is_static:
        return _pairs(allocation)
    subscribers = None if allocation.unbounded else allocation.demand
    found = Plan(pool.name, pool.type, subscribers=subscribers)
    if not pool.translates:
        return found
    each = stock.blocks_per_address
    found = found._replace(
        allocation=pool.allocation,
        addresses=stock.addresses,
        per_address=each,
        blocks_most=1,
        capacity=stock.capacity,
    )
    if stock.ports is not None:
        left = stock.ports.size - each * stock.block_size
        found = found._replace(ports=stock.ports.size, ports_each=stock.block_size, left_over=left)
    if pool.is_dynamic:
        most = allocation.blocks_each if pool.shares_addresses else 1
        return found._replace(blocks_most=most, capacity_at_limit=stock.capacity // most)
    if subscribers is None:
        return found
    return found._replace(
        addresses_used=_used(stock, subscribers),
        largest=_largest(stock, subscribers, unit),
        larger=tuple(_larger(stock, subscribers)),
        missing=max(0, -(-subscribers // each) - stock.addresses) if each else 0,
        months=_months(subscribers, stock.capacity, growth),
    )


def _pairs(allocation: PoolAllocation) -> Plan:
    """A static pool: an address for each subscriber; the same host on two VLANs is two."""
    pool = allocation.pool
    count = sum(entry.local.size for entry in pool.global_map)
    return Plan(
        pool.name,
        pool.type,
        subscribers=count,
        addresses=count,
        per_address=1,
        blocks_most=1,
        capacity=count,
        addresses_used=count,
    )


def _used(stock: Stock, subscribers: int) -> int:
    """Each entry of `global_ip` is filled before the next is begun, all its addresses alike."""
    if stock.by_address:
        return min(stock.addresses, -(-subscribers // max(1, stock.blocks_per_address)))
    used = 0
    for entry in stock.globals:
        here = min(subscribers, entry.size * stock.blocks_per_address)
        used += min(here, entry.size)
        subscribers -= here
    return used


def _resized(stock: Stock, subscribers: int, size: int) -> Resize:
    each = stock._replace(block_size=size).blocks_per_address
    needed = -(-subscribers // each)
    return Resize(size, each, needed, needed - stock.addresses)


def _largest(stock: Stock, subscribers: int, unit: int) -> Resize | None:
    if stock.ports is None or not subscribers or not stock.addresses:
        return None
    share = stock.ports.size // -(-subscribers // stock.addresses)
    size = share // unit * unit
    return _resized(stock, subscribers, size) if size else None


def _larger(stock: Stock, subscribers: int) -> Iterator[Resize]:
    for factor in LARGER if stock.ports else ():
        size = factor * stock.block_size
        if stock.ports and size <= stock.ports.size:
            yield _resized(stock, subscribers, size)


def _months(subscribers: int, capacity: int, growth: float | None) -> int | None:
    """While subscribers x (1 + growth)^months fit; a full pool has none."""
    if not growth or not subscribers:
        return None
    if subscribers > capacity:
        return 0
    return floor(log(capacity / subscribers) / log1p(growth / 100) + 1e-9)
