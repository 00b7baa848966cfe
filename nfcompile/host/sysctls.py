"""Sysctls of a network namespace, read only: `apply` sets none, it warns of those that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nfcompile.diagnostics import Diagnostic
from nfcompile.kernel import netns

FORWARDING = "net.ipv4.ip_forward"


def forwarding(namespace: str | None = None) -> tuple[Diagnostic, ...]:
    """A warning where the namespace forwards nothing."""
    if netns.inside(namespace, lambda: _read([FORWARDING])).get(FORWARDING, 1):
        return ()
    message = f"this host does not forward packets: {FORWARDING} is 0"
    hint = f"sysctl -w {FORWARDING}=1"
    return (Diagnostic("host-sysctl", message, ("interfaces",), key=True, hint=hint, severity="warning"),)


def differing(wanted: Mapping[str, int], namespace: str | None = None) -> tuple[Diagnostic, ...]:
    """One warning that names the sysctls with another value; those that the kernel lacks are left out."""
    found = netns.inside(namespace, lambda: _read(wanted))
    off = [name for name, value in wanted.items() if found.get(name, value) != value]
    if not off:
        return ()
    spelled = ", ".join(f"{name} {found[name]}, not {wanted[name]}" for name in off)
    return (
        Diagnostic(
            "host-sysctl",
            f"timeouts of this host differ from those of the pools: {spelled}",
            ("pools",),
            key=True,
            hint=f"sysctl -w {' '.join(f'{name}={wanted[name]}' for name in off)}",
            severity="warning",
        ),
    )


def _read(names: Iterable[str]) -> dict[str, int]:
    values: dict[str, int] = {}
    for name in names:
        try:
            with open(f"/proc/sys/{name.replace('.', '/')}") as file:
                values[name] = int(file.read())
        except (OSError, ValueError):
            continue
    return values
