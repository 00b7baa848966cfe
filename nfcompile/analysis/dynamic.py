"""Settings that a dynamic pool cannot follow.

### not-in-dynamic

A setting has no effect in a dynamic pool (a warning). The kernel chooses the port inside a block that it
has just assigned: it can choose at random (`randomize_ports: on`), but not in order (`off`), and dynamic
pools have no blocks below port 1024 (`portlimit_low`). `fill` and `inbound` need computed blocks.
Remove the setting, or make the pool deterministic.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes:
    {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30], allocation: dynamic,
     randomize_ports: off}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes:
    {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30], allocation: dynamic,
     randomize_ports: on}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.site import Pool

LOW = ("nat_defaults", "portlimit_low")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each dynamic pool with ports in order, and one where low ports are set."""
    pools = [p for p in checked.site.active_pools if p.shares_addresses and p.is_dynamic]
    for pool in pools:
        for key, default in (("fill", "spread"), ("inbound", "drop")):
            if getattr(pool, key) != default:
                yield _warning(pool, f"'{key}: {getattr(pool, key)}'", (*pool.path, key))
        if pool.randomize_ports is False:
            yield _warning(pool, "'randomize_ports: off'", (*pool.path, "randomize_ports"))
    if pools and checked.site.defaults.portlimit_low is not None:
        yield _warning(pools[0], "'portlimit_low'", LOW)


def _warning(pool: Pool, setting: str, path: tuple[str | int, ...]) -> Diagnostic:
    return Diagnostic(
        "not-in-dynamic",
        f"{setting} has no effect in dynamic pool '{pool.name}'",
        path,
        hint="remove it, or make the pool deterministic",
        notes=(Note("this makes the pool dynamic", (*pool.path, "allocation")),),
        severity="warning",
    )
