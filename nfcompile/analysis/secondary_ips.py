"""The gateway's secondary addresses.

### secondary-list

The secondary addresses are not one consecutive list (a warning). Aviatrix requires one segment without the
primary address; the rules of a gateway that moves there, or comes from there, are the same only then.

```yaml
gateway: {secondary_ips: [172.32.0.201-172.32.0.204, 172.32.0.210]}
```

```yaml
gateway: {secondary_ips: [172.32.0.201-172.32.0.205]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.ranges import union


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning where the list has a gap."""
    parts = union(checked.site.gateway.secondary_ips)
    if len(parts) > 1 and checked.knows(("gateway", "secondary_ips")):
        message = f"secondary_ips has {len(parts)} segments, not one consecutive list"
        yield Diagnostic(
            "secondary-list", message, ("gateway", "secondary_ips"), key=True, severity="warning"
        )
