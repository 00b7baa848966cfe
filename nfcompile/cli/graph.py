"""`nfcompile graph`: the packet's way and the pools as a picture."""

from __future__ import annotations

import sys

from nfcompile.cli import site
from nfcompile.cli.exit_status import OK
from nfcompile.cli.options import Options


def run(options: Options) -> int:
    """Write the picture of SITE to stdout."""
    from nfcompile.graph.way import way

    _, compiled = site.compiled_or_refused(options)
    drawn = way(compiled.site, compiled.allocations)
    if options.format == "svg":
        from nfcompile.graph.svg import svg

        sys.stdout.write(svg(drawn))
    else:
        from nfcompile.graph.mermaid import mermaid

        sys.stdout.write(mermaid(drawn))
    return OK
