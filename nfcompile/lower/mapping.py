"""Mapping entries of cgnat pools: endpoint-independent mapping, filtering and hairpin (RFC 4787).

Two maps for each protocol: `eim` leads from an inside socket to its global one, `eif` back. A new connection
asks `eim` first. A socket that is not in it takes a port of its block, and right after source NAT claims its
place. Of two CPUs with packets of one socket, or with one port, one gets the token of the element in
`asking` (a set without data: in a map one could get the token and the other write the data). `eif` then says
whether another socket owns the port: with `limit rate over 1/week burst 1` the rule ends for who makes the
element and goes on for all who find it made.
Who is too late, or meets a port that another socket owns, has its first packet dropped; the retransmission
finds its place. (A limit is evaluated by every later look-up too: only the `over` form lets those pass.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Object, Rule, Set
from nfcompile.emit.expressions import Field, Verdict
from nfcompile.emit.statements import (
    CT_STATE,
    DROP,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    ONCE,
    TCP,
    TH_DPORT,
    TH_SPORT,
    UDP,
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
    vmap,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.packet_marks import ANY_NUMBER, FRESH, KNOWN, socket_marks
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.lower.renewal import (
    INSIDE,
    OUTSIDE,
    PROTOCOLS,
    refreshing,
    take_token,
    young_seconds,
)
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

POOLS = ("pools",)
SOCKET = ("ipv4_addr", "inet_service")
GLOBAL, LOCAL = Field("ct reply ip daddr"), Field("ct original ip saddr")
ENTRIES = 1 << 20
CLAIM = Limit(1, "week", 1, over=True)
NUMBER = {"tcp": TCP, "udp": UDP}
ASKING_SECONDS = 1
"""Longer than a packet takes through the chain, shorter than any entry lives."""


class Sockets(NamedTuple):
    """What mapping entries add to one pool: objects, rules before the translation, inbound rules."""

    objects: tuple[Object, ...]
    lookup: tuple[Rule, ...]
    inbound: tuple[Rule, ...]


def sockets(context: Context, allocation: PoolAllocation) -> Sockets:
    """The mapping entries of one pool; a dynamic pool without them only has its blocks renewed."""
    pool = allocation.pool
    slots = allocation.blocks_each if pool.allocation == "dynamic" else 0
    if not pool.keeps_mapping_entries:
        if not pool.renews:
            return Sockets((), (), ())
        return Sockets(tuple(refreshing(pool, slots)), take_token(pool), ())
    base = socket_marks(context, allocation)
    objects: list[Object] = [
        Counter(names.pool_counter(pool.name, word), pool.path) for word in ("conflict", "race")
    ]
    for protocol in PROTOCOLS:
        objects += _maps(pool, protocol, young_seconds(context))
        objects += _learning(pool, protocol, base)
    objects += refreshing(pool, slots)
    jumps = [(NUMBER[protocol], jump(names.sockets(protocol, pool.name))) for protocol in PROTOCOLS]
    look = (*take_token(pool), pool_rule(pool, vmap(L4PROTO, jumps)))
    inbound = _inbound(context, pool)
    if inbound:
        objects.append(_inbound_chain(pool))
    return Sockets(tuple(objects), look, inbound)


def learning(context: Context) -> Contribution:
    """Right after source NAT: to which pool and protocol a new connection's mark says it belongs."""
    verdicts = [
        verdict
        for allocation in context.allocations
        if allocation.pool.keeps_mapping_entries
        for verdict in _verdicts(allocation.pool, socket_marks(context, allocation))
    ]
    objects: tuple[Object, ...] = ()
    rules: list[Rule] = []
    if verdicts:
        rules.append(Rule((match(CT_STATE, "new"), vmap(META_MARK, verdicts)), POOLS))
    numbered = tuple(
        _by_address(allocation.pool) for allocation in context.allocations if _leaves_number(allocation.pool)
    )
    if numbered:
        objects = (Chain(names.NUMBERED, numbered, POOLS),)
        rules.append(Rule((match(CT_STATE, "new"), ANY_NUMBER, goto(names.NUMBERED)), POOLS))
    return Contribution(objects, translated=tuple(rules))


