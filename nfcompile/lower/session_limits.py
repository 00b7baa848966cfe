"""Limits that blocks do not already set: simultaneous sessions of a socket, of ICMP.

`ct count` walks all connections of its key, so it stands only where nothing cheaper bounds them. What exceeds
the limit of a socket is refused at once, in the forward chain.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Counter, Object, Rule, Set
from nfcompile.emit.statements import (
    ADMIN_PROHIBITED,
    CT_STATE,
    ICMP,
    IP_SADDR,
    L4PROTO,
    PORTED,
    TH_SPORT,
    CtCount,
    add,
    concat,
    counter,
    goto,
    match,
)
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.exhaustion import no_room
from nfcompile.lower.part import Statements
from nfcompile.model.ranges import Range, union

SESSIONS_PATH = ("nat_defaults", "sessions_per_translation")
SESSIONS_SIZE = 1048576


def icmp_limit(allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """`portlimit_icmp` of one pool: the ids of a block bound the sessions to each destination only.

    Objects, and the rule for the pool's new connections.
    """
    pool, limit = allocation.pool, allocation.pool.limits.portlimit_icmp
    if not pool.shares_addresses:
        return (), ()
    path = (*pool.path, "limits_peruser", "portlimit_icmp")
    name, over = names.icmp_sources(pool.name), names.over_icmp(pool.name)
    dropped = names.pool_counter(pool.name, "icmp_limit")
    rule = Rule((match(L4PROTO, ICMP), add(name, IP_SADDR, CtCount(limit, over=True)), goto(over)), path)
    sources = Set(name, ("ipv4_addr",), path, (), ("dynamic",), 0, SESSIONS_SIZE)
    return (Counter(dropped, path), sources, no_room(pool, over, dropped)), (rule,)


def session_limit(context: Context) -> Contribution:
    """`sessions_per_translation`, for the forward chain: sessions of one local address and port."""
    limit = context.site.defaults.sessions_per_translation
    if limit is None:
        return Contribution()
    sockets = ("inet_proto", "ipv4_addr", "inet_service")
    objects: list[Object] = [
        Counter(names.SESSIONS_COUNTER, SESSIONS_PATH),
        Set(names.SESSIONS, sockets, SESSIONS_PATH, (), ("dynamic",), 0, SESSIONS_SIZE),
    ]
    source: Statements = ()
    if not any(allocation.unbounded for allocation in context.allocations):
        objects.append(address_set(names.LIMITED, _limited(context), SESSIONS_PATH))
        source = (match(IP_SADDR, names.LIMITED),)
    count = add(names.SESSIONS, concat(L4PROTO, IP_SADDR, TH_SPORT), CtCount(limit, over=True))
    new = *context.outward, match(CT_STATE, "new"), match(L4PROTO, *PORTED), *source
    refuse = counter(names.SESSIONS_COUNTER), ADMIN_PROHIBITED
    return Contribution(tuple(objects), forward=(Rule((*new, count, *refuse), SESSIONS_PATH),))


def _limited(context: Context) -> tuple[Range, ...]:
    return union(
        run
        for allocation in context.allocations
        if allocation.pool.translates
        for run in allocation.subscribers
    )
