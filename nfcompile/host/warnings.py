"""What the host has not done of its part, as warnings of `apply` and `boot`: the lines of `host check`, a
warning for each code."""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.diagnostics import Diagnostic
from nfcompile.host.judging import judged
from nfcompile.host.lines import OK, HostLine
from nfcompile.host.plan import HostPlan

SHOWN = 4
"""So many things of one kind are named; `host check` has the others."""
WHEN_BOOTING = frozenset(("host-module", "host-sysctl"))
"""What has to be right before the network is up: `boot` comes earlier than interfaces and daemons."""


def warnings(
    plan: HostPlan, namespace: str | None, codes: frozenset[str] | None = None
) -> tuple[Diagnostic, ...]:
    """The warnings about this host or a namespace of it; of these codes only, where some are given."""
    faults = [one.line for one in judged(plan, namespace) if one.line.state != OK]
    return told(line for line in faults if codes is None or line.code in codes)


def told(faults: Iterable[HostLine]) -> tuple[Diagnostic, ...]:
    """Lines that are not ok as warnings, in their order."""
    kinds: dict[str, list[HostLine]] = {}
    for line in faults:
        kinds.setdefault(line.code, []).append(line)
    return tuple(_warning(code, lines) for code, lines in kinds.items())


def _warning(code: str, lines: list[HostLine]) -> Diagnostic:
    said = [f"{line.what}: {line.is_}, should be: {line.should}" for line in lines[:SHOWN]]
    more = len(lines) - len(said)
    mends = [line.mend for line in lines if line.mend]
    every = mends and len(mends) == len(lines) <= SHOWN
    hint = " && ".join(mends) if every else "'nfcompile host check' names them all, and what mends them"
    message = "; ".join(said) + (f"; and {more} more" if more else "")
    return Diagnostic(code, message, lines[0].path, key=True, hint=hint, severity="warning")
