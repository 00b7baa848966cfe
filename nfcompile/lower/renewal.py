"""What packets of running connections renew: mapping entries, and the blocks of dynamic pools.

Entries live as long as a connection uses them. Each connection carries a token in its mark, and all that
take one within the same slot take the same: the map `now` holds it. A token stays in the set `recent_tokens`
for YOUNG_SECONDS, once in its life; a packet whose token has left the set refreshes the entries and takes the
token of now. Busy connections so refresh two or three times a minute, sparse ones with every packet, whatever
other connections do; every other packet pays one look-up in a set of a few elements.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Name, Object, Rule, Set
from nfcompile.emit.expressions import Bitwise, Concat, Field, Numgen, symbol
from nfcompile.emit.statements import (
    ACCEPT,
    CT_DIRECTION,
    CT_MARK,
    CT_STATUS,
    DROP,
    L4PROTO,
    META_MARK,
    META_PROTOCOL,
    UDP,
    SetUpdate,
    Statement,
    add,
    concat,
    counter,
    goto,
    jump,
    lookup,
    match,
    set_mark,
    unlike,
    update,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.part import Statements, pool_chain, pool_rule
from nfcompile.lower.refresh_entries import refresh_entries
from nfcompile.lower.tokens import FIRST_TOKEN, NOW, TOKEN_BYTE, TOKENS
from nfcompile.lower.trial import (
    before_renewal,
    for_trial,
    has_trials,
    marked,
    on_trial_chain,
    opened,
    stale_on_trial,
    trial_seconds,
)
from nfcompile.lower.whose_address import whose
from nfcompile.model.site import Pool

PROTOCOLS = ("tcp", "udp")
SNAT, DNAT = symbol("ct_status", "snat"), symbol("ct_status", "dnat")
NEW_TOKEN = Numgen("random", TOKENS, FIRST_TOKEN)
"""Drawn, not counted: a count begins again with every load, and would give out tokens that are held."""
YOUNG_SECONDS = 30
SLOTS = 3
"""A token is given out for a third of the time that it is young, so that it stays young for the rest."""
OPTION = ("nat_defaults", "udp_inbound_refresh")
MANY = 65536
"""Tokens of as many slots as a mapping lives: a day has 8,640."""
FEW = 64
"""Elements of `now` and `recent_tokens`: more than two CPUs can add in the seconds that each lives."""
INSIDE = concat(Field("ct original ip saddr"), Field("ct original proto-src"))
OUTSIDE = concat(Field("ct reply ip daddr"), Field("ct reply proto-dst"))
"""Both ends of a mapping as conntrack has them; with the protocol they are keys. (With `th sport` in its
place nft lists rules that it cannot read again.)"""


def renewal(context: Context) -> Contribution:
    """The rules right after source NAT: let pass what is young, renew the rest."""
    renewing = [allocation for allocation in context.allocations if allocation.pool.renews]
    if not renewing:
        return Contribution()
    path = ("pools",)
    sixteenth = match(CT_DIRECTION, "original"), match(Numgen("inc", 16), 0)
    objects = list(_renewal(context, renewing))
    of_marked: Statements = (*sixteenth, jump(names.REFRESH_ENTRIES))
    if has_trials(context):
        objects.append(Chain(names.MARKED, (Rule(of_marked, path), *marked(context)), path))
        of_marked = (jump(names.MARKED),)
    rules = (
        Rule((unlike(CT_MARK, 0), match(CT_MARK, names.RECENT_TOKENS), ACCEPT), path),
        Rule((match(Bitwise(CT_MARK, TOKEN_BYTE), FIRST_TOKEN), goto(names.REFRESH_CHECK)), path),
        Rule((unlike(CT_MARK, 0), *of_marked), path),
    )
    return Contribution(tuple(objects), translated=rules)


def take_token(pool: Pool) -> tuple[Rule, Rule]:
    """A connection with a mark of the operator keeps it; its entries are renewed by every 16th packet."""
    unmarked = match(CT_MARK, 0)
    return (
        pool_rule(pool, unmarked, set_mark(NOW, CT_MARK)),
        pool_rule(pool, unmarked, jump(names.NEW_TOKEN)),
    )


def young_seconds(context: Context) -> int:
    """A token lives an eighth of the shortest entry at most, so that an entry in use never ends."""
    return max(1, min(YOUNG_SECONDS, context.shortest_entry // 8))


def refreshing(context: Context, pool: Pool, slots: int) -> Iterator[Chain]:
    """Renew both entries from any packet of a connection, opened from inside or from outside.

    In a dynamic pool the blocks of the subscriber too, or they could go to another one while in use.
    """
    ends = {
        "inside": (INSIDE, OUTSIDE),
        "outside": (
            concat(Field("ct reply ip saddr"), Field("ct reply proto-src")),
            concat(Field("ct original ip daddr"), Field("ct original proto-dst")),
        ),
    }
    for side, (inside, outside) in ends.items():
        # What a subscriber has opened has the lifetime that was asked for, and no other.
        other = [unlike(socket_key(outside), names.forwarded(pool.name))] if pool.keeps_forwardings else []
        rules = [
            pool_rule(pool, match(L4PROTO, *protocols), *other, _renewed(name, key, data, seconds))
            for protocols, seconds in lifetimes(context, pool)
            for name, key, data in (
                (names.eim(pool.name), inside, outside),
                (names.eif(pool.name), outside, inside),
            )
        ]
        if slots:
            subscriber, address = _address(inside), _address(outside)
            seconds = trial_seconds(context, pool)
            if seconds:
                entries = list(_entries_on_trial(pool, inside, outside, seconds))
                yield on_trial_chain(context, pool, side, (subscriber, address), entries, slots)
                rules = [*_rules(pool, before_renewal(pool, side, subscriber, slots)), *rules]
            rules += (_renew_block(pool, slot, subscriber) for slot in range(1, slots + 1))
            if pool.can_be_reached:
                rules.append(pool_rule(pool, update(names.owners(pool.name), address, subscriber)))
            rules.append(pool_rule(pool, set_mark(0)))
            if seconds:
                yield pool_chain(pool, names.answered(side, pool.name), *rules)
                rules = _rules(pool, opened(context, pool, side, subscriber, slots))
        yield pool_chain(pool, names.opened(side, pool.name), *rules)


def entry_seconds(context: Context, pool: Pool) -> dict[str, int]:
    """How long an entry of each protocol lives once renewed: its time, and what a young token spares."""
    times, young = pool.timeouts, young_seconds(context)
    return {"tcp": times.tcp_active + young, "udp": times.udp + young}


def lifetimes(context: Context, pool: Pool) -> Iterator[tuple[tuple[str, ...], int]]:
    """Protocols with mapping entries, those together that live alike, and their seconds; 0: the map's own."""
    if not pool.keeps_mapping_entries:
        return
    seconds = entry_seconds(context, pool)
    if seconds["tcp"] == seconds["udp"]:
        yield PROTOCOLS, 0
        return
    yield ("tcp",), seconds["tcp"]
    yield ("udp",), 0


