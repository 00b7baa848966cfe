"""Mapping entries of cgnat pools: endpoint-independent mapping, filtering and hairpin (RFC 4787).

Two maps: `eim` leads from an inside socket to its global one, `eif` back; the protocol is part of their keys.
A new connection asks `eim` first. A socket that is not in it takes a port of its block: one that is computed
and claimed before the translation (`computed_ports`, `numbered_ports`), or the kernel's choice, and then it
claims its place right after source NAT. Of two CPUs with packets of one socket, or with one port, one gets
the token of the element in `asking` (a set without data: in a map one could get the token and the other write
the data). `eif` then says whether another socket owns the port: with `limit rate over 1/week burst 1` the
rule ends for the packet that makes the element and goes on for all that find it made.
A packet that is too late, or meets a port that another socket owns, is dropped; the retransmission
finds its place. (A limit is evaluated by every later look-up too: only the `over` form lets those pass.)
"""

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Object, Rule, Set
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import (
    ACCEPT,
    CT_STATE,
    DROP,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    RETURN,
    TH_DPORT,
    TH_SPORT,
    Limit,
    Nat,
    SetUpdate,
    add,
    concat,
    counter,
    goto,
    jump,
    lookup,
    match,
    set_mark,
    update,
)
from nfcompile.lower import names
from nfcompile.lower.block_sockets import shared_chains
from nfcompile.lower.by_address import to_block
from nfcompile.lower.computed_ports import PortPlan, computed_ports, port_plan
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.guard import midstream_to_own
from nfcompile.lower.inbound_blocks import inbound_blocks
from nfcompile.lower.low_ports import LOW_PORTS
from nfcompile.lower.numbered_ports import numbered_ports
from nfcompile.lower.packet_marks import FRESH, KNOWN, TO_LEARN
from nfcompile.lower.part import Statements, chain_of, pool_chain, pool_rule
from nfcompile.lower.renewal import (
    INSIDE,
    OUTSIDE,
    PROTOCOLS,
    entry_seconds,
    lifetimes,
    refreshing,
    socket_key,
    take_token,
)
from nfcompile.lower.trial import trial_seconds
from nfcompile.lower.whose_address import whose
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

POOLS = ("pools",)
SOCKET = ("inet_proto", "ipv4_addr", "inet_service")
END = ("ipv4_addr", "inet_service")
GLOBAL, LOCAL = Field("ct reply ip daddr"), Field("ct original ip saddr")
ENTRIES = 1 << 21
CLAIM = Limit(1, "week", 1, over=True)
ASKING_SECONDS = 1
"""Longer than a packet takes through the chain, shorter than any entry lives."""


class Sockets(NamedTuple):
    """What mapping entries add to one pool: objects, rules before the translation, inbound rules."""

    objects: tuple[Object, ...]
    lookup: tuple[Rule, ...]
    inbound: tuple[Rule, ...]


def sockets(context: Context, allocation: PoolAllocation, plan: PortPlan | None) -> Sockets:
    """The mapping entries of one pool; a dynamic pool without them only has its blocks renewed.

    With a plan sockets take their port before the translation, all but those with low ports."""
    pool = allocation.pool
    slots = allocation.blocks_each if pool.is_dynamic else 0
    more, inbound = _inbound(context, allocation)
    if not pool.keeps_mapping_entries:
        if not pool.renews:
            return Sockets(more, (), inbound)
        return Sockets(tuple(refreshing(context, pool, slots)), take_token(pool), ())
    objects: list[Object] = [Counter(names.pool_counter(pool.name, "conflict"), pool.path)]
    objects += _maps(context, pool)
    objects += forwarded(pool)
    computes = plan is not None or numbered_ports(allocation) is not None
    objects += _before_translation(context, allocation, plan, computes)
    if allocation.low or not computes:
        objects += _after_translation(context, pool)
    objects += refreshing(context, pool, slots)
    # One comparison each: a set of both costs as much as four of them.
    ask = (pool_rule(pool, match(L4PROTO, one), jump(names.sockets(pool.name))) for one in ("udp", "tcp"))
    look = *take_token(pool), *ask
    return Sockets((*objects, *more), look, inbound)


