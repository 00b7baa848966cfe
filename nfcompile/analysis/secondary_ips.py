"""secondary-list: the secondary addresses are not one consecutive list (a warning).

Aviatrix asks for one consecutive segment that leaves out the primary address; a gateway that is moved
there, or back, keeps its rules only then.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.ranges import union


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning where the list has a gap."""
    parts = union(checked.site.gateway.secondary_ips)
    if len(parts) > 1:
        message = f"secondary_ips is {len(parts)} segments, not one consecutive list"
        yield Diagnostic(
            "secondary-list", message, ("gateway", "secondary_ips"), key=True, severity="warning"
        )
