"""Connections that the outside opens get what the pool's own connections get: timeouts, helper, events.

On their way out to the inside interface, after destination NAT: the global address that they asked for says
which pool it was, in static pools the host that they reach (its set of hosts is there already). Those are
asked last, since such a host may be another pool's subscriber as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import CT_STATUS, IP_DADDR, OIFNAME, concat, goto, jump, match
from nfcompile.lower import names
from nfcompile.lower.connection_policy import policy
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.dispatch import by_global, is_flat
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.lower.session_limits import inbound_limit
from nfcompile.lower.sources import matched
from nfcompile.lower.whose_address import whose

POOLS = ("pools",)
ASKED = Field("ct original ip daddr")


def arriving(context: Context) -> Contribution:
    """The chains, and the rule for the source NAT chain; nothing where the outside opens no connection."""
    allocations = [allocation for allocation in context.allocations if allocation.pool.opens_to_outside]
    if not allocations:
        return Contribution()
    asked = matched(ASKED, names.GLOBALS, context.global_addresses)
    inward = *context.from_outside, *context.to_inside, match(CT_STATUS, "dnat"), asked
    entry = Rule((*inward, jump(names.INBOUND_POLICY)), POOLS)
    policies = [_policy(context, allocation) for allocation in allocations]
    if is_flat(context):
        chains = {one.pool.name: names.inbound_policy(one.pool.name) for one in allocations}
        tables, look = by_global(context, "inboundpolicy", ASKED, chains)
        chain = Chain(names.INBOUND_POLICY, (Rule((look,), POOLS),), POOLS)
        return Contribution((*tables, chain, *policies), postrouting=(entry,))
    last = sorted(allocations, key=lambda allocation: allocation.pool.is_static)
    rules = tuple(rule for allocation in last for rule in _whose(context, allocation))
    return Contribution((Chain(names.INBOUND_POLICY, rules, POOLS), *policies), postrouting=(entry,))


def _whose(context: Context, allocation: PoolAllocation) -> Iterator[Rule]:
    pool = allocation.pool
    go = goto(names.inbound_policy(pool.name))
    if not pool.is_static:
        yield pool_rule(pool, *next(whose(context, allocation, ASKED)), go)
        return
    if any(entry.vid is None for entry in pool.global_map):
        yield pool_rule(pool, match(IP_DADDR, names.subscribers(pool.name)), go)
    if any(entry.vid is not None for entry in pool.global_map):
        tagged = names.tagged_subscribers(pool.name)
        yield pool_rule(pool, match(concat(OIFNAME, IP_DADDR), tagged), go)


def _policy(context: Context, allocation: PoolAllocation) -> Chain:
    _, rules = policy(context, allocation)
    limits = inbound_limit(allocation.pool)
    return pool_chain(allocation.pool, names.inbound_policy(allocation.pool.name), *limits, *rules)