def learning(context: Context) -> Contribution:
    """Right after source NAT: the packet mark says whether a new connection's socket is known, its global
    address to which pool it belongs."""
    pools = [allocation.pool for allocation in context.allocations]
    chains: list[Object] = []
    rules: list[Rule] = []
    if any(pool.keeps_mapping_entries for pool in pools):
        known = Rule((set_mark(0),), POOLS), Rule((goto(names.REFRESH_CONNECTION),), POOLS)
        chains.append(Chain(names.KNOWN_SOCKETS, known, POOLS))
        new = match(CT_STATE, "new"), match(META_MARK, KNOWN)
        rules.append(Rule((*new, goto(names.KNOWN_SOCKETS)), POOLS))
    learners = tuple(_by_address(context, one) for one in context.allocations if _learns(one))
    if learners:
        chains.append(Chain(names.LEARN, learners, POOLS))
        rules.append(Rule((match(CT_STATE, "new"), TO_LEARN, goto(names.LEARN)), POOLS))
    return Contribution(tuple(chains), translated=tuple(rules))


def _learns(allocation: PoolAllocation) -> bool:
    """Whether a first packet leaves something to learn: a socket whose port the kernel has chosen, or in a
    dynamic pool an owner."""
    pool = allocation.pool
    if pool.keeps_mapping_entries:
        computes = port_plan(allocation) is not None or numbered_ports(allocation) is not None
        return allocation.low is not None or not computes
    return pool.is_dynamic and pool.can_be_reached


def _by_address(context: Context, allocation: PoolAllocation) -> Rule:
    """Marks are the same in all pools; the global address, and its port, say which one it was."""
    pool = allocation.pool
    mine = next(whose(context, allocation, GLOBAL))
    if pool.can_be_reached and trial_seconds(context, pool):
        return pool_rule(pool, *mine, jump(names.learn_owner(pool.name)))
    if pool.can_be_reached:
        return pool_rule(pool, *mine, update(names.owners(pool.name), GLOBAL, LOCAL))
    ported = () if len(mine) > 1 else (match(L4PROTO, *PROTOCOLS),)
    return pool_rule(pool, *mine, *ported, goto(names.new_mapping(pool.name)))


def _maps(context: Context, pool: Pool) -> Iterator[Object]:
    flags, lifetime = ("dynamic", "timeout"), entry_seconds(context, pool)["udp"]
    # A claim that finds `eif` full would go unnoticed, so `eim` is full first: a packet for whose entry it
    # has no place is dropped and counted.
    for name, size in ((names.eim(pool.name), ENTRIES), (names.eif(pool.name), 2 * ENTRIES)):
        yield Map(name, SOCKET, END, pool.path, (), flags, lifetime, size)


def forwarded(pool: Pool) -> Iterator[Set]:
    """What subscribers have opened to the outside: the keys of entries of `eif`, which the daemon that speaks
    PCP makes. A packet never writes here, and leaves the time of those entries alone."""
    if pool.keeps_forwardings:
        path, flags = (*pool.path, "port_forwarding"), ("dynamic", "timeout")
        yield Set(names.forwarded(pool.name), SOCKET, path, (), flags, 0, ENTRIES)


def _before_translation(
    context: Context, allocation: PoolAllocation, plan: PortPlan | None, computes: bool
) -> Iterator[Object]:
    """Look a socket up; one without entries takes a port, or is marked to claim what the kernel chooses."""
    pool = allocation.pool
    known = Nat("snat", lookup(socket_key(concat(IP_SADDR, TH_SPORT)), names.eim(pool.name)))
    rules: list[Statements] = [(set_mark(KNOWN), known)]
    if not computes:
        rules.append((set_mark(FRESH),))
    if plan is not None:
        if allocation.low:
            rules.append((match(TH_SPORT, LOW_PORTS), set_mark(FRESH), RETURN))
        if plan.shape is not None:
            yield from shared_chains(context, allocation, plan)
            rules.append((to_block(pool, plan.layout, plan.shape),))
        else:
            objects, tries = computed_ports(context, allocation, plan)
            yield from objects
            rules += tries
    yield chain_of(pool, names.sockets(pool.name), *rules)


