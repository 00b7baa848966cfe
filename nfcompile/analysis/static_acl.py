"""ACLs of static pools.

### static-permit-any

The ACL of a static pool permits every source (a warning). A static pool has an implied rule for each of its
entries; its ACL is tested before those and is there to exclude traffic. EcoNAT warns against `permit any
any` in it: deny rules below it never match.

```yaml
acls: {servers: {10: permit any any}}
pools:
  servers: {type: static, acl: servers, priority: 50, global_map: {192.168.0.5: 200.0.0.3}}
```

```yaml
acls: {servers: {10: deny tcp any dst any dport 25}}
pools:
  servers: {type: static, acl: servers, priority: 50, global_map: {192.168.0.5: 200.0.0.3}}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.ranges import EVERYWHERE


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each `allow any any` of an ACL that a static pool uses."""
    for pool in checked.site.pools:
        if not pool.is_static or not pool.enable or pool.acl is None:
            continue
        for rule in pool.acl.rules:
            if rule.allow and rule.only_source and rule.source == EVERYWHERE:
                yield Diagnostic(
                    "static-permit-any",
                    f"the acl of static pool '{pool.name}' permits every source",
                    rule.path,
                    hint="delete the rule: every entry of global_map is allowed without it",
                    notes=(Note("the acl is used here", (*pool.path, "acl")),),
                    severity="warning",
                )
