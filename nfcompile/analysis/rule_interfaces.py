"""dnat and snat rules whose interfaces leave nothing to match.

### matches-nothing

A qualifier excludes every value, so the rule matches no packet: `!0.0.0.0/0`, `!all`, or an interface list
that excludes every inside interface (`dnat`) or every outside interface (`snat`).

```yaml
snat: {rest: {src_cidr: "!0.0.0.0/0", snat_ip: 192.0.2.1}}
```

```yaml
snat: {rest: {src_cidr: "!10.0.0.0/8", snat_ip: 192.0.2.1}}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each rule that excludes all interfaces of its side."""
    if not checked.knows(("interfaces",)):
        return
    site = checked.site
    for rules, side, names in (
        (site.dnat, "inside", site.interfaces.inside),
        (site.snat, "outside", site.interfaces.outside),
    ):
        for rule in rules:
            if not rule.match.interfaces(names):
                message = f"'interface' excludes every {side} interface"
                yield Diagnostic("matches-nothing", message, (*rule.path, "interface"))
