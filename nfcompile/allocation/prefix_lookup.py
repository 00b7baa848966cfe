"""The prefixes of npt pools: the host behind an IPv6 address, and all pairs. Host bits stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.lookup import Answer
from nfcompile.allocation.mappings import ALL, MappingRow
from nfcompile.model.npt import prefix6_text
from nfcompile.model.ranges import ipv6_text
from nfcompile.model.site import Site


def prefix_lookups(site: Site, address: int) -> list[Answer]:
    """The pair of a local address, otherwise that of a global one."""
    return list(_of(site, address, local=True)) or list(_of(site, address, local=False))


def prefix_rows(site: Site) -> Iterator[MappingRow]:
    """A row for each pair of prefixes, in packet order: its addresses are too many for one each."""
    for pool in sorted(site.npt, key=lambda pool: pool.priority):
        for pair in sorted(pool.pairs, key=lambda pair: pair.local) if pool.enable else ():
            ends = prefix6_text(pair.local), prefix6_text(pair.globals)
            yield MappingRow(pool.name, *ends, "", "", ALL)


def _of(site: Site, address: int, *, local: bool) -> Iterator[Answer]:
    for pool in sorted(site.npt, key=lambda pool: pool.priority):
        for pair in pool.pairs if pool.enable else ():
            asked = pair.local if local else pair.globals
            if asked.range.first <= address <= asked.range.last:
                host = address - asked.base
                ends = ipv6_text(pair.local.base + host), ipv6_text(pair.globals.base + host)
                yield Answer(pool.name, *ends, None, None, "translate")
