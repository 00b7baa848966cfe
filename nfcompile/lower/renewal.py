"""What packets of running connections renew: mapping entries, and the blocks of dynamic pools.

Entries live as long as somebody uses them: each connection carries a token in the top byte of its mark, good
for YOUNG_SECONDS; a packet with a token that has run out renews the entries and takes another. Busy
connections so renew twice a minute, sparse ones with every packet, and the others pay one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.emit.words import addresses
from nfcompile.lower.gate import Gate
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

PROTOCOLS = ("tcp", "udp")
FIRST_TOKEN, TOKENS = 0x1000000, 512
ANY_TOKEN = f"numgen random mod {TOKENS} offset 0x{FIRST_TOKEN:x}"
YOUNG_SECONDS = 30
INSIDE = "ct original ip saddr . ct original proto-src"
OUTSIDE = "ct reply ip daddr . ct reply proto-dst"
"""Both ends of a mapping as conntrack has them. (With `th sport` in its place nft lists rules that it cannot
read again.)"""


def renewal(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The rules right after source NAT: let pass what is young, renew the rest."""
    pools = [allocation.pool for allocation in gate.allocations if allocation.pool.renews]
    if not pools:
        return (), ()
    path = ("pools",)
    rules = (
        Rule(("ct mark != 0 ct mark @young accept",), path, "pools"),
        Rule(("ct mark & 0xff000000 == 0x1000000 goto stale",), path, "pools"),
        Rule(("ct mark != 0 ct direction original numgen inc mod 16 0 jump renew_entries",), path, "pools"),
    )
    return (*_renewal(gate, pools),), rules


def take_token(pool: Pool) -> Rule:
    """A connection with a mark of the operator keeps it; its entries are renewed by every 16th packet."""
    return pool_rule(pool, f"ct mark 0 ct mark set {ANY_TOKEN}")


def young_seconds(gate: Gate) -> int:
    """A token lives an eighth of the shortest entry at most, so that an entry in use never ends."""
    lifetimes = []
    for allocation in gate.allocations:
        times = allocation.pool.timeouts
        if allocation.pool.keeps_mapping_entries:
            lifetimes += [times.udp, times.tcp_active]
        if allocation.pool.renews:
            lifetimes.append(times.translation)
    return max(1, min(YOUNG_SECONDS, min(lifetimes) // 8))


def refreshing(pool: Pool, slots: int) -> Iterator[Chain]:
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
            pool_rule(
                pool, f"meta l4proto {protocol}", f"update @{map_}_{protocol}_{pool.name} {{ {entry} }}"
            )
            for protocol in (PROTOCOLS if pool.keeps_mapping_entries else ())
            for map_, entry in (("eim", f"{inside} : {outside}"), ("eif", f"{outside} : {inside}"))
        ]
        if slots:
            subscriber, address = inside.partition(" . ")[0], outside.partition(" . ")[0]
            rules += (_renew_block(pool, slot, subscriber) for slot in range(1, slots + 1))
            if pool.can_be_reached:
                rules.append(pool_rule(pool, f"update @owners_{pool.name} {{ {address} : {subscriber} }}"))
            rules.append(pool_rule(pool, "meta mark set 0"))
        yield pool_chain(pool, f"{word}_{pool.name}", *rules)
    if not pool.keeps_mapping_entries:
        return
    known = pool_rule(pool, "meta mark set 0"), pool_rule(pool, f"goto opened_inside_{pool.name}")
    yield pool_chain(pool, f"known_{pool.name}", *known)


def _renew_block(pool: Pool, slot: int, subscriber: str) -> Rule:
    assigned = f"@assigned{slot}_{pool.name}"
    return pool_rule(
        pool,
        f"meta mark set {subscriber} map {assigned}",
        f"update {assigned} {{ {subscriber} : meta mark }}",
        f"update @taken_{pool.name} {{ meta mark }}",
    )


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
        Rule((f"add @young {{ ct mark timeout {young_seconds(gate)}s }}",), path, "pools"),
        Rule(("jump renew_entries",), path, "pools"),
        Rule(("accept",), path, "pools"),
    ]
    yield Chain("renew", tuple(rules), path, None, "pools")
    rules = []
    for pool in pools:
        globals_ = addresses(union(pool.global_ip))
        rules.append(
            pool_rule(pool, f"ct status snat ct reply ip daddr {globals_} jump opened_inside_{pool.name}")
        )
        rules.append(
            pool_rule(pool, f"ct status dnat ct original ip daddr {globals_} jump opened_outside_{pool.name}")
        )
    yield Chain("renew_entries", tuple(rules), path, None, "pools")
