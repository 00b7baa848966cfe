"""Which pool a packet asks, found by one look-up where a site has many pools.

First match over pools is flattened here: every source has a list of pools that can accept it, and a map leads
from intervals of sources to the first pool if it certainly does, otherwise to a chain that asks those of the
list. So a new connection costs the same with five pools and with a thousand. With a few pools the plain
jumps are quicker: a look-up in an interval map costs as much as three of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.shared_addresses import by_address
from nfcompile.diagnostics import Path
from nfcompile.emit import Chain, Element, Map, Name, Object, Rule
from nfcompile.emit.expressions import Field, Verdict
from nfcompile.emit.statements import IP_SADDR, VerdictMap, goto, jump
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.part import pool_rule
from nfcompile.lower.whose_address import by_port
from nfcompile.model.ranges import EVERYWHERE, Cover, Range, intersect, union
from nfcompile.model.site import Pool

POOLS = ("pools",)
ASKED = Field("ct original ip daddr")
FEW_POOLS = 4
"""Up to so many pools are asked one after the other."""


class Accepts(NamedTuple):
    """Sources that a pool accepts: `sure` whatever the packet is, otherwise for some destinations, ports,
    protocols or VLANs. `origin` is the line of the site that does."""

    sources: Range
    sure: bool
    origin: Path


def is_flat(context: Context) -> bool:
    """Whether the site has so many pools that a look-up is quicker than asking them."""
    return len(context.allocations) > FEW_POOLS


def pools_chain(context: Context) -> tuple[Object, ...]:
    """The chain that leads to the pools, and what it needs."""
    if not is_flat(context):
        jumps = (pool_rule(one.pool, jump(names.pool_chain(one.pool.name))) for one in context.allocations)
        return (Chain(names.POOLS, tuple(jumps), POOLS),)
    elements, lists = _by_source(context)
    table = Map(names.BY_SOURCE, ("ipv4_addr",), ("verdict",), POOLS, elements, ("interval",))
    look = Rule((VerdictMap(IP_SADDR, names.BY_SOURCE),), POOLS)
    return (table, Chain(names.POOLS, (look,), POOLS), *(_list_chain(pools) for pools in lists))


def by_global(
    context: Context, word: str, field: Field, chains: Mapping[str, Name]
) -> tuple[list[Object], VerdictMap]:
    """A verdict map from the global addresses of pools to a chain of each (by the pool's name), and its
    look-up of a field. An address of several pools leads to a chain that tests the port."""
    allocations = {one.pool.name: one for one in context.allocations if one.pool.name in chains}
    elements: list[Element] = []
    several: dict[Name, Chain] = {}
    for run, pools in by_address(one.pool for one in allocations.values()):
        names_ = [pool.name for pool in pools]
        chain = chains[names_[0]] if len(pools) == 1 else names.by_port(word, _joined_names(pools))
        if len(pools) > 1:
            several[chain] = _by_port(chain, [(allocations[one], chains[one]) for one in names_])
        elements.append(Element((run,), goto(chain), pools[0].path))
    name = names.by_global(word)
    table = Map(name, ("ipv4_addr",), ("verdict",), POOLS, tuple(elements), ("interval",))
    return [table, *several.values()], VerdictMap(field, name)


def _by_port(name: Name, chains: list[tuple[PoolAllocation, Name]]) -> Chain:
    rules = (
        pool_rule(allocation.pool, *by_port(allocation, ASKED), goto(chain)) for allocation, chain in chains
    )
    return Chain(name, tuple(rules), POOLS)


# ---- by source


def _by_source(context: Context) -> tuple[tuple[Element, ...], list[tuple[Pool, ...]]]:
    """Elements from intervals of sources to verdicts, and the lists of pools that have a chain."""
    elements: list[Element] = []
    lists: dict[tuple[Pool, ...], None] = {}
    for sources, accepting in _intervals(context.allocations):
        pools = tuple(pool for pool, _ in accepting)
        verdict = _verdict(accepting)
        if len(pools) > 1 and not accepting[0][1].sure:
            lists.setdefault(pools)
        last = elements[-1] if elements else None
        if (
            last
            and last.data == verdict
            and isinstance(last.key[0], Range)
            and last.key[0].last + 1 == sources.first
        ):
            elements[-1] = last._replace(key=(Range(last.key[0].first, sources.last),))
        else:
            elements.append(Element((sources,), verdict, accepting[0][1].origin))
    return tuple(elements), list(lists)


Accepting = list[tuple[Pool, Accepts]]


def _verdict(accepting: Accepting) -> Verdict:
    pool, first = accepting[0]
    if first.sure:
        return goto(names.accepted(pool))
    return goto(
        names.pool_chain(pool.name) if len(accepting) == 1 else _list_name(tuple(p for p, _ in accepting))
    )


def _list_name(pools: tuple[Pool, ...]) -> Name:
    """The chain that asks these pools: a name that depends on nothing but them, and that nft still takes."""
    return names.some_pools(_joined_names(pools))


def _joined_names(pools: tuple[Pool, ...]) -> str:
    joined = ".".join(pool.name for pool in pools)
    return joined if len(joined) <= 64 else f"{len(pools)}.{crc32(joined.encode()):08x}"


def _list_chain(pools: tuple[Pool, ...]) -> Chain:
    asked = (pool_rule(pool, jump(names.pool_chain(pool.name))) for pool in pools)
    return Chain(_list_name(pools), tuple(asked), POOLS)


def _intervals(allocations: tuple[PoolAllocation, ...]) -> Iterator[tuple[Range, Accepting]]:
    """Ascending intervals of sources, each with the pools that can accept it, up to the first sure one."""
    events: list[tuple[int, bool, int, Accepts]] = []
    for index, allocation in enumerate(allocations):
        for accepts in accepted_sources(allocation):
            events.append((accepts.sources.first, True, index, accepts))
            events.append((accepts.sources.last + 1, False, index, accepts))
    events.sort(key=lambda event: event[:3])
    active: dict[int, Accepts] = {}
    for at, (start, opens, index, accepts) in enumerate(events):
        if opens:
            active[index] = accepts
        elif active.get(index) == accepts:
            del active[index]
        end = events[at + 1][0] if at + 1 < len(events) else start
        if active and end > start:
            yield Range(start, end - 1), list(_asked(allocations, active))


def _asked(
    allocations: tuple[PoolAllocation, ...], active: dict[int, Accepts]
) -> Iterator[tuple[Pool, Accepts]]:
    for index in sorted(active):
        yield allocations[index].pool, active[index]
        if active[index].sure:
            return


def accepted_sources(allocation: PoolAllocation) -> list[Accepts]:
    """Disjoint ranges of sources that a pool can accept, by its ACL read as first match."""
    pool = allocation.pool
    if pool.is_static:
        plain = [entry.local for entry in pool.global_map if entry.vid is None]
        tagged = [entry.local for entry in pool.global_map if entry.vid is not None]
        sure = pool.acl is None
        only = union(plain) if not tagged else ()
        return [Accepts(run, sure and run in only, pool.path) for run in union([*plain, *tagged])]
    allowed = union(pool.subscribers) if pool.subscribers is not None else (EVERYWHERE,)
    decided: Cover[None] = Cover()
    clouded: Cover[None] = Cover()
    sure_runs: list[Range] = []
    perhaps: list[Range] = []
    first: Path = ()
    for rule in pool.acl.rules if pool.acl else ():
        for part in intersect((rule.source,), allowed):
            for run in list(decided.rest(part)):
                if rule.allow:
                    first = first or rule.path
                    certain = list(clouded.rest(run)) if rule.only_source else []
                    sure_runs += certain
                    perhaps += list(clouded.parts(run)) if rule.only_source else [run]
                if rule.only_source:
                    decided.add(run, None)
                else:
                    clouded.add(run, None)
    found = [Accepts(run, True, first) for run in union(sure_runs)]
    return found + [Accepts(run, False, first) for run in union(perhaps)]
