"""A flowtable that no connection can use.

### flowtable-unused

`flowtable` is on, but no connection can use the flowtable (a warning). Packets in a flowtable meet no rule,
so pools whose packets refresh entries of the ruleset cannot use it: dynamic pools, and cgnat pools with
`hairpin` (the default), `filtering: endpoint_independent`, `port_forwarding` or `randomize_ports`. Nor can
`fake` pools, and sites with VLANs that share addresses. Change a pool, or turn `flowtable` off;
[flowtable.md](flowtable.md) has the details.

```yaml
nat_defaults: {flowtable: on}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

```yaml
nat_defaults: {flowtable: on}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30], hairpin: off}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "flowtable")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for the site."""
    site = checked.site
    if not site.defaults.flowtable or not checked.knows(("pools",), ("acls",), PATH):
        return
    if shared_addresses(site):
        why, hint = "VLANs share addresses, and packets are routed by marks", "turn it off"
    elif not any(pool.can_be_offloaded for pool in site.active_pools):
        why = "every pool refreshes entries by packets, or translates none"
        hint = "turn it off, or turn hairpin off in a deterministic cgnat pool"
    else:
        return
    message = f"no connection can use the flowtable: {why}"
    yield Diagnostic("flowtable-unused", message, PATH, hint=hint, severity="warning")
