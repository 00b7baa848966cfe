"""low-ports-overlap: `portlimit_low` is set, but a pool's `port_range` begins below 1024.

Ports below 1024 would belong to ordinary blocks and to the low blocks at the same time. Start `port_range`
at 1024, or leave `portlimit_low` at nolimit.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import LOW_PORT_LAST
from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note

SETTING = ("nat_defaults", "portlimit_low")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each cgnat pool with low ports of its own."""
    for allocation in checked.allocations:
        ports = allocation.stock.ports
        if allocation.low is not None and ports is not None and ports.first <= LOW_PORT_LAST:
            yield Diagnostic(
                "low-ports-overlap",
                f"pool '{allocation.pool.name}' starts at port {ports.first}, but portlimit_low uses the"
                f" ports below {LOW_PORT_LAST + 1}",
                (*allocation.pool.path, "port_range"),
                hint=f"start port_range at {LOW_PORT_LAST + 1}",
                notes=(Note("portlimit_low is set here", SETTING),),
            )
