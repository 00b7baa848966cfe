"""vlan-untagged: `~vid` is used although `vlan_mode` is untagged.

An untagged gateway passes tagged frames through untouched, so the rule could never match. Set
`nat_defaults.vlan_mode` to vlan (one tag) or qinq (two tags).

vlan-shared: one pool serves the same address in two VLANs.

Two hosts would share a block, and no log could tell them apart. Give each VLAN a pool of its own; the same
addresses may then be used in both.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note, Path
from nfcompile.model.ranges import Range, range_text
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import pairs, tagged_addresses


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each VLAN that cannot be, one for each address that two VLANs of a pool share."""
    if checked.site.defaults.vlan_mode == "untagged":
        yield from _untagged_site(checked.site)
        return
    for pool in checked.site.active_pools:
        if pool.allocates:
            yield from _shared_in(pool)


def _shared_in(pool: Pool) -> Iterator[Diagnostic]:
    for first, second in pairs(list(tagged_addresses(pool))):
        last = min(first.addresses.last, second.addresses.last)
        address = range_text(Range(second.addresses.first, last))
        yield Diagnostic(
            "vlan-shared",
            f"pool '{pool.name}' serves {address} in VLANs {first.vid} and {second.vid}",
            second.path,
            hint="give each VLAN a pool of its own",
            notes=(Note(f"VLAN {first.vid} is named here", first.path),),
        )


def _untagged_site(site: Site) -> Iterator[Diagnostic]:
    for acl in site.acls:
        for rule in acl.rules:
            if rule.vid is not None:
                yield _untagged(rule.vid, rule.path, False)
    for pool in site.pools:
        for entry in pool.global_map:
            if entry.vid is not None:
                yield _untagged(entry.vid, entry.path, True)


def _untagged(vid: int, path: Path, key: bool) -> Diagnostic:
    return Diagnostic(
        "vlan-untagged",
        f"'~{vid}' needs VLANs, but vlan_mode is untagged",
        path,
        key=key,
        hint="set vlan_mode: vlan in nat_defaults",
    )