def _after_translation(context: Context, pool: Pool) -> Iterator[Object]:
    """Claim the port that the kernel has chosen."""
    ported, name = match(L4PROTO, *PROTOCOLS), pool.name
    eim, eif, asking = (make(name) for make in (names.eim, names.eif, names.asking))
    conflict, race = (names.pool_counter(name, word) for word in ("conflict", "race"))
    inside, outside = socket_key(INSIDE), socket_key(OUTSIDE)
    full = counter(names.pool_counter(name, "full")), DROP
    yield Counter(race, pool.path)
    yield Set(asking, SOCKET, pool.path, (), ("dynamic", "timeout"), ASKING_SECONDS, ENTRIES)
    yield pool_chain(
        pool,
        names.new_mapping(name),
        pool_rule(pool, ported, add(asking, inside, CLAIM), counter(race), DROP),
        pool_rule(pool, ported, match(inside, asking), goto(names.entry_claim(name))),
        pool_rule(pool, *full),
    )
    give_back = SetUpdate("delete", asking, inside), counter(conflict), DROP
    longer = [
        pool_rule(pool, match(L4PROTO, *protocols), jump(names.opened("inside", name)))
        for protocols, seconds in lifetimes(context, pool)
        if seconds or trial_seconds(context, pool)
    ]
    yield pool_chain(
        pool,
        names.entry_claim(name),
        pool_rule(pool, ported, add(asking, outside, CLAIM), *give_back),
        pool_rule(pool, ported, SetUpdate("add", eif, outside, INSIDE, CLAIM), *give_back),
        pool_rule(pool, ported, SetUpdate("add", eim, inside, OUTSIDE), goto(names.entered(name))),
        pool_rule(pool, ported, SetUpdate("delete", eif, outside, INSIDE), *full),
    )
    yield pool_chain(
        pool, names.entered(name), pool_rule(pool, set_mark(0)), *longer, pool_rule(pool, ACCEPT)
    )


def _inbound(context: Context, allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The chain for what comes to the pool's addresses, and the rule that leads there.

    Endpoint-independent filtering lets the outside in, hairpin the inside; `inbound: subscriber` both. What
    subscribers have opened is reached from outside whatever the filtering.
    """
    pool = allocation.pool
    maps, blocks = inbound_blocks(allocation)
    filtering = pool.filtering == "endpoint_independent"
    mapped = pool.keeps_mapping_entries and (filtering or pool.hairpin)
    forwards = pool.keeps_forwardings and not filtering
    if not mapped and not blocks and not forwards:
        return (), ()
    chain = names.inbound(pool.name)
    side = context.arriving(outside=pool.opens_to_outside, inside=pool.hairpin)
    entry = pool_rule(pool, *side, match(IP_DADDR, *union(pool.global_ip)), jump(chain))
    known: list[Rule] = []
    if mapped or forwards:
        known += take_token(pool)
    asked = socket_key(concat(IP_DADDR, TH_DPORT))
    found = match(L4PROTO, *PROTOCOLS), Nat("dnat", lookup(asked, names.eif(pool.name)))
    if forwards:
        opened = match(asked, names.forwarded(pool.name))
        known.append(Rule((found[0], opened, found[1]), (*pool.path, "port_forwarding")))
    if mapped:
        only = () if filtering or not (blocks or forwards) else context.from_inside
        known.append(pool_rule(pool, *only, *found))
    rules = *midstream_to_own(context, pool), *known, *blocks
    return (*maps, pool_chain(pool, chain, *rules)), (entry,)
