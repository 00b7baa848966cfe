"""Whether a pool has enough blocks for its subscribers.

### pool-capacity

A deterministic pool has fewer blocks (of type nat: addresses) than subscribers, or a block is larger than
`port_range`. Every subscriber of a deterministic pool has a fixed block, so there must be one for each:
addresses times blocks per address. The hint says how many addresses are missing, and which block size would
be small enough.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.1]}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29]}
```

### subscribers-unbounded

The ACL of a deterministic pool allows `any` source. The blocks of such a pool are computed from a list of
addresses, and `any` is no list. Name the networks in the ACL, list them in `subscribers`, or make the pool
dynamic.

```yaml
acls: {all: {10: allow ip any}}
pools:
  homes: {type: cgnat, acl: all, priority: 100, global_ip: [203.0.113.0/29]}
```

```yaml
acls: {all: {10: allow ip any}}
pools:
  homes: {type: cgnat, acl: all, priority: 100, global_ip: [203.0.113.0/29], subscribers: [100.64.0.0/25]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.site import Pool

DEFAULT_BLOCK_SIZE = ("nat_defaults", "port_block_size")
DEFAULT_LIMITS = ("nat_defaults", "limits_peruser")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """Count the subscribers of each cgnat and nat pool against what it has."""
    for allocation in checked.allocations:
        pool = allocation.pool
        if not pool.allocates or not _is_known(checked, pool):
            continue
        if allocation.stock.ports is not None and allocation.stock.blocks_per_address == 0:
            yield _block_too_large(allocation)
        elif not pool.is_dynamic:
            if checked.knows((*pool.path, "subscribers")):
                yield from _unbounded(allocation)
            exact = pool.name in checked.exact and not allocation.unbounded
            if exact and allocation.demand > allocation.stock.capacity:
                yield _too_many(allocation)


def _is_known(checked: CheckInput, pool: Pool) -> bool:
    """Whether the blocks of a pool are known."""
    keys = ("global_ip", "port_range", "port_block_size", "allocation", "limits_peruser")
    return checked.knows(*((*pool.path, key) for key in keys), DEFAULT_BLOCK_SIZE, DEFAULT_LIMITS)


def _unbounded(allocation: PoolAllocation) -> Iterator[Diagnostic]:
    for rule in allocation.unbounded:
        yield Diagnostic(
            "subscribers-unbounded",
            f"pool '{allocation.pool.name}' is deterministic, but this rule allows any source",
            rule.path,
            hint=f"name the networks here, or add 'subscribers' to pool '{allocation.pool.name}'",
            notes=(Note(f"pool '{allocation.pool.name}' is here", allocation.pool.path, key=True),),
        )


def _block_too_large(allocation: PoolAllocation) -> Diagnostic:
    ports = allocation.stock.ports
    size = ports.size if ports else 0
    return Diagnostic(
        "pool-capacity",
        f"pool '{allocation.pool.name}' has {size} ports per address, "
        f"but a block needs {allocation.stock.block_size}",
        (*allocation.pool.path, "port_range"),
        hint="widen port_range, or lower the limits of limits_peruser",
    )


def _too_many(allocation: PoolAllocation) -> Diagnostic:
    pool, stock, unit = allocation.pool, allocation.stock, allocation.pool.port_block_size
    if stock.ports is None:
        message = f"pool '{pool.name}' has {_addresses(stock.capacity)} but {allocation.demand} subscribers"
        hint = f"add {_addresses(allocation.demand - stock.capacity)} to global_ip"
        return _at_both(pool, message, hint)
    each = stock.blocks_per_address
    message = (
        f"pool '{pool.name}' has {stock.capacity} blocks ({_addresses(stock.addresses)} x {each} of"
        f" {stock.block_size} ports) but {allocation.demand} subscribers"
    )
    missing = -(-(allocation.demand - stock.capacity) // each)
    hint = f"add {_addresses(missing)} to global_ip"
    needed = -(-allocation.demand // stock.addresses)
    fitting = stock.ports.size // needed // unit * unit
    if fitting:
        hint += f", or lower the port limits so that a block has at most {fitting} ports"
    return _at_both(pool, message, hint)


def _at_both(pool: Pool, message: str, hint: str) -> Diagnostic:
    """At the addresses, with a note at the key that names the subscribers."""
    notes: tuple[Note, ...] = ()
    if "subscribers" in pool.given:
        notes = (Note("its subscribers are given here", (*pool.path, "subscribers")),)
    elif pool.acl is not None:
        notes = (Note(f"acl '{pool.acl.name}' allows them", pool.acl.path, key=True),)
    return Diagnostic("pool-capacity", message, (*pool.path, "global_ip"), hint=hint, notes=notes)


def _addresses(count: int) -> str:
    return "1 address" if count == 1 else f"{count} addresses"
