"""`nfcompile mappings`: the whole allocation, written while it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfcompile.allocation import mappings
from nfcompile.allocation.mappings import Holding, MappingRow
from nfcompile.cli import rows, site, state
from nfcompile.cli.exit_status import OK, UsageProblem
from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled


def run(options: Options) -> int:
    """Write one row for each subscriber and pool; `--compact` lets a prefix stand for many subscribers.

    With `--live` the blocks of dynamic pools are those that the kernel holds.
    """
    if options.netns is not None and not options.live:
        raise UsageProblem("--netns goes with --live")
    _, compiled = site.compiled_or_refused(options)
    if options.live:
        state.examine(options)
    held = _held(compiled, options.netns) if options.live else None
    found = mappings.mappings(compiled.allocations, options.compact, held)
    rows.write(MappingRow._fields, found, options.format)
    return OK


def _held(compiled: Compiled, netns: str | None) -> dict[str, list[Holding]]:
    """Everything before the first row is written: a refusal of the kernel leaves no half of a list."""
    from nfcompile.live.owners import KernelOwners
    from nfcompile.records.lookup_at import KnownSite

    return KernelOwners(netns).holdings(KnownSite(compiled))
