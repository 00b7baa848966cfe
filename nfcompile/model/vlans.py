"""Which addresses a site names in more than one VLAN."""

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import Range
from nfcompile.model.site import Pool, Site


class TaggedAddresses(NamedTuple):
    """Addresses that a site names in a VLAN, and where."""

    addresses: Range
    vid: int
    path: Path


Pair = tuple[TaggedAddresses, TaggedAddresses]


def shared_addresses(site: Site) -> list[Pair]:
    """Pairs of places that name the same address in two VLANs: one pair for each second place."""
    return list(pairs([tagged for pool in site.active_pools for tagged in tagged_addresses(pool)]))


def tagged_addresses(pool: Pool) -> Iterator[TaggedAddresses]:
    """The addresses that a pool serves in a VLAN."""
    for rule in pool.acl.rules if pool.acl else ():
        if rule.allow and rule.vid is not None:
            yield TaggedAddresses(rule.source, rule.vid, rule.path)
    for entry in pool.global_map:
        if entry.vid is not None:
            yield TaggedAddresses(entry.local, entry.vid, entry.path)


def pairs(named: list[TaggedAddresses]) -> Iterator[Pair]:
    """Sweep the addresses; of each VLAN the stretch that reaches furthest can meet what follows.

    Each stretch is paired with the first that it meets: a VLAN that shares anything is in some pair.
    """
    furthest: dict[int, TaggedAddresses] = {}
    for tagged in sorted(named, key=lambda tagged: (tagged.addresses, tagged.vid)):
        for vid, earlier in list(furthest.items()):
            if earlier.addresses.last < tagged.addresses.first:
                del furthest[vid]
            elif vid != tagged.vid:
                yield earlier, tagged
                break
        known = furthest.get(tagged.vid)
        if known is None or tagged.addresses.last > known.addresses.last:
            furthest[tagged.vid] = tagged
