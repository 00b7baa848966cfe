"""Modules that nobody loads: the half of a helper that rewrites addresses. `apply` loads none, it says which.

A ruleset that names a helper makes the kernel load its first half (`nf_conntrack_ftp`), which reads the
protocol; nothing makes it load the second (`nf_nat_ftp`). Without it connections pass, and the addresses in
the protocol stay the subscriber's own. A kernel with the helpers built in has both halves.
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.diagnostics import Diagnostic, Path

MODULES = "/proc/modules"


def missing(helpers: Iterable[tuple[str, Path]]) -> tuple[Diagnostic, ...]:
    """A warning for each helper (its name in the kernel, and where the site asks for it) of which the running
    kernel has the first half alone."""
    loaded = _loaded()
    halves = {
        kind: path
        for kind, path in helpers
        if f"nf_conntrack_{kind}" in loaded and f"nf_nat_{kind}" not in loaded
    }
    return tuple(_warning(f"nf_nat_{kind}", path) for kind, path in halves.items())


def _warning(module: str, path: Path) -> Diagnostic:
    return Diagnostic(
        "host-module",
        f"the module '{module}' is not loaded: addresses in the protocol are not rewritten",
        path,
        key=True,
        hint=f"modprobe {module}, and write its name into /etc/modules-load.d/nfcompile.conf",
        severity="warning",
    )


def _loaded() -> set[str]:
    """The loaded modules; none where the kernel has no modules at all."""
    try:
        with open(MODULES) as file:
            return {line.partition(" ")[0] for line in file}
    except OSError:
        return set()