def _entries_on_trial(pool: Pool, inside: Concat, outside: Concat, seconds: int) -> Iterator[Statements]:
    """Mapping entries live as long as the assignment that they are part of."""
    if pool.keeps_mapping_entries:
        ported = match(L4PROTO, *PROTOCOLS)
        yield ported, *for_trial(_renewed(names.eim(pool.name), inside, outside, 0), seconds)
        yield ported, *for_trial(_renewed(names.eif(pool.name), outside, inside, 0), seconds)


def _rules(pool: Pool, rules: list[Statements]) -> list[Rule]:
    return [pool_rule(pool, *statements) for statements in rules]


def socket_key(end: Concat) -> Concat:
    """The key of an entry: the protocol, and one end of the mapping."""
    return concat(L4PROTO, *end.parts)


def _renewed(name: Name, key: Concat, data: Concat, seconds: int) -> SetUpdate:
    return SetUpdate("update", name, socket_key(key), data, timeout=seconds)


def _address(end: Concat) -> Field:
    """The address of a mapping's end."""
    address = end.parts[0]
    assert isinstance(address, Field)
    return address


def _renew_block(pool: Pool, slot: int, subscriber: Field) -> Rule:
    assigned = names.assigned(slot, pool.name)
    return pool_rule(
        pool,
        set_mark(lookup(subscriber, assigned)),
        update(assigned, subscriber, META_MARK),
        update(names.taken(pool.name), META_MARK),
    )


