"""Pools in packet order: a chain that tests the ACL, a chain that translates, a drop at its end.

A packet that a pool has accepted never comes back: it is translated, passed (fake) or dropped and counted.
"""

from __future__ import annotations

from nfcompile.claims import Claim
from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Counter, Rule
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import acl_rules, address_set
from nfcompile.lower.cgnat import deterministic_cgnat
from nfcompile.lower.dynamic import dynamic
from nfcompile.lower.gate import Gate
from nfcompile.lower.limits import icmp_limit
from nfcompile.lower.mapping import sockets
from nfcompile.lower.nat import deterministic_nat
from nfcompile.lower.part import Part
from nfcompile.lower.policy import policy
from nfcompile.lower.static import static, static_sources
from nfcompile.model.ranges import union


def pool_objects(gate: Gate, claim: Claim) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """Everything of one pool, and its rules in the shared destination NAT chain."""
    pool, comment = claim.pool, dotted(claim.pool.path)
    if pool.type == "fake":
        sets, rules = _entry(gate, claim, ("accept",))
        return (*sets, Chain(names.pool_chain(pool.name), rules, pool.path, None, comment)), ()
    sets, rules = _entry(gate, claim, (f"goto {names.translate_chain(pool.name)}",))
    part = _part(gate, claim)
    timeouts, first_packet = policy(gate, claim)
    limits, refusals = icmp_limit(claim)
    entries = sockets(gate, claim)
    counter = f"counter name {names.dropped(pool.name)} drop"
    translate = (
        *_no_hairpin(gate, claim, counter),
        *refusals,
        *first_packet,
        *entries.lookup,
        *part.translate,
        *(() if pool.allocation == "dynamic" else (Rule((counter,), pool.path, comment),)),
    )
    return (
        Counter(names.dropped(pool.name), pool.path),
        *timeouts,
        *limits,
        *entries.objects,
        *sets,
        *part.objects,
        Chain(names.pool_chain(pool.name), rules, pool.path, None, comment),
        Chain(names.translate_chain(pool.name), translate, pool.path, None, comment),
    ), (*entries.inbound, *part.inbound)


def _part(gate: Gate, claim: Claim) -> Part:
    if claim.pool.type == "static":
        return static(gate, claim)
    if claim.pool.allocation == "dynamic":
        return dynamic(gate, claim)
    if claim.pool.type == "nat":
        return deterministic_nat(gate, claim)
    return deterministic_cgnat(gate, claim)


def _entry(gate: Gate, claim: Claim, accept: tuple[str, ...]) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The ACL of a pool, with `subscribers` or `global_map` as a further condition."""
    pool, comment = claim.pool, dotted(claim.pool.path)
    sets: list[Object] = []
    before: list[Rule] = []
    after: list[Rule] = []
    allow: tuple[tuple[str, ...], ...] = (accept,)
    if pool.type == "static":
        sources, matches = static_sources(gate, claim)
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


def _no_hairpin(gate: Gate, claim: Claim, drop: str) -> tuple[Rule, ...]:
    """Other pools have hairpin on, this one has not: its subscribers must not use it (both pools allow)."""
    if claim.pool.hairpin or not has_hairpin(gate):
        return ()
    return (Rule((gate.to_inside, drop), claim.pool.path, dotted(claim.pool.path)),)


def has_hairpin(gate: Gate) -> bool:
    """Whether any pool takes packets from inside for its global addresses."""
    return any(claim.pool.hairpin and claim.pool.type != "fake" for claim in gate.claims)
