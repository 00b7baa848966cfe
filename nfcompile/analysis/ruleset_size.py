"""Pools whose ruleset no machine can load.

### dynamic-too-large

A dynamic pool has more addresses than the kernel's numbers can tell apart: a number has 24 bits, and some
of them count the blocks of an address. With `port_block_size: 128` and all ports a pool may have 32,767
addresses, with 1024 it may have 262,143. Or an address has more than 8,192 blocks: each has a chain, and the
time in which the kernel loads them grows with the square of their number (8,064 blocks of 8 ports take 3 s,
32,256 of 2 ports minutes). The hint names a `port_block_size` that is large enough; other remedies are
several pools, fewer addresses, and `allocation: deterministic`.

```yaml
acls: {all: {10: allow ip any}}
pools:
  homes: {type: cgnat, priority: 100, acl: all, allocation: dynamic, global_ip: [198.18.0.0/15]}
```

```yaml
nat_defaults: {port_block_size: 1024}
acls: {all: {10: allow ip any}}
pools:
  homes: {type: cgnat, priority: 100, acl: all, allocation: dynamic, global_ip: [198.18.0.0/15]}
```

### ruleset-too-large

The pools of a site would have more than 1,048,576 map elements together, or a deterministic pool alone. A
deterministic pool has one element for each CIDR part of its global addresses and each block, so small
blocks on addresses that are no prefix make many. The chains for each further block that a subscriber of a
dynamic pool may hold (its largest `portlimit_...` divided by `port_block_size`) count as 140 elements. Write
the global addresses as prefixes, make the blocks larger, or move some pools to another gateway.

```yaml
nat_defaults: {port_block_size: 2, limits_peruser: {portlimit_tcp: 2, portlimit_udp: 2}}
acls: {all: {10: allow ip 10.0.0.0-10.121.255.255}}
pools:
  homes:
    type: cgnat
    acl: all
    priority: 100
    global_ip: [198.18.0.1-198.18.0.62, 198.18.0.65-198.18.0.126, 198.18.0.129-198.18.0.190,
                198.18.0.193-198.18.0.254]
```

```yaml
nat_defaults: {port_block_size: 2, limits_peruser: {portlimit_tcp: 2, portlimit_udp: 2}}
acls: {all: {10: allow ip 10.0.0.0-10.121.255.255}}
pools:
  homes: {type: cgnat, acl: all, priority: 100, global_ip: [198.18.0.0/24]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.ruleset_size import MAX_ELEMENTS, element_count
from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.ipalloc import Stock

MOST_BLOCKS = 1 << 13
"""Blocks of an address of a dynamic pool. For each chain that looks up its address in the pool's map,
nf_tables_bind_set (kernel 6.18) walks those that do so already: 8,064 blocks take 3 s of kernel time, 16,128
take 12 s, and 32,256 took 280 s."""


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each pool that is too large alone, one for the pool that makes the site too large."""
    total = 0
    for allocation in checked.allocations:
        count = element_count(allocation)
        if allocation.pool.is_dynamic and not _is_loadable(allocation.stock):
            yield _too_large(allocation)
        elif total <= MAX_ELEMENTS < total + count:
            yield _too_large_together(allocation, count, total)
            total += count
        else:
            total += count


def _is_loadable(stock: Stock) -> bool:
    """Whether every block can have a number of its own, and the kernel takes the chains of the blocks."""
    return stock.addresses <= Numbering(stock).most_addresses and stock.blocks_per_address <= MOST_BLOCKS


def _too_large(allocation: PoolAllocation) -> Diagnostic:
    pool, stock = allocation.pool, allocation.stock
    each, size = stock.blocks_per_address, _sufficient_block_size(stock)
    raised = f"raise port_block_size to {size}"
    if pool.shares_addresses and each > MOST_BLOCKS:
        message = f"dynamic pool '{pool.name}' has {each} blocks on each address, more than {MOST_BLOCKS}"
        hint = f"{raised}, or make the pool deterministic"
    else:
        most = Numbering(stock).most_addresses
        of = f" of {each} blocks" if pool.shares_addresses else ""
        message = f"dynamic pool '{pool.name}' has {stock.addresses} addresses{of}, more than {most}"
        hint = "split the pool, name fewer addresses or make it deterministic"
        if size is not None:
            hint = f"{raised}, split the pool or make it deterministic"
    return Diagnostic("dynamic-too-large", message, (*pool.path, "global_ip"), hint=hint)


def _sufficient_block_size(stock: Stock) -> int | None:
    """The smallest block, in steps of two times the size, with which the pool is small enough."""
    while stock.ports is not None and stock.blocks_per_address > 1:
        stock = stock._replace(block_size=stock.block_size * 2)
        if stock.blocks_per_address and _is_loadable(stock):
            return stock.block_size
    return None


def _too_large_together(allocation: PoolAllocation, count: int, before: int) -> Diagnostic:
    pool = allocation.pool
    alone = f"pool '{pool.name}' needs {count} map elements"
    message = f"{alone}, more than {MAX_ELEMENTS}"
    hint = "write global_ip as prefixes, or make the blocks larger"
    if pool.is_dynamic and allocation.blocks_each > 1:
        hint = f"make the blocks larger: a subscriber may hold {allocation.blocks_each} of them"
    if before:
        message = f"{alone}, with the pools before it {before + count}, more than {MAX_ELEMENTS}"
        hint = "make the blocks larger, or give some pools to another gateway"
    path = (*pool.path, "global_map" if pool.is_static else "global_ip")
    return Diagnostic("ruleset-too-large", message, path, hint=hint)