def _renewal(context: Context, renewing: list[PoolAllocation]) -> Iterator[Object]:
    """A packet whose token has run out; inbound ones count only for udp, and where the site says so."""
    path, refreshes = ("pools",), context.site.defaults.udp_inbound_refresh
    young, flags = young_seconds(context), ("dynamic", "timeout")
    yield Set(names.RECENT_TOKENS, ("mark",), path, (), flags, 0, FEW)
    yield Map(names.NOW, ("ether_type",), ("mark",), path, (), flags, max(1, young // SLOTS), FEW)
    inbound_counts = Rule((match(L4PROTO, UDP), goto(names.REFRESH)), OPTION)
    original, reply = match(CT_DIRECTION, "original"), match(CT_DIRECTION, "reply")
    from_outside = original, match(CT_STATUS, "dnat"), match(Bitwise(CT_STATUS, SNAT), 0)
    yield Chain(
        names.REFRESH_CHECK,
        (
            *stale_on_trial(context),
            *((inbound_counts,) if refreshes else ()),
            *(() if refreshes else _while_alive(context, renewing)),
            Rule((*from_outside, ACCEPT), path),
            Rule((reply, match(Bitwise(CT_STATUS, DNAT), 0), ACCEPT), path),
            Rule((goto(names.REFRESH),), path),
        ),
        path,
    )
    yield Chain(
        names.REFRESH,
        (
            Rule((set_mark(NOW, CT_MARK), goto(names.REFRESH_CONNECTION)), path),
            Rule((jump(names.NEW_TOKEN),), path),
            Rule((goto(names.REFRESH_CONNECTION),), path),
        ),
        path,
    )
    yield Chain(
        names.REFRESH_CONNECTION, (Rule((jump(names.REFRESH_ENTRIES),), path), Rule((ACCEPT,), path)), path
    )
    seconds = () if refreshes else tuple(sorted({alive_seconds(context, one.pool) for one in renewing}))
    for each in seconds:
        yield Set(names.alive(each), ("mark",), OPTION, (), flags, each, MANY)
    if seconds:
        yield Counter(names.SILENT_COUNTER, OPTION)
    yield _new_token(young, seconds, TOKENS - has_trials(context))
    yield from refresh_entries(context, renewing)


def alive_seconds(context: Context, pool: Pool) -> int:
    """How long udp from outside may follow the last packet from inside, counted from its token."""
    return pool.timeouts.udp + young_seconds(context)


def _while_alive(context: Context, renewing: list[PoolAllocation]) -> Iterator[Rule]:
    """`udp_inbound_refresh: off`: a connection has the token that its last packet from inside took. Longer
    than the mapping lives after that, nothing from outside passes."""
    udp = match(L4PROTO, UDP)
    ways = {
        "ct original ip daddr": (
            match(CT_DIRECTION, "original"),
            match(Bitwise(CT_STATUS, SNAT | DNAT), DNAT),
        ),
        "ct reply ip daddr": (match(CT_DIRECTION, "reply"), match(Bitwise(CT_STATUS, SNAT | DNAT), SNAT)),
    }
    for field, inbound in ways.items():
        for allocation in renewing:
            alive = match(CT_MARK, names.alive(alive_seconds(context, allocation.pool)))
            # A pool that renews nothing has some of its ports: its connections may have a token too.
            mine = next(whose(context, allocation, Field(field)))
            yield Rule((udp, *inbound, *mine, alive, ACCEPT), OPTION)
            yield Rule((udp, *inbound, *mine, counter(names.SILENT_COUNTER), DROP), OPTION)


def _new_token(young: int, alive: tuple[int, ...], tokens: int) -> Chain:
    """The first packet of a slot makes its token. Of two CPUs that do, the second takes the first one's."""
    path = ("pools",)
    make: tuple[Statement, ...] = (
        set_mark(NEW_TOKEN._replace(modulus=tokens), CT_MARK),
        SetUpdate("add", names.RECENT_TOKENS, CT_MARK, timeout=young),
        *(add(names.alive(seconds), CT_MARK) for seconds in alive),
        SetUpdate("add", names.NOW, META_PROTOCOL, CT_MARK),
    )
    return Chain(names.NEW_TOKEN, (Rule(make, path), Rule((set_mark(NOW, CT_MARK),), path)), path)
