"""pool-unreachable: no packet can ever reach an enabled pool (a warning).

The pool has no ACL (only static pools have an implied one), its ACL allows nothing, or pools with a
smaller priority take everything that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.survey import Survey
from nfcompile.claims import Claim
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.ranges import subtract


def check(survey: Survey) -> Iterator[Diagnostic]:
    """One warning for each enabled pool that nothing can reach."""
    before: list[Claim] = []
    for claim in survey.claims:
        reason = _reason(claim, before)
        if reason:
            yield Diagnostic(
                "pool-unreachable",
                f"nothing can reach pool '{claim.pool.name}': {reason}",
                (*claim.pool.path, "acl") if "acl" in claim.pool.given else claim.pool.path,
                key="acl" not in claim.pool.given,
                severity="warning",
            )
        before.append(claim)


def _reason(claim: Claim, before: list[Claim]) -> str:
    pool = claim.pool
    if pool.type == "static":
        allowed = [entry.local for entry in pool.global_map]
    elif pool.acl is None:
        return "it has no acl"
    else:
        allowed = [rule.source for rule in pool.acl.rules if rule.allow]
        if not allowed:
            return f"acl '{pool.acl.name}' allows nothing"
    taken = [run for other in before for run in other.taken]
    if allowed and not subtract(allowed, taken):
        names = ", ".join(f"'{other.pool.name}'" for other in before if other.taken)
        return f"{names} take all of its sources"
    return ""
