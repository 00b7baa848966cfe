"""The whole table: base chains first, as a packet meets them, then what they jump to."""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, CtHelper, CtTimeout, Flowtable, Hook, Map, Object, Rule, Set, Table
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import CT_STATUS, goto, jump, match
from nfcompile.emit.validate import pruned
from nfcompile.lower import names
from nfcompile.lower.arriving import arriving
from nfcompile.lower.connection_policy import helper_objects
from nfcompile.lower.context import Context, lowering_context
from nfcompile.lower.custom_nat import dnat_objects, snat_objects
from nfcompile.lower.exhaustion import refusals
from nfcompile.lower.guard import before_inbound, guard_objects, midstream, unsolicited
from nfcompile.lower.host_timeouts import remarks
from nfcompile.lower.pools import has_hairpin, pool_objects
from nfcompile.lower.vlans import zone_objects, zone_remarks
from nfcompile.model.site import Site

POOLS = ("pools",)
ORDER = (Counter, CtTimeout, CtHelper, Flowtable, Set, Map, Chain)
"""Kinds of objects in the order in which they are written."""


def lower(site: Site, allocations: tuple[PoolAllocation, ...]) -> Table:
    """Translate a site that analysis has accepted."""
    this = lowering_context(site, allocations)
    dnat = dnat_objects(this)
    snat, elsewhere = snat_objects(this)
    pools: list[Object] = []
    inbound: list[Rule] = []
    for allocation in allocations:
        objects, rules = pool_objects(this, allocation)
        pools += objects
        inbound += rules
    memory, refuse = refusals(this)
    opened, policies = arriving(this)
    base = (
        *_prerouting(this, refuse, bool(dnat), inbound),
        *_postrouting(this, bool(snat), elsewhere, policies),
    )
    objects = (
        *base,
        *helper_objects(site),
        *dnat,
        *snat,
        *memory,
        *pools,
        *opened,
        *guard_objects(this),
        *zone_objects(this),
    )
    ordered = tuple(o for kind in ORDER for o in objects if isinstance(o, kind))
    return pruned(Table(names.TABLE, ordered, (*remarks(site), *zone_remarks(site))))


def _prerouting(
    this: Context, refuse: tuple[Rule, ...], dnat: bool, inbound: list[Rule]
) -> tuple[Object, ...]:
    rules = list(refuse)
    rules += [Rule((jump(names.DNAT_RULES),), ("dnat",))] if dnat else []
    rules += (*before_inbound(this), *inbound) if inbound else ()
    if not rules:
        return ()
    hook = Hook("nat", "prerouting", "dstnat")
    return (Chain(names.PREROUTING, tuple(rules), (), hook),)


def _postrouting(
    this: Context, snat: bool, elsewhere: tuple[Rule, ...], policies: tuple[Rule, ...]
) -> tuple[Object, ...]:
    rules = [*unsolicited(this), *elsewhere]
    chains: list[Object] = []
    if this.allocations or snat:
        rules.append(Rule((*this.outward, jump(names.OUTBOUND)), POOLS))
        out = list(midstream(this))
        if snat:
            out.append(Rule((jump(names.SNAT_RULES),), ("snat",)))
        if this.allocations:
            out.append(Rule((goto(names.POOLS),), POOLS))
        chains.append(Chain(names.OUTBOUND, tuple(out), POOLS))
    if this.allocations:
        if has_hairpin(this):
            back = this.from_inside, this.to_inside, match(CT_STATUS, "dnat")
            asked = match(Field("ct original ip daddr"), names.GLOBALS)
            rules.append(Rule((*back, asked, jump(names.POOLS)), POOLS, "hairpin"))
        jumps = tuple(Rule((jump(names.pool_chain(c.pool.name)),), c.pool.path) for c in this.allocations)
        chains.append(Chain(names.POOLS, jumps, POOLS))
    rules += policies
    if not rules:
        return ()
    hook = Hook("nat", "postrouting", "srcnat")
    return (Chain(names.POSTROUTING, tuple(rules), (), hook), *chains)
