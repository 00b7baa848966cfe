"""Limits that blocks do not already set: simultaneous sessions of a socket, of ICMP.

`ct count` walks all connections of its key, so it stands only where nothing cheaper bounds them. What exceeds
the limit of a socket is refused at once, in the forward chain.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import dotted
from nfcompile.emit import Counter, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.exhaustion import no_room
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import Range, union

SESSIONS_PATH = ("nat_defaults", "sessions_per_translation")
SESSIONS_SIZE = 1048576


def icmp_limit(allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """`portlimit_icmp` of one pool: the ids of a block bound the sessions to each destination only.

    Objects, and the rule for the pool's new connections.
    """
    pool, limit = allocation.pool, allocation.pool.limits.portlimit_icmp
    if pool.type != "cgnat":
        return (), ()
    path = (*pool.path, "limits_peruser", "portlimit_icmp")
    name, counter = f"icmp_{pool.name}", names.pool_counter(pool.name, "icmp_limit")
    count = f"add @{name} {{ ip saddr ct count over {limit} }}"
    over = f"over_{name}"
    rule = Rule(("meta l4proto icmp", count, f"goto {over}"), path, dotted(path))
    sources = Set(name, "ipv4_addr", path, (), ("dynamic",), 0, SESSIONS_SIZE)
    return (Counter(counter, path), sources, no_room(pool, over, counter)), (rule,)


def session_limit(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """`sessions_per_translation`, for the forward chain: sessions of one local address and port."""
    limit = gate.site.defaults.sessions_per_translation
    if limit is None:
        return (), ()
    name, counter = "sessions", "refused_sessions"
    objects: list[Object] = [
        Counter(counter, SESSIONS_PATH),
        Set(name, "inet_proto . ipv4_addr . inet_service", SESSIONS_PATH, (), ("dynamic",), 0, SESSIONS_SIZE),
    ]
    source: tuple[str, ...] = ()
    if not any(allocation.unbounded for allocation in gate.allocations):
        objects.append(address_set("limited_sources", _limited(gate), SESSIONS_PATH))
        source = ("ip saddr @limited_sources",)
    count = f"add @{name} {{ meta l4proto . ip saddr . th sport ct count over {limit} }}"
    refuse = f"counter name {counter} reject with icmp type admin-prohibited"
    match = (*gate.outward, "ct state new meta l4proto { tcp, udp }", *source)
    return tuple(objects), (Rule((*match, count, refuse), SESSIONS_PATH, dotted(SESSIONS_PATH)),)


def _limited(gate: Gate) -> tuple[Range, ...]:
    return union(
        run
        for allocation in gate.allocations
        if allocation.pool.type != "fake"
        for run in allocation.subscribers
    )
