"""Mapping entries of cgnat pools: endpoint-independent mapping, filtering and hairpin (RFC 4787).

Two maps for each protocol: `eim` leads from an inside socket to its global one, `eif` back. A new connection
asks `eim` first. A socket that is not in it takes a port of its block, and right after source NAT claims its
place. Of two CPUs with packets of one socket, or with one port, one gets the token of the element in
`asking` (a set without data: in a map one could get the token and the other write the data). `eif` then says
whether another socket owns the port: with `limit rate over 1/week burst 1` the rule ends for who makes the
element and goes on for all who find it made.
Who is too late, or meets a port that another socket owns, has its first packet dropped; the retransmission
finds its place. (A limit is evaluated by every later look-up too: only the `over` form lets those pass.)

Entries live as long as somebody uses them: each connection carries a token in the top byte of its mark, good
for YOUNG_SECONDS; a packet with a token that has run out renews the entries and takes another. Busy
connections so renew twice a minute, sparse ones with every packet, and the others pay one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.claims import Claim
from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Counter, Map, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.emit.words import addresses
from nfcompile.lower import names
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

SOCKET = "ipv4_addr . inet_service"
PROTOCOLS = ("tcp", "udp")
FIRST_MARK = 0x1000000
MARKS_EACH = 0x1000000
KNOWN = 1
FRESH = {"tcp": 2, "udp": 3}
FIRST_NUMBER = 0x10
"""Packet marks of a pool: its own base, small offsets for the two states of a socket, then numbers."""
ENTRIES = 1 << 20
FIRST_TOKEN, TOKENS = 0x1000000, 512
ANY_TOKEN = f"numgen random mod {TOKENS} offset 0x{FIRST_TOKEN:x}"
YOUNG_SECONDS = 30
INSIDE = "ct original ip saddr . ct original proto-src"
OUTSIDE = "ct reply ip daddr . ct reply proto-dst"
"""Both ends of a mapping as conntrack has them. (With `th sport` in its place nft lists rules that it cannot
read again.)"""
CLAIM = "limit rate over 1/week burst 1 packets"
ONCE = "limit rate 1/week burst 1 packets"
ASKING_SECONDS = 1
"""Longer than a packet takes through the chain, shorter than any entry lives."""


class Sockets(NamedTuple):
    """What mapping entries add to one pool: objects, rules before the translation, inbound rules."""

    objects: tuple[Object, ...]
    lookup: tuple[Rule, ...]
    inbound: tuple[Rule, ...]


def mark_base(gate: Gate, claim: Claim) -> int:
    """The first packet mark of a pool: scratch values that no two pools share."""
    return FIRST_MARK + MARKS_EACH * gate.claims.index(claim)


def sockets(gate: Gate, claim: Claim) -> Sockets:
    """The mapping entries of one pool; a dynamic pool without them only has its blocks renewed."""
    pool = claim.pool
    slots = claim.blocks_each if pool.allocation == "dynamic" else 0
    if not pool.keeps_mapping_entries:
        if not pool.renews:
            return Sockets((), (), ())
        return Sockets(tuple(_refreshing(pool, slots)), (_take_token(pool),), ())
    base = mark_base(gate, claim)
    objects: list[Object] = [
        Counter(names.pool_counter(pool.name, word), pool.path) for word in ("conflict", "race")
    ]
    for protocol in PROTOCOLS:
        objects += _maps(pool, protocol, _young_seconds(gate))
        objects += _learning(pool, protocol, base)
    objects += _refreshing(pool, slots)
    jumps = ", ".join(f"{protocol} : jump sockets_{protocol}_{pool.name}" for protocol in PROTOCOLS)
    lookup = (_take_token(pool), _rule(pool, f"meta l4proto vmap {{ {jumps} }}"))
    inbound = _inbound(gate, pool)
    if inbound:
        objects.append(_inbound_chain(pool))
    return Sockets(tuple(objects), lookup, inbound)


def tracking(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The rules right after source NAT: let pass what is young, learn what is new, renew the rest."""
    pools = [claim.pool for claim in gate.claims if claim.pool.renews]
    if not pools:
        return (), ()
    verdicts: list[str] = []
    ranges: list[Rule] = []
    for claim in gate.claims:
        if claim.pool.keeps_mapping_entries:
            base = mark_base(gate, claim)
            verdicts += _verdicts(claim.pool, base)
            ranges += _by_number(claim, base + FIRST_NUMBER)
    path = ("pools",)
    dispatch = f"ct state new meta mark vmap {{ {', '.join(verdicts)} }}"
    learn = [Rule((dispatch,), path, "pools")] if verdicts else []
    rules = (
        *learn,
        *ranges,
        Rule(("ct mark != 0 ct mark @young accept",), path, "pools"),
        Rule(("ct mark & 0xff000000 == 0x01000000 goto stale",), path, "pools"),
        Rule(("ct mark != 0 ct direction original numgen inc mod 16 0 jump renew_entries",), path, "pools"),
    )
    return (*_renewal(gate, pools),), rules


