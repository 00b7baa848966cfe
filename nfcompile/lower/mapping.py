"""Mapping entries of cgnat pools: endpoint-independent mapping, filtering and hairpin (RFC 4787).

Two maps for each protocol: `eim` leads from an inside socket to its global one, `eif` back. A new connection
asks `eim` first; a socket that is not in it takes a port of its block, and the learn chain, right after
source NAT, enters both directions. A third set says who owns a port; its elements carry a token (`limit rate
1/week burst 1`): a port that another socket still owns has none left, the first packet is dropped and its
retransmission draws another port. Without that, two sockets would share a global port and one of them would
lose its answers. (The token cannot be in `eif`: a look-up evaluates it again, and breaks.)

The packet mark tells the learn chain which pool and protocol a new connection belongs to, and whether its
socket was known; established packets pay one comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.claims import Claim
from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Counter, Hook, Map, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import range_text, union
from nfcompile.model.site import Pool

SOCKET = "ipv4_addr . inet_service"
PROTOCOLS = ("tcp", "udp")
FIRST_MARK = 0x1000000
MARKS_EACH = 0x1000000
KNOWN = {"tcp": 1, "udp": 2}
FRESH = {"tcp": 3, "udp": 4}
FIRST_NUMBER = 0x10
"""Marks of a pool: its own base, small offsets for the two states of a socket, then block numbers."""
ENTRIES = 1 << 20
INSIDE = "ct original ip saddr . ct original proto-src"
OUTSIDE = "ip saddr . th sport"


class Sockets(NamedTuple):
    """What mapping entries add to one pool: objects, rules before the translation, inbound rules."""

    objects: tuple[Object, ...]
    lookup: tuple[Rule, ...]
    inbound: tuple[Rule, ...]


def mark_base(gate: Gate, claim: Claim) -> int:
    """The first packet mark of a pool: scratch values that no two pools share."""
    return FIRST_MARK + MARKS_EACH * gate.claims.index(claim)


def sockets(gate: Gate, claim: Claim) -> Sockets:
    """The mapping entries of one pool; nothing for a pool that keeps none."""
    pool = claim.pool
    if not pool.keeps_mapping_entries:
        return Sockets((), (), ())
    base = mark_base(gate, claim)
    objects: list[Object] = [Counter(names.pool_counter(pool.name, "conflict"), pool.path)]
    for protocol in PROTOCOLS:
        objects += _protocol_objects(pool, protocol, base)
    jumps = ", ".join(f"{protocol} : jump sockets_{protocol}_{pool.name}" for protocol in PROTOCOLS)
    lookup = _rule(pool, f"meta l4proto vmap {{ {jumps} }}")
    inbound = _inbound(gate, pool)
    if inbound:
        objects.append(_inbound_chain(pool))
    return Sockets(tuple(objects), (lookup,), inbound)


def learn_chain(gate: Gate) -> tuple[Object, ...]:
    """Right after source NAT: dispatch new connections by the mark that their pool has set."""
    verdicts: list[str] = []
    ranges: list[Rule] = []
    for claim in gate.claims:
        pool = claim.pool
        if not pool.keeps_mapping_entries:
            continue
        base = mark_base(gate, claim)
        for protocol in PROTOCOLS:
            verdicts.append(f"0x{base + KNOWN[protocol]:x} : goto known_{protocol}_{pool.name}")
            verdicts.append(f"0x{base + FRESH[protocol]:x} : goto fresh_{protocol}_{pool.name}")
        if pool.allocation == "dynamic":
            ranges += _by_number(pool, base + FIRST_NUMBER, claim.stock.capacity)
    if not verdicts:
        return ()
    new = Rule((f"ct state new meta mark vmap {{ {', '.join(verdicts)} }}",), ("pools",), "pools")
    hook = Hook("filter", "postrouting", "srcnat + 1")
    return (Chain("learn", (new, *ranges), ("pools",), hook),)


def _by_number(pool: Pool, first: int, count: int) -> Iterator[Rule]:
    """A dynamic pool leaves the number of the block in the mark."""
    match = f"ct state new meta mark 0x{first:x}-0x{first + count - 1:x}"
    for protocol in PROTOCOLS:
        yield _rule(pool, match, f"meta l4proto {protocol} goto fresh_{protocol}_{pool.name}")


def _rule(pool: Pool, *phrases: str) -> Rule:
    return Rule(phrases, pool.path, dotted(pool.path))


def _chain(pool: Pool, name: str, *rules: Rule) -> Chain:
    return Chain(name, rules, pool.path, None, dotted(pool.path))


def _protocol_objects(pool: Pool, protocol: str, base: int) -> Iterator[Object]:
    name, path = pool.name, pool.path
    lifetime = pool.timeouts.tcp_active if protocol == "tcp" else pool.timeouts.udp
    flags = ("dynamic", "timeout")
    yield Set(f"owned_{protocol}_{name}", SOCKET, path, (), flags, lifetime, ENTRIES)
    for word in ("eim", "eif"):
        yield Map(f"{word}_{protocol}_{name}", SOCKET, SOCKET, path, (), flags, lifetime, ENTRIES)
    match, owned = f"meta l4proto {protocol}", f"@owned_{protocol}_{name}"
    eim, eif = f"@eim_{protocol}_{name}", f"@eif_{protocol}_{name}"
    yield _chain(
        pool,
        f"sockets_{protocol}_{name}",
        _rule(pool, match, f"meta mark set 0x{base + KNOWN[protocol]:x}", f"snat ip to {OUTSIDE} map {eim}"),
        _rule(pool, f"meta mark set 0x{base + FRESH[protocol]:x}"),
    )
    once = "limit rate 1/week burst 1 packets"
    yield _chain(
        pool,
        f"fresh_{protocol}_{name}",
        _rule(
            pool,
            match,
            f"add {owned} {{ {OUTSIDE} {once} }}",
            f"add {eif} {{ {OUTSIDE} : {INSIDE} }}",
            f"add {eim} {{ {INSIDE} : {OUTSIDE} }}",
            "meta mark set 0 accept",
        ),
        _rule(pool, f"counter name {names.pool_counter(name, 'conflict')} drop"),
    )
    yield _chain(
        pool,
        f"known_{protocol}_{name}",
        _rule(
            pool,
            match,
            "meta mark set 0",
            f"update {eim} {{ {INSIDE} : {OUTSIDE} }}",
            f"update {eif} {{ {OUTSIDE} : {INSIDE} }}",
            f"update {owned} {{ {OUTSIDE} }}",
        ),
    )


def _inbound(gate: Gate, pool: Pool) -> tuple[Rule, ...]:
    """Endpoint-independent filtering lets the outside in, hairpin the inside."""
    filtering = pool.filtering == "endpoint_independent"
    if not filtering and not pool.hairpin:
        return ()
    side = (
        gate.from_either
        if filtering and pool.hairpin
        else gate.from_outside
        if filtering
        else gate.from_inside
    )
    globals_ = ", ".join(range_text(one) for one in union(pool.global_ip))
    return (_rule(pool, side, f"ip daddr {{ {globals_} }} jump inbound_{pool.name}"),)


def _inbound_chain(pool: Pool) -> Chain:
    rules = (
        _rule(
            pool,
            f"meta l4proto {protocol}",
            f"dnat ip to ip daddr . th dport map @eif_{protocol}_{pool.name}",
        )
        for protocol in PROTOCOLS
    )
    return _chain(pool, f"inbound_{pool.name}", *rules)
