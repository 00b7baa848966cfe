"""Assignments of dynamic pools on trial: what nothing has answered lives `assignment_trial` seconds.

A subscriber with a new block is in a map of its own, `ontrial1`, and asked for after `assigned1`: a new
connection of a subscriber that has been answered looks nothing up for the trials of others. All that
connections on trial leave behind (the assignment, the number, mapping entries, the connections themselves)
lives as long as the trial, so that the number is free with it. Those connections carry the mark UNANSWERED in
place of a token: it is never young, so the first reply is seen by the chain of stale tokens, which all other
packets pass by. It moves the subscriber's numbers to `assigned1` and so on, and renews all for its full time.

A move adds to `assigned1` before it deletes from `ontrial1`, so a packet that asks in this order on another
CPU finds one of them. What renews a trial looks into `assigned1` once more afterwards: of a trial and a move
at the same instant the move counts.

New assignments are counted for each inside interface, in pools of more than a few blocks. An interface may
have half of a pool at once, and a third in the time that a trial keeps a number. So what an inside host can
hold with sources that it has made up is not the whole pool, and it is free soon after the host's last packet.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Object, Rule, Set
from nfcompile.emit.expressions import Bitwise, Field, Verdict, symbol
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
from nfcompile.lower.packet_marks import TO_LEARN
from nfcompile.lower.part import Statements, chain_of, pool_rule
from nfcompile.lower.tokens import FIRST_TOKEN, NOW, TOKEN_BYTE, UNANSWERED
from nfcompile.model.site import Pool

SUBSCRIBER, GLOBAL = Field("ct original ip saddr"), Field("ct reply ip daddr")
SEEN_REPLY, SNAT = symbol("ct_status", "seen-reply"), symbol("ct_status", "snat")
TAKEN_EXTRA = 10
"""Seconds that a number outlives its assignment on trial."""
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
    """The maps of assignments on trial, the set of the interfaces, the counters, the chains."""
    pool, name, path = allocation.pool, allocation.pool.name, allocation.pool.path
    seconds, flags = trial_seconds(context, pool), ("dynamic", "timeout")
    if not seconds:
        return
    for slot in range(1, allocation.blocks_each + 1):
        yield Map(names.ontrial(slot, name), ("ipv4_addr",), ("mark",), path, (), flags, seconds, size)
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
    seconds = trial_seconds(context, pool)
    if not (seconds and pool.can_be_reached):
        return
    known = SetUpdate("update", names.owners(pool.name), GLOBAL, SUBSCRIBER)
    rules = (_first(pool, SUBSCRIBER), *for_trial(known, seconds), RETURN), (known,)
    yield chain_of(pool, names.learn_owner(pool.name), *rules)


def for_trial(element: SetUpdate, seconds: int) -> tuple[SetUpdate, SetUpdate]:
    """Make an element, and let it end with the trial. Made with the set's own time: an element that is made
    with another one keeps that beside what it has left, and nft reads no listing where that is more."""
    return element._replace(op="add"), element._replace(op="update", timeout=seconds)


def begins(context: Context, pool: Pool, slot: int) -> list[Statements]:
    """Make the assignment of the number in the mark, on trial, by its packet's source."""
    seconds = trial_seconds(context, pool)
    made = SetUpdate("add", names.ontrial(slot, pool.name), IP_SADDR, META_MARK)
    return [(made,), (_taken(pool, seconds),), (jump(names.unanswered(pool.name)),)]


def stays(context: Context, pool: Pool, slot: int, known: Verdict) -> list[Statements]:
    """Renew an assignment on trial by its packet's source; `known` where it is no longer on trial."""
    ontrial = names.ontrial(slot, pool.name)
    moved = set_mark(lookup(IP_SADDR, names.assigned(slot, pool.name)))
    return [
        (_taken(pool, trial_seconds(context, pool)), SetUpdate("update", ontrial, IP_SADDR, META_MARK)),
        (moved, SetUpdate("delete", ontrial, IP_SADDR, META_MARK), known),
        (jump(names.unanswered(pool.name)),),
    ]


def moves(pool: Pool, slot: int, subscriber: Field) -> Statements:
    """The trial of a subscriber's number is over: it has been answered."""
    ontrial = names.ontrial(slot, pool.name)
    return (
        set_mark(lookup(subscriber, ontrial)),
        SetUpdate("add", names.assigned(slot, pool.name), subscriber, META_MARK),
        SetUpdate("delete", ontrial, subscriber, META_MARK),
    )


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


