"""The subscribers of each pool, and the blocks that it has for them: the ACLs read as sets of addresses.

A packet is compared with the pools in ascending priority, and in each with the rules of its ACL. So a pool
serves the sources of its allow rules, less those that its own deny rules and earlier pools take for every
destination. A subscriber that an earlier pool takes for some destinations only belongs to both.

Knows nothing of nft, and finds no faults.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from nfcompile.ipalloc import Block, Layout, Stock
from nfcompile.model.ranges import EVERYWHERE, Cover, Range, intersect, union
from nfcompile.model.site import AclRule, Defaults, Pool, Site

LOW_PORT_LAST = 1023


@lru_cache(1024)
def _layout(stock: Stock, subscribers: tuple[Range, ...]) -> Layout:
    """Checks and the lowering ask for one after the other; it says the same each time."""
    return Layout(stock, subscribers)


class PoolAllocation(NamedTuple):
    """One enabled pool: its subscribers and its blocks.

    subscribers   runs of addresses in the order in which they get blocks, none twice
    unbounded     allow rules whose source cannot be enumerated (`any`), if `subscribers` is not given
    taken         sources of which no packet reaches a later pool
    stock         global addresses and their blocks (cgnat and nat pools)
    tcp, udp      ports of a block that the protocol may use, from its first port on
    low           blocks of ports below 1024 for source ports below 1024 (`portlimit_low`), if any
    """

    pool: Pool
    subscribers: tuple[Range, ...]
    unbounded: tuple[AclRule, ...]
    taken: tuple[Range, ...]
    stock: Stock
    tcp: int
    udp: int
    low: Stock | None = None

    @property
    def demand(self) -> int:
        """How many subscribers there are."""
        return sum(run.size for run in self.subscribers)

    def layout(self) -> Layout:
        """The deterministic allocation of this pool."""
        return _layout(self.stock, self.subscribers)

    def low_block(self, block: Block) -> Block | None:
        """The ports below 1024 of the subscriber with that block, if there are enough."""
        number = self.stock.number(block.first)
        if self.low is None or number is None or number >= self.low.blocks_per_address:
            return None
        return self.low.block(block.address, number)

    def owner(self, layout: Layout, address: int, port: int) -> int | None:
        """The subscriber with a global address and port, low ports included."""
        number = self.low.number(port) if self.low else None
        if number is not None and self.stock.ports and port < self.stock.ports.first:
            port = self.stock.block(address, number).first
        return layout.owner(address, port)

    def protocol_blocks(self, block: Block) -> tuple[tuple[str, Block], ...]:
        """A block by protocols ('tcp+udp+icmp'), with the ports that each may use."""
        return tuple(
            ("+".join(words), block._replace(last=block.first + size - 1))
            for words, size in self.protocol_ports
        )

    @property
    def blocks_each(self) -> int:
        """How many blocks a subscriber may have: one, or in a dynamic pool as many as the limit allows and
        its address has."""
        return self._blocks(max(self.tcp, self.udp))

    @property
    def protocol_blocks_each(self) -> tuple[tuple[str, int], ...]:
        """How many of those blocks each protocol may use, from the first one on."""
        size = self.stock.block_size
        icmp = min(self.blocks_each, -(-self.pool.limits.portlimit_icmp // size))
        return ("tcp", self._blocks(self.tcp)), ("udp", self._blocks(self.udp)), ("icmp", icmp)

    def _blocks(self, limit: int) -> int:
        """So many blocks of one address, since further ones come from the address of the first."""
        return max(1, min(limit // self.stock.block_size, self.stock.blocks_per_address))

    @property
    def protocol_ports(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        """Protocols that may use the same number of ports of a block, together with that number."""
        sizes: dict[int, tuple[str, ...]] = {}
        for word, size in (("tcp", self.tcp), ("udp", self.udp), ("icmp", self.stock.block_size)):
            sizes[size] = (*sizes.get(size, ()), word)
        return tuple((words, size) for size, words in sizes.items())


def allocations(site: Site) -> tuple[PoolAllocation, ...]:
    """Allocations of the enabled pools, in packet order."""
    found: list[PoolAllocation] = []
    taken_before: Cover[None] = Cover()
    for pool in site.active_pools:
        allocation = _allocation(pool, site.defaults, taken_before)
        found.append(allocation)
        for run in allocation.taken:
            taken_before.add(run, None)
    return tuple(found)


def rounded(limit: int, block_size: int) -> int:
    """A port limit, rounded up to whole blocks of `port_block_size`."""
    return -(-limit // block_size) * block_size


def _allocation(pool: Pool, defaults: Defaults, taken_before: Cover[None]) -> PoolAllocation:
    rules = pool.acl.rules if pool.acl else ()
    unbounded: tuple[AclRule, ...] = ()
    if pool.subscribers is not None:
        subscribers = _once(pool.subscribers)
    elif pool.is_static:
        subscribers = _once(entry.local for entry in pool.global_map)
    else:
        unbounded = tuple(r for r in rules if r.allow and r.source == EVERYWHERE)
        subscribers = _allowed(rules, taken_before)
    tcp = udp = 0
    stock = Stock(pool.global_ip)
    if pool.shares_addresses:
        tcp = rounded(pool.limits.portlimit_tcp, pool.port_block_size)
        udp = rounded(pool.limits.portlimit_udp, pool.port_block_size)
        size = max(tcp, udp) if pool.is_deterministic else pool.port_block_size
        by_address = pool.fill == "address" and pool.is_deterministic
        stock = Stock(pool.global_ip, pool.port_range, size, by_address)
    low = _low_stock(pool, defaults.portlimit_low)
    return PoolAllocation(pool, subscribers, unbounded, _taken(pool, rules), stock, tcp, udp, low)


def _low_stock(pool: Pool, size: int | None) -> Stock | None:
    """Blocks of `portlimit_low` ports below 1024: the first blocks of each address get one."""
    if size is None or not (pool.shares_addresses and pool.is_deterministic):
        return None
    return Stock(pool.global_ip, Range(size, LOW_PORT_LAST), size)


def _once(runs: Iterable[Range]) -> tuple[Range, ...]:
    """Runs in their order, less what an earlier run already has."""
    kept: list[Range] = []
    seen: Cover[None] = Cover()
    waiting = list(runs)
    if sum(run.size for run in waiting) == sum(run.size for run in union(waiting)):
        return tuple(waiting)
    for run in waiting:
        kept += seen.rest(run)
        seen.add(run, None)
    return tuple(kept)


def _allowed(rules: Iterable[AclRule], taken_before: Cover[None]) -> tuple[Range, ...]:
    """Sources of the allow rules in rule order, less those that certainly never get here."""
    denied: Cover[None] = Cover()
    kept: list[Range] = []
    for rule in rules:
        if rule.allow:
            for part in taken_before.rest(rule.source):
                kept += denied.rest(part)
        elif rule.only_source:
            denied.add(rule.source, None)
    return _once(kept)


def _taken(pool: Pool, rules: Iterable[AclRule]) -> tuple[Range, ...]:
    """Sources of which this pool takes every packet, to any destination."""
    taken: list[Range] = []
    denied: Cover[None] = Cover()
    for rule in rules:
        if not rule.allow:
            denied.add(rule.source, None)
        elif rule.only_source:
            taken += denied.rest(rule.source)
    if pool.is_static:
        local = [entry.local for entry in pool.global_map if entry.vid is None]
        taken = [*intersect(taken, local), *(part for one in local for part in denied.rest(one))]
    if pool.subscribers is not None:
        return intersect(taken, pool.subscribers)
    return union(taken)
