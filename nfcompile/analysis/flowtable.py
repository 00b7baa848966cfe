"""flowtable-unused: `flowtable` is on, but no connection can take the short way (a warning).

Packets there meet no rule, so pools stay out whose packets renew something: dynamic pools, and cgnat pools
with hairpin (the default), endpoint-independent filtering or randomize_ports. So do fake pools, and sites
with VLANs that share addresses. Change a pool, or leave `flowtable` off.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "flowtable")


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for the site."""
    site = checked.site
    if not site.defaults.flowtable:
        return
    if shared_addresses(site):
        why, hint = "VLANs share addresses, and are routed by marks", "leave it off"
    elif not any(pool.can_be_offloaded for pool in site.active_pools):
        why = "packets of every pool renew something, or are not translated"
        hint = "leave it off, or turn hairpin off in a deterministic cgnat pool"
    else:
        return
    message = f"no connection can use the flowtable: {why}"
    yield Diagnostic("flowtable-unused", message, PATH, hint=hint, severity="warning")
