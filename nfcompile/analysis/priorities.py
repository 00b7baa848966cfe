"""Priorities of the enabled pools: all different.

### equal-priority

Two enabled pools have the same priority. A packet is compared with the pools in ascending priority; between
equal ones there is no order. (EcoNAT then uses the pool that was created first and ignores the other
without a message.) Give each enabled pool a priority of its own, or disable one.

```yaml
acls: {a: {10: allow ip 10.0.0.0/30}, b: {10: allow ip 10.1.0.0/30}}
pools:
  a: {type: fake, acl: a, priority: 100}
  b: {type: fake, acl: b, priority: 100}
```

```yaml
acls: {a: {10: allow ip 10.0.0.0/30}, b: {10: allow ip 10.1.0.0/30}}
pools:
  a: {type: fake, acl: a, priority: 100}
  b: {type: fake, acl: b, priority: 110}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.npt import NptPool
from nfcompile.model.site import Pool


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each pool that repeats the priority of a pool above it."""
    first: dict[int, Pool | NptPool] = {}
    pools: tuple[Pool | NptPool, ...] = (*checked.site.pools, *checked.site.npt)
    used = {pool.priority for pool in pools if pool.enable}
    for pool in pools:
        if not pool.enable or not checked.knows((*pool.path, "priority")):
            continue
        other = first.setdefault(pool.priority, pool)
        if other is pool:
            continue
        free = next(n for n in range(pool.priority + 1, pool.priority + len(used) + 2) if n not in used)
        yield Diagnostic(
            "equal-priority",
            f"pools '{other.name}' and '{pool.name}' have the same priority {pool.priority}",
            (*pool.path, "priority"),
            hint=f"the next free priority is {free}",
            notes=(Note(f"'{other.name}' has it here", (*other.path, "priority")),),
        )
