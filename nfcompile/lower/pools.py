"""Pools in packet order: a chain that tests the ACL, a chain that translates, a drop at its end.

A packet that a pool has accepted never comes back: it is translated, passed (fake) or dropped and counted.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import dotted
from nfcompile.emit import Counter, Rule
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import acl_rules, address_set
from nfcompile.lower.cgnat import deterministic_cgnat
from nfcompile.lower.connection_policy import policy
from nfcompile.lower.dynamic import dynamic
from nfcompile.lower.gate import Gate
from nfcompile.lower.mapping import sockets
from nfcompile.lower.nat import deterministic_nat
from nfcompile.lower.part import Part, pool_chain, pool_rule
from nfcompile.lower.session_limits import icmp_limit
from nfcompile.lower.static import static, static_sources
from nfcompile.model.ranges import union


def pool_objects(gate: Gate, allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """Everything of one pool, and its rules in the shared destination NAT chain."""
    pool = allocation.pool
    if pool.type == "fake":
        return _fake(gate, allocation), ()
    sets, rules = _entry(gate, allocation, (f"goto {names.translate_chain(pool.name)}",))
    part = _part(gate, allocation)
    timeouts, first_packet = policy(gate, allocation)
    limits, refusals = icmp_limit(allocation)
    entries = sockets(gate, allocation)
    counter = f"counter name {names.dropped(pool.name)} drop"
    translate = (
        *_no_hairpin(gate, allocation, counter),
        *refusals,
        *first_packet,
        *entries.lookup,
        *part.translate,
        *(() if pool.allocation == "dynamic" else (pool_rule(pool, counter),)),
    )
    return (
        Counter(names.dropped(pool.name), pool.path),
        *timeouts,
        *limits,
        *entries.objects,
        *sets,
        *part.objects,
        pool_chain(pool, names.pool_chain(pool.name), *rules),
        pool_chain(pool, names.translate_chain(pool.name), *translate),
    ), (*entries.inbound, *part.inbound)


def _fake(gate: Gate, allocation: PoolAllocation) -> tuple[Object, ...]:
    """What it accepts keeps its address; only timeouts, events and hairpin are the pool's."""
    pool = allocation.pool
    sets, rules = _entry(gate, allocation, (f"goto {names.pass_chain(pool.name)}",))
    timeouts, first_packet = policy(gate, allocation)
    refused = _no_hairpin(gate, allocation, f"counter name {names.dropped(pool.name)} drop")
    return (
        *((Counter(names.dropped(pool.name), pool.path),) if refused else ()),
        *timeouts,
        *sets,
        pool_chain(pool, names.pool_chain(pool.name), *rules),
        pool_chain(pool, names.pass_chain(pool.name), *refused, *first_packet, pool_rule(pool, "accept")),
    )


def _part(gate: Gate, allocation: PoolAllocation) -> Part:
    if allocation.pool.type == "static":
        return static(gate, allocation)
    if allocation.pool.allocation == "dynamic":
        return dynamic(gate, allocation)
    if allocation.pool.type == "nat":
        return deterministic_nat(gate, allocation)
    return deterministic_cgnat(gate, allocation)


def _entry(
    gate: Gate, allocation: PoolAllocation, accept: tuple[str, ...]
) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The ACL of a pool, with `subscribers` or `global_map` as a further condition."""
    pool, comment = allocation.pool, dotted(allocation.pool.path)
    sets: list[Object] = []
    before: list[Rule] = []
    after: list[Rule] = []
    allow: tuple[tuple[str, ...], ...] = (accept,)
    if pool.type == "static":
        sources, matches = static_sources(gate, allocation)
        sets += sources
        allow = (*((match, *accept) for match in matches), ("return",))
        after = [Rule((match, *accept), pool.path, comment) for match in matches]
    elif pool.subscribers is not None:
        name = names.subscribers(pool.name)
        path = (*pool.path, "subscribers")
        sets.append(address_set(name, union(pool.subscribers), path))
        before.append(Rule((f"ip saddr != @{name}", "return"), path, dotted(path)))
    acl_sets: list[Object] = []
    rules: list[Rule] = []
    if pool.acl is not None:
        acl_sets, rules = acl_rules(gate, pool.acl, pool.name, allow)
    return (*sets, *acl_sets), (*before, *rules, *after)


def _no_hairpin(gate: Gate, allocation: PoolAllocation, drop: str) -> tuple[Rule, ...]:
    """Other pools have hairpin on, this one has not: its subscribers must not use it (both pools allow)."""
    if allocation.pool.hairpin or not has_hairpin(gate):
        return ()
    return (Rule((gate.to_inside, drop), allocation.pool.path, dotted(allocation.pool.path)),)


def has_hairpin(gate: Gate) -> bool:
    """Whether any pool takes packets from inside for its global addresses."""
    return any(allocation.pool.hairpin and allocation.pool.type != "fake" for allocation in gate.allocations)
