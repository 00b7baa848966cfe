"""`flowtable: on`: packets of established connections skip the ruleset, right where they come in.

The kernel then translates and forwards them by what conntrack knows, and none of our chains sees them. So
only connections between pools that need not see them go there: those that renew nothing. The kernel itself
keeps back what has a helper (net/netfilter/nft_flow_offload.c).
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.emit import Chain, Flowtable, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import CT_STATE, L4PROTO, PORTED, RETURN, Use, jump, match
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.model.ranges import Range, union
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "flowtable")
ENDS = (Field("ct reply ip daddr"), Field("ct original ip daddr"))
"""Where the pool's address stands: in the answers to what a subscriber opened, in the questions of what the
outside opened; in both where a subscriber reaches another one."""


def flowtable(context: Context) -> Contribution:
    """The flowtable, the chain that fills it, and the rule for the forward chain."""
    pools = offloaded_pools(context.site)
    if not pools:
        return Contribution()
    renewed = _globals(pool for pool in context.site.active_pools if pool.renews)
    keep = [Rule((match(end, *renewed), RETURN), PATH) for end in ENDS] if renewed else []
    shortcut = Use("flow", names.FLOWTABLE)
    fill = [Rule((match(end, names.OFFLOADED), shortcut), PATH) for end in ENDS]
    objects = (
        Flowtable(names.FLOWTABLE, context.sides.every_interface, PATH),
        address_set(names.OFFLOADED, _globals(pools), PATH),
        Chain(names.OFFLOAD, (*keep, *fill), PATH),
    )
    established = match(CT_STATE, "established"), match(L4PROTO, *PORTED)
    return Contribution(objects, forward=(Rule((*established, jump(names.OFFLOAD)), PATH),))


def offloaded_pools(site: Site) -> tuple[Pool, ...]:
    """Pools whose connections take the short way. None where VLANs share addresses: what goes back to them is
    routed by a mark that packets in a flowtable do not get."""
    if not site.defaults.flowtable or shared_addresses(site):
        return ()
    return tuple(pool for pool in site.active_pools if pool.can_be_offloaded)


def _globals(pools: Iterable[Pool]) -> tuple[Range, ...]:
    return union(one for pool in pools for one in pool.global_ranges)
