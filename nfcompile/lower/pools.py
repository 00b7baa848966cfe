"""Pools in packet order: a chain that tests the ACL, a chain that translates, a drop at its end.

A packet that a pool has accepted never comes back: it is translated, passed (fake) or dropped and counted.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Counter, Object, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import (
    ACCEPT,
    CT_STATUS,
    DROP,
    IP_DADDR,
    IP_SADDR,
    RETURN,
    counter,
    goto,
    jump,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.acl import acl_rules, address_set
from nfcompile.lower.cgnat import deterministic_cgnat
from nfcompile.lower.computed_ports import PortPlan, port_plan
from nfcompile.lower.connection_policy import policy
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.dispatch import by_global, is_flat, pools_chain
from nfcompile.lower.dynamic import dynamic
from nfcompile.lower.guard import before_inbound
from nfcompile.lower.mapping import sockets
from nfcompile.lower.nat import deterministic_nat
from nfcompile.lower.part import PoolPart, Statements, pool_chain, pool_rule
from nfcompile.lower.session_limits import subscriber_limits
from nfcompile.lower.sources import matched
from nfcompile.lower.static import static, static_sources
from nfcompile.lower.whose_address import shared_ports
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

POOLS = ("pools",)


def pools(context: Context) -> Contribution:
    """All pools in packet order, and what leads to them."""
    if not context.allocations:
        return Contribution()
    objects: list[Object] = list(pools_chain(context))
    inbound: list[tuple[Pool, Rule]] = []
    for allocation in context.allocations:
        own, arriving = _pool(context, allocation)
        objects += own
        inbound += ((allocation.pool, rule) for rule in arriving)
    rules = tuple(rule for _, rule in inbound)
    if is_flat(context):
        more, rules = _inbound_by_address(context, inbound)
        objects += more
    hairpin: list[Rule] = []
    if context.has_hairpin:
        back = *context.from_inside, *context.to_inside, match(CT_STATUS, "dnat")
        asked = matched(Field("ct original ip daddr"), names.GLOBALS, context.global_addresses)
        hairpin.append(Rule((*back, asked, jump(names.POOLS)), POOLS, "hairpin"))
    return Contribution(
        tuple(objects),
        prerouting=(*before_inbound(context), *rules) if rules else (),
        postrouting=tuple(hairpin),
        outbound=(Rule((goto(names.POOLS),), POOLS),),
    )


def _inbound_by_address(
    context: Context, inbound: list[tuple[Pool, Rule]]
) -> tuple[list[Object], tuple[Rule, ...]]:
    """One look-up by global address for each side that may open sessions, instead of a rule for each pool."""
    objects: list[Object] = []
    for pool, rule in inbound:
        if not pool.shares_addresses:
            # The look-up follows the matches of the side, and stands for the match of the addresses.
            addresses = match(IP_DADDR, *union(pool.global_ranges))
            side = context.arriving(outside=pool.allow_external_connect, inside=pool.hairpin)
            rest = (one for one in rule.statements[len(side) :] if one != addresses)
            objects.append(pool_chain(pool, names.inbound(pool.name), pool_rule(pool, *rest)))
    outside = [pool for pool, _ in inbound if pool.opens_to_outside]
    inside = [pool for pool, _ in inbound if pool.hairpin]
    sides = [
        ("inbound_outside", context.from_outside, outside),
        ("inbound_inside", context.from_inside, inside),
    ]
    if outside == inside:
        sides = [("inbound", context.from_either, outside)]
    rules: list[Rule] = []
    for word, side, reached in sides:
        if reached:
            chains = {pool.name: names.inbound(pool.name) for pool in reached}
            tables, look = by_global(context, word, IP_DADDR, chains)
            objects += tables
            rules.append(Rule((*side, look), POOLS))
    return objects, tuple(rules)


def _pool(context: Context, allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """Everything of one pool, and its rules in the shared destination NAT chain."""
    pool = allocation.pool
    if not pool.translates:
        return _fake(context, allocation), ()
    sets, rules = _entry(context, allocation, (goto(names.translate_chain(pool.name)),))
    plan = port_plan(allocation)
    part = _part(context, allocation, plan)
    timeouts, first_packet = policy(context, allocation)
    limits, refusals = subscriber_limits(allocation)
    entries = sockets(context, allocation, plan)
    drop = counter(names.dropped(pool.name)), DROP
    translate = (
        *_no_hairpin(context, allocation, drop),
        *refusals,
        *first_packet,
        *entries.lookup,
        *part.translate,
        *(() if pool.is_dynamic else (pool_rule(pool, *drop),)),
    )
    return (
        Counter(names.dropped(pool.name), pool.path),
        *shared_ports(context, allocation),
        *timeouts,
        *limits,
        *entries.objects,
        *sets,
        *part.objects,
        pool_chain(pool, names.pool_chain(pool.name), *rules),
        pool_chain(pool, names.translate_chain(pool.name), *translate),
    ), (*entries.inbound, *part.inbound)


def _fake(context: Context, allocation: PoolAllocation) -> tuple[Object, ...]:
    """What it accepts keeps its address; only timeouts, events and hairpin are the pool's."""
    pool = allocation.pool
    sets, rules = _entry(context, allocation, (goto(names.pass_chain(pool.name)),))
    timeouts, first_packet = policy(context, allocation)
    refused = _no_hairpin(context, allocation, (counter(names.dropped(pool.name)), DROP))
    return (
        *((Counter(names.dropped(pool.name), pool.path),) if refused else ()),
        *timeouts,
        *sets,
        pool_chain(pool, names.pool_chain(pool.name), *rules),
        pool_chain(pool, names.pass_chain(pool.name), *refused, *first_packet, pool_rule(pool, ACCEPT)),
    )


def _part(context: Context, allocation: PoolAllocation, plan: PortPlan | None) -> PoolPart:
    if allocation.pool.is_static:
        return static(context, allocation)
    if allocation.pool.is_dynamic:
        return dynamic(context, allocation)
    if allocation.pool.owns_addresses:
        return deterministic_nat(context, allocation)
    return deterministic_cgnat(context, allocation, plan)


def _entry(
    context: Context, allocation: PoolAllocation, accept: Statements
) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The ACL of a pool, with `subscribers` or `global_map` as a further condition."""
    pool = allocation.pool
    sets: list[Object] = []
    before: list[Rule] = []
    after: list[Rule] = []
    allow: tuple[Statements, ...] = (accept,)
    if pool.is_static:
        sources, matches = static_sources(context, allocation)
        sets += sources
        allow = (*((match, *accept) for match in matches), (RETURN,))
        after = [pool_rule(pool, match, *accept) for match in matches]
    elif pool.subscribers is not None:
        name = names.subscribers(pool.name)
        path = (*pool.path, "subscribers")
        sets.append(address_set(name, union(pool.subscribers), path))
        before.append(Rule((unlike(IP_SADDR, name), RETURN), path))
    acl_sets: list[Object] = []
    rules: list[Rule] = []
    if pool.acl is not None:
        acl_sets, rules = acl_rules(context, pool.acl, pool.name, allow)
    return (*sets, *acl_sets), (*before, *rules, *after)


def _no_hairpin(context: Context, allocation: PoolAllocation, drop: Statements) -> tuple[Rule, ...]:
    """Other pools have hairpin on, this one has not: its subscribers must not use it (both pools allow)."""
    if allocation.pool.hairpin or not context.has_hairpin:
        return ()
    return (pool_rule(allocation.pool, *context.to_inside, *drop),)
