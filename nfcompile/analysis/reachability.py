"""Pools that no packet reaches.

### pool-unreachable

No packet reaches an enabled pool (a warning): it has no ACL (only static pools have an implied one), its
ACL allows nothing, or pools with a smaller priority take every source that it allows.

```yaml
pools:
  homes: {type: cgnat, priority: 100, global_ip: [203.0.113.0/29]}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.ranges import Cover

MAX_NAMES_IN_HINT = 9


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each enabled pool that no packet reaches."""
    takers: list[str] = []
    taken: Cover[None] = Cover()
    for allocation in checked.allocations:
        reason = _reason(allocation, taken, takers)
        if reason and allocation.pool.name in checked.exact:
            yield Diagnostic(
                "pool-unreachable",
                f"no packet reaches pool '{allocation.pool.name}': {reason}",
                (*allocation.pool.path, "acl") if "acl" in allocation.pool.given else allocation.pool.path,
                key="acl" not in allocation.pool.given,
                severity="warning",
            )
        for run in allocation.taken:
            taken.add(run, None)
        if allocation.taken:
            takers.append(f"'{allocation.pool.name}'")


def _reason(allocation: PoolAllocation, taken: Cover[None], takers: list[str]) -> str:
    pool = allocation.pool
    if pool.is_static:
        allowed = [entry.local for entry in pool.global_map]
    elif pool.acl is None:
        return "it has no acl"
    else:
        allowed = [rule.source for rule in pool.acl.rules if rule.allow]
        if not allowed:
            return f"acl '{pool.acl.name}' allows nothing"
    if allowed and all(taken.covers(one) for one in allowed):
        names = ", ".join(takers[:MAX_NAMES_IN_HINT])
        more = f" and {len(takers) - MAX_NAMES_IN_HINT} more" if len(takers) > MAX_NAMES_IN_HINT else ""
        return (
            f"pool {names} takes all its sources"
            if len(takers) == 1
            else f"pools {names}{more} take all its sources"
        )
    return ""
