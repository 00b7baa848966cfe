"""Assignments of dynamic pools on trial: what nothing has answered lives `assignment_trial` seconds.

A subscriber with a new block is in the set `ontrial` of its pool. All that its connections leave behind until
then (the assignment, the number, mapping entries, the connections themselves) lives as long as the trial, so
that the number is free with it. Those connections carry the mark UNANSWERED in place of a token: it is never
young, so the first reply is seen by the chain of stale tokens, which all other packets pass by. It takes the
subscriber out of the set, and renews all of it for its full time.

New assignments are counted for each inside interface, in pools of more than a few blocks. An interface may
have half of a pool at once, and a third in the time that a trial keeps a number. So what an inside host can
hold with sources that it has made up is not the whole pool, and it is free soon after the host's last packet.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Object, Rule, Set
from nfcompile.emit.expressions import Bitwise, Field, symbol
from nfcompile.emit.statements import (
    ACCEPT,
    CT_DIRECTION,
    CT_MARK,
    CT_STATUS,
    DROP,
    IIFNAME,
    IP_SADDR,
    META_MARK,
    RETURN,
    Limit,
    SetUpdate,
    Statement,
    add,
    counter,
    goto,
    jump,
    lookup,
    match,
    set_mark,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.connection_policy import trial_timeouts
from nfcompile.lower.context import Context
from nfcompile.lower.part import Statements, chain_of, pool_rule
from nfcompile.lower.tokens import FIRST_TOKEN, NOW, TOKEN_BYTE, UNANSWERED
from nfcompile.model.site import Pool

SUBSCRIBER, GLOBAL = Field("ct original ip saddr"), Field("ct reply ip daddr")
SEEN_REPLY = symbol("ct_status", "seen-reply")
MEMBER_EXTRA, TAKEN_EXTRA = 5, 10
"""Seconds that the set of subscribers on trial outlives their assignments, or one that is about to end would
get its full time; and that a number outlives both."""
PERIODS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))
LEAST_RATE = 10
"""A rate of fewer is written for a longer period: nft takes whole numbers."""
SMALL = 64
"""Blocks that any interface may have at once: the hosts of a small site all come up in one moment."""
INTERFACES = 8192
"""More than a gateway has inside: 4,094 VLANs and what carries them."""


def trial_seconds(context: Context, pool: Pool) -> int:
    """How long an unanswered assignment of a pool lives; 0 where all live as long."""
    seconds = context.site.defaults.assignment_trial
    return seconds if pool.is_dynamic and seconds < pool.timeouts.longest else 0


def has_trials(context: Context) -> bool:
    """Whether some pool has."""
    return any(trial_seconds(context, one.pool) for one in context.allocations)


def admission(capacity: int, seconds: int) -> Limit:
    """What is above the new assignments that one interface may have: half of the pool at once, and a third in
    the time that an unanswered one keeps its number.

    >>> admission(511, 30)
    Limit(rate=255, per='minute', burst=256, over=True)
    >>> admission(65, 86000)
    Limit(rate=21, per='day', burst=64, over=True)
    """
    kept = 3 * (seconds + TAKEN_EXTRA)
    for per, length in PERIODS:
        if capacity * length // kept >= LEAST_RATE or per == "day":
            break
    return Limit(max(1, capacity * length // kept), per, max(SMALL, -(-capacity // 2)), over=True)


def trial_objects(context: Context, allocation: PoolAllocation, size: int) -> Iterator[Object]:
    """The set of subscribers on trial, that of the interfaces, the counters, the chains."""
    pool, name, path = allocation.pool, allocation.pool.name, allocation.pool.path
    if not trial_seconds(context, pool):
        return
    yield Set(names.ontrial(name), ("ipv4_addr",), path, (), ("dynamic", "timeout"), 0, size)
    if has_rate(context, allocation):
        yield Set(names.newcomers(name), ("ifname",), path, (), ("dynamic",), 0, INTERFACES)
        yield Counter(names.pool_counter(name, "rate"), path)
    yield Counter(names.pool_counter(name, "trial_over"), path)
    objects, rules = trial_timeouts(pool, context.site.defaults.assignment_trial)
    yield from objects
    token = match(Bitwise(CT_MARK, TOKEN_BYTE), FIRST_TOKEN)
    marked = pool_rule(pool, token, set_mark(UNANSWERED, CT_MARK))
    yield Chain(names.unanswered(name), (*rules, marked), path)
    yield from learn_owner(context, pool)


def learn_owner(context: Context, pool: Pool) -> Iterator[Chain]:
    """The chain that notes whose a global address is: on trial for as long."""
    seconds, ontrial = trial_seconds(context, pool), names.ontrial(pool.name)
    if not (seconds and pool.can_be_reached):
        return
    known = SetUpdate("update", names.owners(pool.name), GLOBAL, SUBSCRIBER)
    yield chain_of(
        pool,
        names.learn_owner(pool.name),
        (match(SUBSCRIBER, ontrial), *for_trial(known, seconds), RETURN),
        (known,),
    )


def for_trial(element: SetUpdate, seconds: int) -> tuple[SetUpdate, SetUpdate]:
    """Make an element, and let it end with the trial. Made with the set's own time: an element that is made
    with another one keeps that beside what it has left, and nft reads no listing where that is more."""
    return element._replace(op="add"), element._replace(op="update", timeout=seconds)


def begins_on_trial(context: Context, pool: Pool) -> tuple[Rule, ...]:
    """A new connection of a subscriber on trial."""
    if not trial_seconds(context, pool):
        return ()
    return (pool_rule(pool, match(IP_SADDR, names.ontrial(pool.name)), jump(names.unanswered(pool.name))),)


def stays(context: Context, pool: Pool, slot: int) -> list[Statements]:
    """Make or renew the assignment of a subscriber on trial, by its packet's source."""
    seconds = trial_seconds(context, pool)
    assigned = SetUpdate("update", names.assigned(slot, pool.name), IP_SADDR, META_MARK)
    return [
        (_member(pool, IP_SADDR, seconds),),  # first, or another CPU would renew the assignment in full
        for_trial(assigned, seconds),
        (_taken(pool, seconds),),
    ]


