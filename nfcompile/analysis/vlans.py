"""vlan-untagged: `~vid` is used although `vlan_mode` is untagged.

An untagged gateway passes tagged frames through untouched, so the rule could never match. Set
`nat_defaults.vlan_mode` to vlan (one tag) or qinq (two tags).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.survey import Survey
from nfcompile.diagnostics import Diagnostic


def check(survey: Survey) -> Iterator[Diagnostic]:
    """One error for each ACL rule or static entry with a VLAN."""
    if survey.site.defaults.vlan_mode != "untagged":
        return
    for acl in survey.site.acls:
        for rule in acl.rules:
            if rule.vid is not None:
                yield _untagged(rule.vid, rule.path, False)
    for pool in survey.site.pools:
        for entry in pool.global_map:
            if entry.vid is not None:
                yield _untagged(entry.vid, entry.path, True)


def _untagged(vid: int, path: tuple[str | int, ...], key: bool) -> Diagnostic:
    return Diagnostic(
        "vlan-untagged",
        f"'~{vid}' needs VLANs, but vlan_mode is untagged",
        path,
        key=key,
        hint="set vlan_mode: vlan in nat_defaults",
    )
