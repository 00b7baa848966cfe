"""Which addresses a site names in more than one VLAN."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import Range
from nfcompile.model.site import Pool, Site

Tagged = tuple[Range, int, Path]
"""Addresses, their VLAN, and where that is written."""


def shared_addresses(site: Site) -> list[tuple[int, int, Tagged, Tagged]]:
    """Pairs of VLANs that name the same address, with the places: one pair for each second place."""
    return list(pairs([one for pool in site.active_pools for one in tagged(pool)]))


def tagged(pool: Pool) -> Iterator[Tagged]:
    """The addresses that a pool serves in a VLAN."""
    for rule in pool.acl.rules if pool.acl else ():
        if rule.allow and rule.vid is not None:
            yield rule.source, rule.vid, rule.path
    for entry in pool.global_map:
        if entry.vid is not None:
            yield entry.local, entry.vid, entry.path


def pairs(found: list[Tagged]) -> Iterator[tuple[int, int, Tagged, Tagged]]:
    """Sweep the addresses; of each VLAN the stretch that reaches furthest can meet what follows.

    Each stretch is paired with the first that it meets: a VLAN that shares anything is in some pair.
    """
    furthest: dict[int, Tagged] = {}
    for one in sorted(found, key=lambda t: (t[0], t[1])):
        for vid, other in list(furthest.items()):
            if other[0].last < one[0].first:
                del furthest[vid]
            elif vid != one[1]:
                yield vid, one[1], other, one
                break
        known = furthest.get(one[1])
        if known is None or one[0].last > known[0].last:
            furthest[one[1]] = one
