"""Limits that blocks do not already set: simultaneous sessions of a socket, of ICMP, of a subscriber.

`ct count` walks all connections of its key, so it stands only where nothing cheaper bounds them. What exceeds
the limit of a socket is refused at once, in the forward chain.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Counter, Object, Rule, Set
from nfcompile.emit.statements import (
    ADMIN_PROHIBITED,
    CT_STATE,
    DROP,
    ICMP,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    PORTED,
    TH_SPORT,
    CtCount,
    Match,
    add,
    concat,
    counter,
    goto,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.exhaustion import no_room
from nfcompile.lower.part import Statements
from nfcompile.model.ranges import Range, union
from nfcompile.model.site import Pool

SESSIONS_PATH = ("nat_defaults", "sessions_per_translation")
SESSIONS_SIZE = 1048576
LIMITS = {"portlimit_icmp": "icmp", "sessions": "sessions"}
"""Keys of `limits_peruser` that count connections, and the names of their sets."""
COUNTERS = {"portlimit_icmp": "icmp_limit", "sessions": "sessions"}


def subscriber_limits(allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """`portlimit_icmp` and `sessions` of one pool: objects, and the rules for the pool's new connections.

    The ids of a block bound the ICMP sessions to each destination only, its ports the sessions of each
    protocol to each destination only.
    """
    pool = allocation.pool
    if not pool.shares_addresses:
        return (), ()
    objects, rules = _limit(pool, "portlimit_icmp", pool.limits.portlimit_icmp, match(L4PROTO, ICMP))
    if pool.limits.sessions is not None:
        more, others = _limit(pool, "sessions", pool.limits.sessions)
        objects, rules = (*objects, *more), (*rules, *others)
    return (*objects, Counter(names.pool_counter(pool.name, "full"), pool.path)), rules


def inbound_limit(pool: Pool) -> tuple[Rule, ...]:
    """`sessions` for what the outside opens to a subscriber: they count as the subscriber's."""
    if not pool.shares_addresses or pool.limits.sessions is None:
        return ()
    path, name = (*pool.path, "limits_peruser", "sessions"), names.counted("sessions", pool.name)
    count = add(name, IP_DADDR, CtCount(pool.limits.sessions, over=True))
    dropped = counter(names.pool_counter(pool.name, "sessions")), DROP
    full = counter(names.pool_counter(pool.name, "full")), DROP
    return Rule((count, *dropped), path), Rule((unlike(IP_DADDR, name), *full), path)


def _limit(pool: Pool, key: str, limit: int, *asked: Match) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """A count of connections by source. A subscriber that finds no place in the set is dropped: its limit
    would not hold."""
    word = LIMITS[key]
    path = (*pool.path, "limits_peruser", key)
    name, over = names.counted(word, pool.name), names.over(word, pool.name)
    dropped = names.pool_counter(pool.name, COUNTERS[key])
    full = counter(names.pool_counter(pool.name, "full")), DROP
    rules = (
        Rule((*asked, add(name, IP_SADDR, CtCount(limit, over=True)), goto(over)), path),
        Rule((*asked, unlike(IP_SADDR, name), *full), path),
    )
    sources = Set(name, ("ipv4_addr",), path, (), ("dynamic",), 0, SESSIONS_SIZE)
    return (Counter(dropped, path), sources, no_room(pool, over, dropped)), rules


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
    unseen = unlike(concat(L4PROTO, IP_SADDR, TH_SPORT), names.SESSIONS)
    full = counter(names.FULL_SESSIONS), ADMIN_PROHIBITED
    objects.append(Counter(names.FULL_SESSIONS, SESSIONS_PATH))
    rules = Rule((*new, count, *refuse), SESSIONS_PATH), Rule((*new, unseen, *full), SESSIONS_PATH)
    return Contribution(tuple(objects), forward=rules)


def _limited(context: Context) -> tuple[Range, ...]:
    return union(
        run
        for allocation in context.allocations
        if allocation.pool.translates
        for run in allocation.subscribers
    )
