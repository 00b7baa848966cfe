"""What this machine has not done of the site's host half, as warnings of `apply` and `boot`."""

from __future__ import annotations

from nfcompile.diagnostics import Diagnostic
from nfcompile.host.planning import plan
from nfcompile.host.warnings import WHEN_BOOTING, warnings
from nfcompile.pipeline import Compiled


def host_warnings(compiled: Compiled, netns: str | None, booting: bool = False) -> tuple[Diagnostic, ...]:
    """The lines of `host check` that are not ok, a warning for each code.

    With `booting` only what must be right before the network is up.
    """
    return warnings(plan(compiled), netns, WHEN_BOOTING if booting else None)
