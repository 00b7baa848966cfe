"""Addresses in VLANs.

### vlan-untagged

`~vid` is used although `vlan_mode` is `untagged`. An untagged gateway does not look at tagged frames, so
the rule could never match, and the host in that VLAN would not be translated.

```yaml
acls: {office: {10: allow ip 10.0.0.1~102}}
```

```yaml
nat_defaults: {vlan_mode: vlan}
acls: {office: {10: allow ip 10.0.0.1~102}}
```

### vlan-shared

One cgnat or nat pool serves the same address in two VLANs. Both hosts would have the same block, and no log
could tell them apart. Give each VLAN a pool of its own; the same addresses can then be used in both.

```yaml
nat_defaults: {vlan_mode: vlan}
acls: {homes: {10: allow ip 10.0.0.0/24~101, 20: allow ip 10.0.0.128/25~102}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/27]}
```

```yaml
nat_defaults: {vlan_mode: vlan}
acls: {red: {10: allow ip 10.0.0.0/24~101}, blue: {10: allow ip 10.0.0.128/25~102}}
pools:
  red: {type: cgnat, acl: red, priority: 100, global_ip: [203.0.113.0/28]}
  blue: {type: cgnat, acl: blue, priority: 110, global_ip: [203.0.113.16/28]}
```
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
    if not checked.knows(("nat_defaults", "vlan_mode")):
        return
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
    written = "vlan_mode" in site.defaults.given
    notes = (Note("vlan_mode is given here", ("nat_defaults", "vlan_mode")),) if written else ()
    for acl in site.acls:
        for rule in acl.rules:
            if rule.vid is not None:
                yield _untagged(rule.vid, rule.path, False, notes)
    for pool in site.pools:
        for entry in pool.global_map:
            if entry.vid is not None:
                yield _untagged(entry.vid, entry.path, True, notes)


def _untagged(vid: int, path: Path, key: bool, notes: tuple[Note, ...]) -> Diagnostic:
    return Diagnostic(
        "vlan-untagged",
        f"'~{vid}' needs VLANs, but vlan_mode is untagged",
        path,
        key=key,
        hint="set vlan_mode: vlan in nat_defaults",
        notes=notes,
    )
