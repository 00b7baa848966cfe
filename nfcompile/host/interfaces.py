"""Interfaces of a network namespace: which of those that a site names do not exist."""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.kernel import netns


def missing(wanted: Iterable[tuple[str, Path]], namespace: str | None = None) -> tuple[Diagnostic, ...]:
    """A warning for each interface that does not exist, at its place in the site."""
    named = dict(wanted)
    found = netns.inside(namespace, _names)
    others = ", ".join(sorted(found - {"lo"})) or "none"
    return tuple(
        Diagnostic(
            "host-interface",
            f"interface '{name}' does not exist; packets of other interfaces are not translated",
            path,
            hint=f"there are: {others}",
            severity="warning",
        )
        for name, path in named.items()
        if name not in found
    )


def _names() -> set[str]:
    import socket

    return {name for _, name in socket.if_nameindex()}
