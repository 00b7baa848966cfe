"""Ports below 1024 that two kinds of blocks would have.

### low-ports-overlap

`portlimit_low` is set, but the `port_range` of a pool begins below 1024. The ports below 1024 would be in
ordinary blocks and in the low blocks at the same time. Start `port_range` at 1024, or set `portlimit_low:
nolimit`.

```yaml
nat_defaults: {portlimit_low: 64}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, port_range: 1-65535, global_ip: [203.0.113.0/29]}
```

```yaml
nat_defaults: {portlimit_low: 64}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, port_range: 1024-65535, global_ip: [203.0.113.0/29]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import LOW_PORT_LAST
from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note

SETTING = ("nat_defaults", "portlimit_low")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each cgnat pool whose ordinary blocks would have ports below 1024."""
    for allocation in checked.allocations:
        ports = allocation.stock.ports
        known = checked.knows((*allocation.pool.path, "port_range"), (*allocation.pool.path, "allocation"))
        if known and allocation.low is not None and ports is not None and ports.first <= LOW_PORT_LAST:
            yield Diagnostic(
                "low-ports-overlap",
                f"pool '{allocation.pool.name}' starts at port {ports.first}, but portlimit_low uses the"
                f" ports below {LOW_PORT_LAST + 1}",
                (*allocation.pool.path, "port_range"),
                hint=f"start port_range at {LOW_PORT_LAST + 1}",
                notes=(Note("portlimit_low is set here", SETTING),),
            )
