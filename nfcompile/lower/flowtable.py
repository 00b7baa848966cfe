"""`flowtable: on`: packets of established connections skip the ruleset, right where they come in.

The kernel then translates and forwards them by what conntrack knows, and none of our chains sees them. So
only connections between pools that need not see them go there: those that renew nothing. The kernel itself
keeps back what has a helper (net/netfilter/nft_flow_offload.c).
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.emit import Chain, Flowtable, Rule, words
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import Range, union
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "flowtable")
ENDS = ("ct reply ip daddr", "ct original ip daddr")
"""Where the pool's address stands: in the answers to what a subscriber opened, in the questions of what the
outside opened; in both where a subscriber reaches another one."""


def flowtable(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The flowtable, the chain that fills it, and the rule for the forward chain."""
    pools = offloaded_pools(gate.site)
    if not pools:
        return (), ()
    renewed = _globals(pool for pool in gate.site.active_pools if pool.renews)
    keep = [_rule(f"{end} {words.addresses(renewed)} return") for end in ENDS] if renewed else []
    fill = [_rule(f"{end} @{names.OFFLOADED} flow add @{names.FLOWTABLE}") for end in ENDS]
    objects = (
        Flowtable(names.FLOWTABLE, (*gate.inside, *gate.outside), PATH),
        address_set(names.OFFLOADED, _globals(pools), PATH),
        Chain(names.OFFLOAD, (*keep, *fill), PATH, None, "nat_defaults.flowtable"),
    )
    return objects, (_rule(f"ct state established meta l4proto {{ tcp, udp }} jump {names.OFFLOAD}"),)


def offloaded_pools(site: Site) -> tuple[Pool, ...]:
    """Pools whose connections take the short way. None where VLANs share addresses: what goes back to them is
    routed by a mark that packets in a flowtable do not get."""
    if not site.defaults.flowtable or shared_addresses(site):
        return ()
    return tuple(pool for pool in site.active_pools if pool.can_be_offloaded)


def _globals(pools: Iterable[Pool]) -> tuple[Range, ...]:
    found = [(*pool.global_ip, *(entry.globals for entry in pool.global_map)) for pool in pools]
    return union(one for ranges in found for one in ranges)


def _rule(phrase: str) -> Rule:
    return Rule((phrase,), PATH, "nat_defaults.flowtable")
