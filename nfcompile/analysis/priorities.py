"""equal-priority: two enabled pools have the same priority.

A packet asks the pools in ascending priority; with equal ones nobody can say which pool it meets. EcoNAT
then silently uses the pool created first. Give each enabled pool a priority of its own, or disable one.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.site import Pool


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each pool that repeats the priority of a pool above it."""
    first: dict[int, Pool] = {}
    used = {pool.priority for pool in checked.site.pools if pool.enable}
    for pool in checked.site.pools:
        if not pool.enable:
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
