"""What the host has not done of its part, as warnings: every time, also where nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.emit import CtHelper
from nfcompile.host import interfaces, modules, sysctls
from nfcompile.pipeline import Compiled


def host_warnings(compiled: Compiled, netns: str | None) -> tuple[Diagnostic, ...]:
    """Interfaces, forwarding, modules and timeouts that are not as the site needs them."""
    helpers = [(one.type, one.origin) for one in compiled.table.objects if isinstance(one, CtHelper)]
    return (
        *interfaces.missing(_interfaces(compiled), netns),
        *sysctls.forwarding(netns),
        *modules.missing(helpers),
        *sysctls.differing(compiled.sysctls, netns),
    )


def _interfaces(compiled: Compiled) -> Iterator[tuple[str, Path]]:
    """The interfaces that the site names, each with its place."""
    named = compiled.site.interfaces
    for side, names in (("inside", named.inside), ("outside", named.outside)):
        yield from ((name, ("interfaces", side, index)) for index, name in enumerate(names))
    yield from ((name, ("interfaces", "vlans", str(vid))) for vid, name in named.vlans)
