"""`nfcompile graph`: the packet's way and the pools as a picture."""

from __future__ import annotations

import sys

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED


def run(site: str, *, format: str = "mermaid", quiet: bool = False, color: bool = True) -> int:
    """Write the picture of SITE to stdout."""
    from nfcompile.graph.way import way

    result = outcome.compiled(site)
    outcome.tell(result, quiet, color)
    if result.compiled is None:
        return REFUSED
    drawn = way(result.compiled.site, result.compiled.allocations)
    if format == "svg":
        from nfcompile.graph.svg import svg

        sys.stdout.write(svg(drawn))
    else:
        from nfcompile.graph.mermaid import mermaid

        sys.stdout.write(mermaid(drawn))
    return OK