def opened(context: Context, pool: Pool, side: str, subscriber: Field, slots: int) -> list[Statements]:
    """Whether what a connection uses is renewed for the full time. The first answer moves the subscriber's
    first number; what has no answer asks whether another connection had one."""
    full = goto(names.answered(side, pool.name))
    unanswered = match(Bitwise(CT_STATUS, SEEN_REPLY), 0)
    held = (names.assigned(slot, pool.name) for slot in range(1, slots + 1))
    return [
        *((unanswered, set_mark(lookup(subscriber, one)), full) for one in held),
        (unanswered, goto(names.on_trial(side, pool.name))),
        moves(pool, 1, subscriber),
        (full,),
    ]


def before_renewal(pool: Pool, side: str, subscriber: Field, slots: int) -> list[Statements]:
    """Of a subscriber that has been answered: further numbers that are still on trial, and a connection that
    began before the answer."""
    late = [(match(CT_MARK, UNANSWERED), set_mark(NOW, CT_MARK))] if side == "inside" else []
    return [*late, *(moves(pool, slot, subscriber) for slot in range(2, slots + 1))]


def on_trial_chain(
    context: Context, pool: Pool, side: str, ends: tuple[Field, Field], entries: list[Statements], slots: int
) -> Chain:
    """Renew for the time of the trial; `ends`: the subscriber and its global address, `entries`: updates. No
    packet may leave of a connection on trial whose subscriber has no block any more."""
    subscriber, address = ends
    seconds = trial_seconds(context, pool)
    rules: list[Statements] = [(set_mark(0),)]
    for slot in range(1, slots + 1):
        ontrial = names.ontrial(slot, pool.name)
        tried, held = lookup(subscriber, ontrial), lookup(subscriber, names.assigned(slot, pool.name))
        renewed = SetUpdate("update", ontrial, subscriber, META_MARK)
        full = SetUpdate("update", names.taken(pool.name), META_MARK)
        rules.append((set_mark(tried), _taken(pool, seconds), renewed))
        rules.append((set_mark(held), SetUpdate("delete", ontrial, subscriber, META_MARK), full))
    over = counter(names.pool_counter(pool.name, "trial_over")), DROP
    # A pool that translates the source has set the mark: it speaks of the source, not of this end.
    theirs = () if side == "inside" else (match(Bitwise(CT_STATUS, SNAT), 0),)
    rules += [
        (match(META_MARK, 0), match(CT_MARK, UNANSWERED), *theirs, *over),
        (match(META_MARK, 0), RETURN),
    ]
    if side == "inside":
        rules.append((jump(names.unanswered(pool.name)),))
    rules += entries
    if pool.can_be_reached:
        rules.append(for_trial(SetUpdate("update", names.owners(pool.name), address, subscriber), seconds))
    return chain_of(pool, names.on_trial(side, pool.name), *rules, (set_mark(0),))


def stale_on_trial(context: Context) -> tuple[Rule, ...]:
    """The first reply of a connection takes a token and renews; what is not answered renews the trial, which
    the packet that has just been given a number of it need not."""
    if not has_trials(context):
        return ()
    path, mine = ("nat_defaults", "assignment_trial"), match(CT_MARK, UNANSWERED)
    replied = unlike(Bitwise(CT_STATUS, SEEN_REPLY), 0)
    return (
        Rule((mine, TO_LEARN, ACCEPT), path),
        Rule((mine, replied, goto(names.REFRESH)), path),
        Rule((mine, match(CT_DIRECTION, "original"), goto(names.REFRESH_CONNECTION)), path),
        Rule((mine, ACCEPT), path),
    )


def marked(context: Context) -> tuple[Rule, ...]:
    """A reply to a connection with a mark of the operator, whose subscriber is on trial, renews too."""
    reply = match(CT_DIRECTION, "reply")
    return tuple(
        pool_rule(pool, reply, _first(pool, SUBSCRIBER), jump(names.REFRESH_ENTRIES))
        for pool in (one.pool for one in context.allocations)
        if trial_seconds(context, pool)
    )


def _first(pool: Pool, subscriber: Field) -> Statement:
    """Ends the rule for a subscriber whose first number is not on trial."""
    return set_mark(lookup(subscriber, names.ontrial(1, pool.name)))


def _taken(pool: Pool, seconds: int) -> SetUpdate:
    return SetUpdate("update", names.taken(pool.name), META_MARK, timeout=seconds + TAKEN_EXTRA)
