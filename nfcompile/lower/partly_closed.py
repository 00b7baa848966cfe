"""Subscribers that pools translate for some destinations, protocols or ports only, and to those alone.

For these a source address says too little: an ACL is asked of each connection. One that is opened to such a
subscriber's own address is dropped where a pool would translate what the subscriber sends there, so the ACL
is asked with the two ends in each other's place; else the answer, and what the subscriber itself sends to
that peer, would leave with the private address. The guard asks the same ACL, as it is written, of what leaves
untranslated: a connection may be older than its pool. Where no pool translates, both may pass.

Left alone, as in `sources.closed`: what a fake pool or an excluding snat rule names, and static entries of a
VLAN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path
from nfcompile.emit import Chain, Counter, Name, Object, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.rewriting import rewritten
from nfcompile.emit.statements import DROP, IP_DADDR, IP_SADDR, RETURN, Statement, counter, jump, match
from nfcompile.lower import names
from nfcompile.lower.acl import acl_rules
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution, Rules
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.lower.reachable import OTHER_END
from nfcompile.lower.sources import closed, excluded_sources, matched, several
from nfcompile.model.ranges import Range, intersect, subtract, union
from nfcompile.model.site import Pool

POOLS: Path = ("pools",)
PRIVATE = counter(names.PRIVATE_COUNTER), DROP
UNTRANSLATED = counter(names.LEAK_COUNTER), DROP
BEFORE_ROUTING = OTHER_END | {"iifname": "fib daddr oifname"}

Partly = tuple[tuple[PoolAllocation, tuple[Range, ...]], ...]


def partly_translated(context: Context) -> Partly:
    """The pools that translate sources for some of their packets only, and those sources."""
    passed = [*closed(context), *excluded_sources(context), *context.global_addresses]
    for allocation in context.allocations:
        passed += () if allocation.pool.translates else _allowed(allocation.pool)
    found = []
    for allocation in context.allocations:
        pool = allocation.pool
        if pool.translates:
            sources = union(subtract(_allowed(pool), passed))
            found += [(allocation, sources)] if sources else []
    return tuple(found)


def partly_closed(context: Context) -> Contribution:
    """The chains, and the rules for new connections; the guard has `untranslated`."""
    partly = partly_translated(context)
    if not partly:
        return Contribution()
    sources = union(one for _, ranges in partly for one in ranges)
    to_one = matched(IP_DADDR, names.PARTLY, sources), jump(names.PARTLY_CLOSED)
    prerouting = [
        *(Rule((*context.from_inside, *elsewhere, *to_one), POOLS) for elsewhere in context.routed_outside),
        Rule((*context.from_outside, *to_one), POOLS),
    ]
    if not context.sides.shared:
        inside = match(Field("fib saddr oifname"), *context.inside)
        prerouting.append(Rule((*context.from_outside, inside, *_asked(sources)), POOLS))
    objects: list[Object] = [Counter(names.PRIVATE_COUNTER, POOLS), Counter(names.LEAK_COUNTER, POOLS)]
    objects += several(names.PARTLY, sources)
    objects += _chains(context, partly, names.PARTLY_CLOSED, PRIVATE, turned=True)
    objects += _chains(context, partly, names.PARTLY_LEAK, UNTRANSLATED, turned=False)
    return Contribution(tuple(objects), prerouting=tuple(prerouting))


def untranslated(context: Context) -> Rules:
    """For what goes from inside to outside and has not been translated."""
    partly = partly_translated(context)
    sources = union(one for _, ranges in partly for one in ranges)
    return (Rule(_asked(sources), POOLS),) if partly else ()


def _asked(sources: tuple[Range, ...]) -> tuple[Statement, ...]:
    return matched(IP_SADDR, names.PARTLY, sources), jump(names.PARTLY_LEAK)


def _allowed(pool: Pool) -> Sequence[Range]:
    """Sources of which a pool takes some packets, perhaps all; none that a rule in front denies whole."""
    if pool.is_static:
        return [entry.local for entry in pool.global_map if entry.vid is None]
    allowed: list[Range] = []
    denied: list[Range] = []
    for rule in pool.acl.rules if pool.acl else ():
        if rule.allow:
            allowed += subtract([rule.source], denied)
        elif rule.only_source:
            denied.append(rule.source)
    return allowed if pool.subscribers is None else intersect(allowed, pool.subscribers)


def _chains(
    context: Context, partly: Partly, entry: Name, drop: tuple[Statement, ...], *, turned: bool
) -> Iterator[Object]:
    """A chain that asks one pool after the other, and a chain for each."""
    asked = []
    everybody = union(one for _, ranges in partly for one in ranges)
    for allocation, sources in partly:
        pool, name = allocation.pool, entry._replace(owner=allocation.pool.name)
        rules: list[Rule] = []
        if pool.acl is not None:
            _, rules = acl_rules(context, pool.acl, pool.name, (drop,), deny=(RETURN,), mapped=False)
        if turned:
            rules = [rewritten(rule, _other_end) for rule in rules]
        last = (pool_rule(pool, *drop),) if pool.is_static else ()
        yield pool_chain(pool, name, *rules, *last)
        mine = () if sources == everybody else (match(IP_DADDR if turned else IP_SADDR, *sources),)
        asked.append(pool_rule(pool, *mine, jump(name)))
    yield Chain(entry, tuple(asked), POOLS)


def _other_end(value: object) -> object:
    if isinstance(value, Field) and value.name in BEFORE_ROUTING:
        return Field(BEFORE_ROUTING[value.name])
    return value
