"""acl-unused: no pool uses an ACL (a warning).

Mostly a pool was deleted, or `acl` names another one. A disabled pool counts as a user.

acl-empty: an ACL that a pool uses has no rules, so the pool serves nobody (a warning).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each ACL without a user or without rules."""
    used = {pool.acl.name for pool in checked.site.pools if pool.acl is not None}
    for acl in checked.site.acls:
        if acl.name not in used:
            message = f"no pool uses acl '{acl.name}'"
            yield Diagnostic("acl-unused", message, acl.path, key=True, severity="warning")
        elif not acl.rules:
            message = f"acl '{acl.name}' has no rules"
            yield Diagnostic("acl-empty", message, acl.path, key=True, severity="warning")
