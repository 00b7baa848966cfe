"""Who has an IPv6 address, from the prefixes of npt pools: the host bits are the same on both sides."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.lookup import Answer
from nfcompile.model.ranges import ipv6_text
from nfcompile.model.site import Site


def prefix_lookups(site: Site, address: int) -> list[Answer]:
    """The pair of a local address, otherwise that of a global one."""
    return list(_of(site, address, local=True)) or list(_of(site, address, local=False))


def _of(site: Site, address: int, *, local: bool) -> Iterator[Answer]:
    for pool in sorted(site.npt, key=lambda pool: pool.priority):
        for pair in pool.pairs if pool.enable else ():
            asked = pair.local if local else pair.globals
            if asked.range.first <= address <= asked.range.last:
                host = address - asked.base
                ends = ipv6_text(pair.local.base + host), ipv6_text(pair.globals.base + host)
                yield Answer(pool.name, *ends, None, None, "translate")
