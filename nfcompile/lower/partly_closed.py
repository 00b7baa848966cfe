"""Subscribers that pools translate for some destinations, protocols or ports only, and to those alone.

For these a source address says too little: an ACL is asked of each connection. One that is opened to such a
subscriber's own address is dropped where a pool would translate what the subscriber sends there, so the ACL
is asked with the two ends in each other's place; else the answer, and what the subscriber itself sends to
that peer, would leave with the private address. The guard asks the same ACL, as it is written, of what leaves
untranslated: a connection may be older than its pool. Where no pool translates, both may pass.

Left alone, as in `sources.closed`: what a fake pool names and no pool before it takes whole, what an
excluding snat rule names, and static entries of a VLAN.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained
from itertools import takewhile

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
from nfcompile.lower.sources import allowed, closed, excluded_sources, matched, owned, several, taken_before
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
        passed += () if allocation.pool.translates else allowed(allocation.pool)
    translating = [one for one in context.allocations if one.pool.translates]
    named = chained.from_iterable(allowed(one.pool) for one in translating)
    partly = union(subtract(named, passed))
    found = []
    for allocation in translating if partly else ():
        sources = intersect(allowed(allocation.pool), partly)
        found += [(allocation, sources)] if sources else []
    return tuple(found)


def taken_in_front(context: Context, fake: Pool) -> Partly:
    """The pools in front of a fake one that translate some packets of sources that it passes, and that are
    translated otherwise. Those that a pool takes whole are `taken_before`."""
    asked = intersect(owned(context), union(allowed(fake)))
    whole = taken_before(context, fake)
    found = []
    for allocation in takewhile(lambda one: one.pool != fake, context.allocations):
        if allocation.pool.translates:
            sources = union(subtract(intersect(allowed(allocation.pool), asked), whole))
            found += [(allocation, sources)] if sources else []
    return tuple(found)


def asked_again(context: Context, asked: Partly) -> tuple[list[Rule], list[Chain]]:
    """Rules that drop what these pools would have translated, and the chains that they ask, but those that
    are there for `untranslated`."""
    there = {allocation.pool.name for allocation, _ in partly_translated(context)}
    rules, chains = [], []
    for allocation, sources in asked:
        pool = allocation.pool
        chain = _chain(context, pool, names.PARTLY_LEAK, UNTRANSLATED, turned=False)
        rules.append(pool_rule(pool, match(IP_SADDR, *sources), jump(chain.name)))
        chains += [] if pool.name in there else [chain]
    return rules, chains


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


def _chains(
    context: Context, partly: Partly, entry: Name, drop: tuple[Statement, ...], *, turned: bool
) -> Iterator[Object]:
    """A chain that asks one pool after the other, and a chain for each."""
    asked = []
    everybody = union(one for _, ranges in partly for one in ranges)
    for allocation, sources in partly:
        chain = _chain(context, allocation.pool, entry, drop, turned=turned)
        yield chain
        mine = () if sources == everybody else (match(IP_DADDR if turned else IP_SADDR, *sources),)
        asked.append(pool_rule(allocation.pool, *mine, jump(chain.name)))
    yield Chain(entry, tuple(asked), POOLS)


def _chain(context: Context, pool: Pool, entry: Name, drop: tuple[Statement, ...], *, turned: bool) -> Chain:
    """Drop what the pool would translate; what its acl denies returns."""
    rules: list[Rule] = []
    if pool.acl is not None:
        _, rules = acl_rules(context, pool.acl, pool.name, (drop,), deny=(RETURN,), mapped=False)
    if turned:
        rules = [rewritten(rule, _other_end) for rule in rules]
    last = (pool_rule(pool, *drop),) if pool.is_static else ()
    return pool_chain(pool, entry._replace(owner=pool.name), *rules, *last)


def _other_end(value: object) -> object:
    if isinstance(value, Field) and value.name in BEFORE_ROUTING:
        return Field(BEFORE_ROUTING[value.name])
    return value
