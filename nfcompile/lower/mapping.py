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
from nfcompile.emit import Chain, Counter, Map, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.emit.words import addresses
from nfcompile.lower import names
from nfcompile.lower.gate import Gate
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
NUMBERED = "numbered"
SOCKET = "ipv4_addr . inet_service"
OWNER = "ct reply ip daddr : ct original ip saddr"
ENTRIES = 1 << 20
CLAIM = "limit rate over 1/week burst 1 packets"
ONCE = "limit rate 1/week burst 1 packets"
ASKING_SECONDS = 1
"""Longer than a packet takes through the chain, shorter than any entry lives."""


class Sockets(NamedTuple):
    """What mapping entries add to one pool: objects, rules before the translation, inbound rules."""

    objects: tuple[Object, ...]
    lookup: tuple[Rule, ...]
    inbound: tuple[Rule, ...]


def sockets(gate: Gate, allocation: PoolAllocation) -> Sockets:
    """The mapping entries of one pool; a dynamic pool without them only has its blocks renewed."""
    pool = allocation.pool
    slots = allocation.blocks_each if pool.allocation == "dynamic" else 0
    if not pool.keeps_mapping_entries:
        if not pool.renews:
            return Sockets((), (), ())
        return Sockets(tuple(refreshing(pool, slots)), (take_token(pool),), ())
    base = socket_marks(gate, allocation)
    objects: list[Object] = [
        Counter(names.pool_counter(pool.name, word), pool.path) for word in ("conflict", "race")
    ]
    for protocol in PROTOCOLS:
        objects += _maps(pool, protocol, young_seconds(gate))
        objects += _learning(pool, protocol, base)
    objects += refreshing(pool, slots)
    jumps = ", ".join(f"{protocol} : jump sockets_{protocol}_{pool.name}" for protocol in PROTOCOLS)
    lookup = (take_token(pool), pool_rule(pool, f"meta l4proto vmap {{ {jumps} }}"))
    inbound = _inbound(gate, pool)
    if inbound:
        objects.append(_inbound_chain(pool))
    return Sockets(tuple(objects), lookup, inbound)


def learning(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """Right after source NAT: to which pool and protocol a new connection's mark says it belongs."""
    verdicts = [
        verdict
        for allocation in gate.allocations
        if allocation.pool.keeps_mapping_entries
        for verdict in _verdicts(allocation.pool, socket_marks(gate, allocation))
    ]
    objects: tuple[Object, ...] = ()
    rules: list[Rule] = []
    if verdicts:
        dispatch = f"ct state new meta mark vmap {{ {', '.join(verdicts)} }}"
        rules.append(Rule((dispatch,), POOLS, "pools"))
    numbered = tuple(
        _by_address(allocation.pool) for allocation in gate.allocations if _leaves_number(allocation.pool)
    )
    if numbered:
        objects = (Chain(NUMBERED, numbered, POOLS, None, "pools"),)
        rules.append(Rule(("ct state new", ANY_NUMBER, f"goto {NUMBERED}"), POOLS, "pools"))
    return objects, tuple(rules)


def _verdicts(pool: Pool, base: int) -> Iterator[str]:
    yield f"0x{base + KNOWN:x} : goto known_{pool.name}"
    for protocol in PROTOCOLS:
        yield f"0x{base + FRESH[protocol]:x} : goto fresh_{protocol}_{pool.name}"


def _leaves_number(pool: Pool) -> bool:
    """Whether the packet mark holds a number of a pool that has something to learn: that of a block or an
    address (dynamic), or of a port (in order)."""
    if pool.allocation == "dynamic":
        return pool.keeps_mapping_entries or pool.can_be_reached
    return pool.keeps_mapping_entries and pool.randomize_ports is False


def _by_address(pool: Pool) -> Rule:
    """Numbers are the same in all pools; the global address says which one it was."""
    match = f"ct reply ip daddr {addresses(union(pool.global_ip))}"
    if pool.can_be_reached:
        return pool_rule(pool, match, f"update @owners_{pool.name} {{ {OWNER} }}")
    fresh = ", ".join(f"{protocol} : goto fresh_{protocol}_{pool.name}" for protocol in PROTOCOLS)
    return pool_rule(pool, match, f"meta l4proto vmap {{ {fresh} }}")


def _maps(pool: Pool, protocol: str, young: int) -> Iterator[Object]:
    lifetime = (pool.timeouts.tcp_active if protocol == "tcp" else pool.timeouts.udp) + young
    asking = f"asking_{protocol}_{pool.name}"
    yield Set(asking, SOCKET, pool.path, (), ("dynamic", "timeout"), ASKING_SECONDS, ENTRIES)
    for word in ("eim", "eif"):
        name = f"{word}_{protocol}_{pool.name}"
        yield Map(name, SOCKET, SOCKET, pool.path, (), ("dynamic", "timeout"), lifetime, ENTRIES)


def _learning(pool: Pool, protocol: str, base: int) -> Iterator[Object]:
    """Before the translation: look a socket up. After it: renew a known one, claim a fresh one."""
    match, name = f"meta l4proto {protocol}", pool.name
    eim, eif = f"@eim_{protocol}_{name}", f"@eif_{protocol}_{name}"
    conflict, race = (names.pool_counter(name, word) for word in ("conflict", "race"))
    yield pool_chain(
        pool,
        f"sockets_{protocol}_{name}",
        pool_rule(
            pool,
            match,
            f"meta mark set 0x{base + KNOWN:x}",
            f"snat ip to ip saddr . th sport map {eim}",
        ),
        pool_rule(pool, f"meta mark set 0x{base + FRESH[protocol]:x}"),
    )
    asking = f"@asking_{protocol}_{name}"
    yield pool_chain(
        pool,
        f"fresh_{protocol}_{name}",
        pool_rule(pool, match, f"add {asking} {{ {INSIDE} {ONCE} }}", f"goto claim_{protocol}_{name}"),
        pool_rule(pool, f"counter name {race} drop"),
    )
    give_back = f"delete {asking} {{ {INSIDE} }}", f"counter name {conflict} drop"
    yield pool_chain(
        pool,
        f"claim_{protocol}_{name}",
        pool_rule(pool, match, f"add {asking} {{ {OUTSIDE} {CLAIM} }}", *give_back),
        pool_rule(pool, match, f"add {eif} {{ {OUTSIDE} {CLAIM} : {INSIDE} }}", *give_back),
        pool_rule(pool, match, f"add {eim} {{ {INSIDE} : {OUTSIDE} }}"),
        pool_rule(pool, "meta mark set 0"),
    )


def _inbound(gate: Gate, pool: Pool) -> tuple[Rule, ...]:
    """Endpoint-independent filtering lets the outside in, hairpin the inside."""
    filtering = pool.filtering == "endpoint_independent"
    if not filtering and not pool.hairpin:
        return ()
    side = gate.arriving(outside=filtering, inside=pool.hairpin)
    return (pool_rule(pool, side, f"ip daddr {addresses(union(pool.global_ip))} jump inbound_{pool.name}"),)


def _inbound_chain(pool: Pool) -> Chain:
    rules = (
        pool_rule(
            pool,
            f"meta l4proto {protocol}",
            f"dnat ip to ip daddr . th dport map @eif_{protocol}_{pool.name}",
        )
        for protocol in PROTOCOLS
    )
    return pool_chain(pool, f"inbound_{pool.name}", take_token(pool), *rules)
