"""ACLs that decide nothing.

### acl-unused

No pool uses an ACL (a warning). Usually its pool was deleted, or the pool's `acl` names another ACL. A
disabled pool counts as a user.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: fake, acl: homes, priority: 100, enable: off}
```

### acl-empty

An ACL that a pool uses has no rules, so the pool matches no packet (a warning).

```yaml
acls: {homes: {}}
pools:
  homes: {type: fake, acl: homes, priority: 100}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: fake, acl: homes, priority: 100}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each ACL without a user or without rules."""
    used = {pool.acl.name for pool in checked.site.pools if pool.acl is not None}
    has_all_users = checked.has_all_pools and checked.knows(
        *((*pool.path, "acl") for pool in checked.site.pools)
    )
    for acl in checked.site.acls:
        if acl.name not in used:
            message = f"no pool uses acl '{acl.name}'"
            if has_all_users:
                yield Diagnostic("acl-unused", message, acl.path, key=True, severity="warning")
        elif not acl.rules and checked.knows(acl.path):
            message = f"acl '{acl.name}' has no rules"
            yield Diagnostic("acl-empty", message, acl.path, key=True, severity="warning")
