"""An ACL holds in both directions: a host that may not go out by a static or nat pool is not reached by it.

Read from the subscriber's side: `src` and `sport` are the subscriber's, `dst` and `dport` the remote side's,
whichever opens the connection. The ACL is asked once more, with the two ends in each other's place, after
destination NAT and only of connections that it led to a subscriber. Pools whose ACL accepts all that they
serve need no rule.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Object, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.rewriting import rewritten
from nfcompile.emit.statements import CT_STATUS, DROP, IP_DADDR, RETURN, counter, goto, jump, match
from nfcompile.lower import names
from nfcompile.lower.acl import acl_rules
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.lower.sources import matched, several
from nfcompile.model.ranges import subtract, union

POOLS = ("pools",)
ASKED = Field("ct original ip daddr")
OTHER_END = {
    "ip saddr": "ip daddr",
    "iifname": "oifname",
    **{f"{word} sport": f"{word} dport" for word in ("th", "tcp", "udp")},
}
OTHER_END |= {other: one for one, other in OTHER_END.items()}


def reachable(context: Context) -> Contribution:
    """The chains, and the rule for the source NAT chain."""
    allocations = [one for one in context.allocations if has_limits(one)]
    if not allocations:
        return Contribution()
    objects: list[Object] = []
    rules = []
    for allocation in allocations:
        pool, name = allocation.pool, names.reached(allocation.pool.name)
        objects += [Counter(names.pool_counter(pool.name, "acl"), pool.path), _chain(context, allocation)]
        asked, hosts = match(ASKED, *union(pool.global_ranges)), union(allocation.subscribers)
        objects += several(names.hosts(pool.name), hosts, pool.path)
        rules.append(pool_rule(pool, asked, matched(IP_DADDR, names.hosts(pool.name), hosts), goto(name)))
    globals_ = matched(ASKED, names.GLOBALS, context.global_addresses)
    led_on = *context.from_either, match(CT_STATUS, "dnat"), globals_
    entry = Rule((*led_on, jump(names.REACHABLE)), POOLS)
    chain = Chain(names.REACHABLE, tuple(rules), POOLS)
    return Contribution((chain, *objects), postrouting=(entry,))


def has_limits(allocation: PoolAllocation) -> bool:
    """Whether the ACL leaves out anything of a pool whose addresses can be reached."""
    pool = allocation.pool
    if pool.acl is None or not pool.is_reached_by_acl:
        return False
    return bool(tuple(subtract(allocation.subscribers, allocation.taken)))


def _chain(context: Context, allocation: PoolAllocation) -> Chain:
    pool = allocation.pool
    assert pool.acl is not None
    drop = counter(names.pool_counter(pool.name, "acl")), DROP
    _, rules = acl_rules(context, pool.acl, pool.name, ((RETURN,),), deny=drop, mapped=False)
    mirrored = (rewritten(rule, _other_end) for rule in rules)
    last = () if pool.is_static else (pool_rule(pool, *drop),)
    return pool_chain(pool, names.reached(pool.name), *mirrored, *last)


def _other_end(value: object) -> object:
    if isinstance(value, Field) and value.name in OTHER_END:
        return Field(OTHER_END[value.name])
    return value