def _young_seconds(gate: Gate) -> int:
    """A token lives an eighth of the shortest entry at most, so that an entry in use never ends."""
    lifetimes = []
    for claim in gate.claims:
        times = claim.pool.timeouts
        if claim.pool.keeps_mapping_entries:
            lifetimes += [times.udp, times.tcp_active]
        if claim.pool.renews:
            lifetimes.append(times.translation)
    return max(1, min(YOUNG_SECONDS, min(lifetimes) // 8))


def _rule(pool: Pool, *phrases: str) -> Rule:
    return Rule(phrases, pool.path, dotted(pool.path))


def _chain(pool: Pool, name: str, *rules: Rule) -> Chain:
    return Chain(name, rules, pool.path, None, dotted(pool.path))


def _take_token(pool: Pool) -> Rule:
    """A connection with a mark of the operator keeps it; its entries are renewed by every 16th packet."""
    return _rule(pool, f"ct mark 0 ct mark set {ANY_TOKEN}")


def _verdicts(pool: Pool, base: int) -> Iterator[str]:
    yield f"0x{base + KNOWN:x} : goto known_{pool.name}"
    for protocol in PROTOCOLS:
        yield f"0x{base + FRESH[protocol]:x} : goto fresh_{protocol}_{pool.name}"


def _by_number(claim: Claim, first: int) -> Iterator[Rule]:
    """Pools that leave a number in the mark: that of the block (dynamic) or the port (in order)."""
    count = claim.stock.capacity
    if claim.pool.allocation != "dynamic":
        if claim.pool.randomize_ports is not False:
            return
        count = 65536
    match = f"ct state new meta mark 0x{first:x}-0x{first + count - 1:x}"
    for protocol in PROTOCOLS:
        yield _rule(claim.pool, match, f"meta l4proto {protocol} goto fresh_{protocol}_{claim.pool.name}")


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
    yield _chain(
        pool,
        f"sockets_{protocol}_{name}",
        _rule(
            pool,
            match,
            f"meta mark set 0x{base + KNOWN:x}",
            f"snat ip to ip saddr . th sport map {eim}",
        ),
        _rule(pool, f"meta mark set 0x{base + FRESH[protocol]:x}"),
    )
    asking = f"@asking_{protocol}_{name}"
    yield _chain(
        pool,
        f"fresh_{protocol}_{name}",
        _rule(pool, match, f"add {asking} {{ {INSIDE} {ONCE} }}", f"goto claim_{protocol}_{name}"),
        _rule(pool, f"counter name {race} drop"),
    )
    give_back = f"delete {asking} {{ {INSIDE} }}", f"counter name {conflict} drop"
    yield _chain(
        pool,
        f"claim_{protocol}_{name}",
        _rule(pool, match, f"add {asking} {{ {OUTSIDE} {CLAIM} }}", *give_back),
        _rule(pool, match, f"add {eif} {{ {OUTSIDE} {CLAIM} : {INSIDE} }}", *give_back),
        _rule(pool, match, f"add {eim} {{ {INSIDE} : {OUTSIDE} }}"),
        _rule(pool, "meta mark set 0"),
    )


def _refreshing(pool: Pool, slots: int) -> Iterator[Chain]:
    """Renew both entries from any packet of a connection, opened from inside or from outside.

    In a dynamic pool the blocks of the subscriber too, or they could go to another one while in use.
    """
    ends = {
        "opened_inside": (INSIDE, OUTSIDE),
        "opened_outside": (
            "ct reply ip saddr . ct reply proto-src",
            "ct original ip daddr . ct original proto-dst",
        ),
    }
    for word, (inside, outside) in ends.items():
        rules = [
            _rule(pool, f"meta l4proto {protocol}", f"update @{map_}_{protocol}_{pool.name} {{ {entry} }}")
            for protocol in (PROTOCOLS if pool.keeps_mapping_entries else ())
            for map_, entry in (("eim", f"{inside} : {outside}"), ("eif", f"{outside} : {inside}"))
        ]
        if slots:
            subscriber = inside.partition(" . ")[0]
            rules += (_renew_block(pool, slot, subscriber) for slot in range(1, slots + 1))
            rules.append(_rule(pool, "meta mark set 0"))
        yield _chain(pool, f"{word}_{pool.name}", *rules)
    if not pool.keeps_mapping_entries:
        return
    known = _rule(pool, "meta mark set 0"), _rule(pool, f"goto opened_inside_{pool.name}")
    yield _chain(pool, f"known_{pool.name}", *known)


def _renew_block(pool: Pool, slot: int, subscriber: str) -> Rule:
    assigned = f"@assigned{slot}_{pool.name}"
    phrases = [
        f"meta mark set {subscriber} map {assigned}",
        f"update {assigned} {{ {subscriber} : meta mark }}",
        f"update @taken_{pool.name} {{ meta mark }}",
    ]
    if pool.type == "nat" and (pool.allow_external_connect or pool.hairpin):
        phrases.append(f"update @owners_{pool.name} {{ meta mark : {subscriber} }}")
    return _rule(pool, *phrases)


def _renewal(gate: Gate, pools: list[Pool]) -> Iterator[Object]:
    """A packet whose token has run out; inbound ones count only for udp, and where the site says so."""
    path, option = ("pools",), ("nat_defaults", "udp_inbound_refresh")
    yield Set("young", "mark", path, (), ("dynamic", "timeout"), 0, 2 * TOKENS)
    inbound_counts = Rule(("meta l4proto udp goto renew",), option, dotted(option))
    yield Chain(
        "stale",
        (
            *((inbound_counts,) if gate.site.defaults.udp_inbound_refresh else ()),
            Rule(("ct direction original ct status dnat ct status & snat == 0 accept",), path, "pools"),
            Rule(("ct direction reply ct status & dnat == 0 accept",), path, "pools"),
            Rule(("goto renew",), path, "pools"),
        ),
        path,
        None,
        "pools",
    )
    rules = [
        Rule((f"ct mark set {ANY_TOKEN}",), path, "pools"),
        Rule((f"add @young {{ ct mark timeout {_young_seconds(gate)}s }}",), path, "pools"),
        Rule(("jump renew_entries",), path, "pools"),
        Rule(("accept",), path, "pools"),
    ]
    yield Chain("renew", tuple(rules), path, None, "pools")
    rules = []
    for pool in pools:
        globals_ = addresses(union(pool.global_ip))
        rules.append(
            _rule(pool, f"ct status snat ct reply ip daddr {globals_} jump opened_inside_{pool.name}")
        )
        rules.append(
            _rule(pool, f"ct status dnat ct original ip daddr {globals_} jump opened_outside_{pool.name}")
        )
    yield Chain("renew_entries", tuple(rules), path, None, "pools")


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
    return (_rule(pool, side, f"ip daddr {addresses(union(pool.global_ip))} jump inbound_{pool.name}"),)


def _inbound_chain(pool: Pool) -> Chain:
    rules = (
        _rule(
            pool,
            f"meta l4proto {protocol}",
            f"dnat ip to ip daddr . th dport map @eif_{protocol}_{pool.name}",
        )
        for protocol in PROTOCOLS
    )
    return _chain(pool, f"inbound_{pool.name}", _take_token(pool), *rules)