def _verdicts(pool: Pool, base: int) -> Iterator[tuple[int, Verdict]]:
    yield base + KNOWN, goto(names.known(pool.name))
    for protocol in PROTOCOLS:
        yield base + FRESH[protocol], goto(names.fresh(protocol, pool.name))


def _leaves_number(pool: Pool) -> bool:
    """Whether the packet mark holds a number of a pool that has something to learn: that of a block or an
    address (dynamic), or of a port (in order)."""
    if pool.allocation == "dynamic":
        return pool.keeps_mapping_entries or pool.can_be_reached
    return pool.keeps_mapping_entries and pool.randomize_ports is False


def _by_address(pool: Pool) -> Rule:
    """Numbers are the same in all pools; the global address says which one it was."""
    mine = match(GLOBAL, *union(pool.global_ip))
    if pool.can_be_reached:
        return pool_rule(pool, mine, update(names.owners(pool.name), GLOBAL, LOCAL))
    fresh = [(NUMBER[protocol], goto(names.fresh(protocol, pool.name))) for protocol in PROTOCOLS]
    return pool_rule(pool, mine, vmap(L4PROTO, fresh))


def _maps(pool: Pool, protocol: str, young: int) -> Iterator[Object]:
    lifetime = (pool.timeouts.tcp_active if protocol == "tcp" else pool.timeouts.udp) + young
    yield Set(
        names.asking(protocol, pool.name),
        SOCKET,
        pool.path,
        (),
        ("dynamic", "timeout"),
        ASKING_SECONDS,
        ENTRIES,
    )
    for name in (names.eim(protocol, pool.name), names.eif(protocol, pool.name)):
        yield Map(name, SOCKET, SOCKET, pool.path, (), ("dynamic", "timeout"), lifetime, ENTRIES)


def _learning(pool: Pool, protocol: str, base: int) -> Iterator[Object]:
    """Before the translation: look a socket up. After it: renew a known one, claim a fresh one."""
    this, name = match(L4PROTO, protocol), pool.name
    eim, eif, asking = (make(protocol, name) for make in (names.eim, names.eif, names.asking))
    conflict, race = (names.pool_counter(name, word) for word in ("conflict", "race"))
    yield pool_chain(
        pool,
        names.sockets(protocol, name),
        pool_rule(pool, this, set_mark(base + KNOWN), Nat("snat", lookup(concat(IP_SADDR, TH_SPORT), eim))),
        pool_rule(pool, set_mark(base + FRESH[protocol])),
    )
    yield pool_chain(
        pool,
        names.fresh(protocol, name),
        pool_rule(pool, this, add(asking, INSIDE, ONCE), goto(names.entry_claim(protocol, name))),
        pool_rule(pool, counter(race), DROP),
    )
    give_back = SetUpdate("delete", asking, INSIDE), counter(conflict), DROP
    yield pool_chain(
        pool,
        names.entry_claim(protocol, name),
        pool_rule(pool, this, add(asking, OUTSIDE, CLAIM), *give_back),
        pool_rule(pool, this, SetUpdate("add", eif, OUTSIDE, INSIDE, CLAIM), *give_back),
        pool_rule(pool, this, SetUpdate("add", eim, INSIDE, OUTSIDE)),
        pool_rule(pool, set_mark(0)),
    )


def _inbound(context: Context, pool: Pool) -> tuple[Rule, ...]:
    """Endpoint-independent filtering lets the outside in, hairpin the inside."""
    filtering = pool.filtering == "endpoint_independent"
    if not filtering and not pool.hairpin:
        return ()
    side = context.arriving(outside=filtering, inside=pool.hairpin)
    return (pool_rule(pool, side, match(IP_DADDR, *union(pool.global_ip)), jump(names.inbound(pool.name))),)


def _inbound_chain(pool: Pool) -> Chain:
    rules = (
        pool_rule(
            pool,
            match(L4PROTO, protocol),
            Nat("dnat", lookup(concat(IP_DADDR, TH_DPORT), names.eif(protocol, pool.name))),
        )
        for protocol in PROTOCOLS
    )
    return pool_chain(pool, names.inbound(pool.name), *take_token(pool), *rules)