def has_rate(context: Context, allocation: PoolAllocation) -> bool:
    """Whether the new assignments of a pool are counted: a small one says rather that it is exhausted."""
    return trial_seconds(context, allocation.pool) > 0 and allocation.stock.capacity > SMALL


def over_rate(context: Context, allocation: PoolAllocation, give_back: Statement) -> list[Statements]:
    """What an interface asks for above its rate is dropped, not refused: the next packet may have room.

    Before the search: a number that is found and given back stays in its set until the kernel cleans up.
    """
    if not has_rate(context, allocation):
        return []
    name = allocation.pool.name
    limit = admission(allocation.stock.capacity, trial_seconds(context, allocation.pool))
    newcomer = add(names.newcomers(name), IIFNAME, limit)
    return [(newcomer, give_back, counter(names.pool_counter(name, "rate")), DROP)]


def answered(context: Context, pool: Pool, side: str, subscriber: Field) -> list[Rule]:
    """Before a connection renews what it uses: whether its subscriber is still on trial, or no longer. Of a
    connection that nothing has answered, and whose subscriber has no block any more, no packet may leave."""
    if not trial_seconds(context, pool):
        return []
    ontrial, unanswered = names.ontrial(pool.name), match(Bitwise(CT_STATUS, SEEN_REPLY), 0)
    return [
        pool_rule(pool, match(subscriber, ontrial), unanswered, goto(names.on_trial(side, pool.name))),
        pool_rule(pool, SetUpdate("delete", ontrial, subscriber)),
        pool_rule(pool, match(CT_MARK, UNANSWERED), jump(names.after_trial(side, pool.name))),
    ]


def trial_chains(
    context: Context, pool: Pool, side: str, ends: tuple[Field, Field], entries: list[Statements], slots: int
) -> Iterator[Chain]:
    """Renew for the time of the trial; `ends`: the subscriber and its global address, `entries`: updates."""
    if not trial_seconds(context, pool):
        return
    subscriber, address = ends
    seconds = trial_seconds(context, pool)
    over = counter(names.pool_counter(pool.name, "trial_over")), DROP
    held = [set_mark(lookup(subscriber, names.assigned(slot, pool.name))) for slot in range(1, slots + 1)]
    renewed: list[Statements] = [
        (one, _assigned(pool, slot, subscriber, seconds), _taken(pool, seconds))
        for slot, one in enumerate(held, 1)
    ]
    owner: list[Statements] = []
    if pool.can_be_reached:
        owner.append(for_trial(SetUpdate("update", names.owners(pool.name), address, subscriber), seconds))
    yield chain_of(
        pool,
        names.on_trial(side, pool.name),
        (set_mark(0),),
        *renewed,
        (match(META_MARK, 0), *over),
        (_member(pool, subscriber, seconds),),
        *entries,
        *owner,
        (set_mark(0),),
    )
    found = goto(names.token_of_now(pool.name))
    yield chain_of(pool, names.after_trial(side, pool.name), *((one, found) for one in held), over)
    if side == "inside":
        yield chain_of(pool, names.token_of_now(pool.name), (set_mark(NOW, CT_MARK),))


def stale_on_trial(context: Context) -> tuple[Rule, ...]:
    """The first reply of a connection takes a token and renews; what is not answered renews the trial."""
    if not has_trials(context):
        return ()
    path, mine = ("nat_defaults", "assignment_trial"), match(CT_MARK, UNANSWERED)
    replied = unlike(Bitwise(CT_STATUS, SEEN_REPLY), 0)
    return (
        Rule((mine, replied, goto(names.REFRESH)), path),
        Rule((mine, match(CT_DIRECTION, "original"), goto(names.REFRESH_CONNECTION)), path),
        Rule((mine, ACCEPT), path),
    )


def marked(context: Context) -> tuple[Rule, ...]:
    """A reply to a connection with a mark of the operator, whose subscriber is on trial, renews too."""
    reply = match(CT_DIRECTION, "reply")
    return tuple(
        pool_rule(pool, reply, match(SUBSCRIBER, names.ontrial(pool.name)), jump(names.REFRESH_ENTRIES))
        for pool in (one.pool for one in context.allocations)
        if trial_seconds(context, pool)
    )


def _assigned(pool: Pool, slot: int, subscriber: Field, seconds: int) -> SetUpdate:
    return SetUpdate("update", names.assigned(slot, pool.name), subscriber, META_MARK, timeout=seconds)


def _taken(pool: Pool, seconds: int) -> SetUpdate:
    return SetUpdate("update", names.taken(pool.name), META_MARK, timeout=seconds + TAKEN_EXTRA)


def _member(pool: Pool, subscriber: Field, seconds: int) -> SetUpdate:
    return SetUpdate("update", names.ontrial(pool.name), subscriber, timeout=seconds + MEMBER_EXTRA)
