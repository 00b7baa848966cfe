"""A pool with the address by which this host itself is reached: `apply` would lock its operator out.

What comes to a global address and meets no mapping is dropped, SSH to the gateway too. The address is the
source of the host's own packets to the Internet; other addresses of pools may be on an interface.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.shared_addresses import own_address
from nfcompile.diagnostics import Diagnostic
from nfcompile.host.machine import SOMEWHERE
from nfcompile.kernel import netns, network
from nfcompile.model.ranges import address_text
from nfcompile.model.site import Pool, Site


def refusals(site: Site, namespace: str | None) -> tuple[Diagnostic, ...]:
    """An error for each pool that takes this host's own address from it. Raises KernelError."""
    own = netns.inside(namespace, _own_source)
    if own is None or own == own_address(site):
        return ()
    return tuple(_refusals(site, own))


def _own_source() -> int | None:
    with network.opened() as asking:
        return network.own_source(asking, SOMEWHERE)


def _refusals(site: Site, own: int) -> Iterator[Diagnostic]:
    text = address_text(own)
    for pool in site.active_pools:
        for index, one in enumerate(pool.global_ip):
            if one.first <= own <= one.last:
                path = (*pool.path, "global_ip", index)
                yield Diagnostic("own-address", _message(pool, text), path, hint=_hint(pool, text))
        for entry in pool.global_map:
            if entry.globals.first <= own <= entry.globals.last:
                local = address_text(entry.local.first + own - entry.globals.first)
                hint = f"SSH to the gateway, port 22 of {text}, would lead to {local}: use another address"
                hint += ", or 'dnat' rules for single ports"
                yield Diagnostic("own-address", _message(pool, text), entry.path, hint=hint)


def _message(pool: Pool, own: str) -> str:
    return f"pool '{pool.name}' has {own}, which is this host's own address"


def _hint(pool: Pool, own: str) -> str:
    if pool.shares_addresses:
        return (
            f"write 'gateway: {{primary_ip: {own}}}': what no mapping accepts is then for the gateway itself"
        )
    return (
        f"SSH to the gateway, port 22 of {own}, would be dropped or led to a subscriber: use another address"
    )
