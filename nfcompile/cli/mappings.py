"""`nfcompile mappings`: the whole allocation, written while it is computed."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from nfcompile.allocation import mappings
from nfcompile.allocation.mappings import Holding, MappingRow
from nfcompile.allocation.prefix_lookup import prefix_rows
from nfcompile.cli import rows, site, state
from nfcompile.cli.exit_status import OK, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled


def run(options: Options) -> int:
    """Write one row for each subscriber and pool; `--compact` lets a prefix stand for many subscribers. An
    npt pool has a row for each pair of prefixes.

    With `--live` the blocks of dynamic pools are those that the kernel holds.
    """
    if options.netns is not None and not options.live:
        raise UsageProblem("--netns goes with --live")
    if not options.live:
        all_pairs = [compiled for _, compiled in site.each_compiled(options.site, options)]
        listed = (mappings.mappings(one.allocations, options.compact, None) for one in all_pairs)
        of_ipv6 = dict.fromkeys(row for one in all_pairs for row in prefix_rows(one.site))
        with working("listing", options, rows=True):
            rows.write(MappingRow._fields, chain(chain.from_iterable(listed), of_ipv6), options.format)
        return OK
    _, compiled = site.compiled_or_refused(options)
    state.examine(options)
    held = _held(compiled, options.netns)
    found = mappings.mappings(compiled.allocations, options.compact, held)
    rows.write(MappingRow._fields, chain(found, prefix_rows(compiled.site)), options.format)
    return OK


def _held(compiled: Compiled, netns: str | None) -> dict[str, list[Holding]]:
    """Everything before the first row is written: a refusal of the kernel leaves no half of a list."""
    from nfcompile.live.owners import KernelOwners
    from nfcompile.records.lookup_at import KnownSite

    return KernelOwners(netns).holdings(KnownSite(compiled))
