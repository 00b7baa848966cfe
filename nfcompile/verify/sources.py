"""Sources as the reference sees them: forged ones, those that the site names, subscribers that are closed.

Shares the values of a site and of its allocations with the compiler, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.model.ranges import EVERYWHERE, Range, intersect, subtract, union
from nfcompile.model.rules import SnatRule
from nfcompile.model.site import Pool, Site
from nfcompile.model.sources import named_sources, own_sources
from nfcompile.verify.boxes import RangeTable


class Sources(NamedTuple):
    """own      addresses of snat rules and `secondary_ips`
    owned    subscribers: of a connection that no rule has translated, nothing leaves with their addresses
    closed   subscribers of which every packet is translated, so that their own addresses cannot be reached
    partly   by pool the subscribers of which it translates some packets: those cannot be turned round
    named    with `strict_sources`, all that may leave; else None"""

    own: RangeTable
    owned: RangeTable
    closed: RangeTable
    partly: Mapping[str, RangeTable]
    named: RangeTable | None


def sources(site: Site, allocations: Sequence[PoolAllocation]) -> Sources:
    """Read a site once for many packets."""
    named = RangeTable.of(named_sources(site)) if site.defaults.strict_sources else None
    excluded = [one for rule in site.snat if rule.exclude for one in _sources(rule)]
    globals_ = [one for pool in site.active_pools for one in pool.global_ranges]
    closed = subtract(_closed(allocations), [*excluded, *globals_])
    whole = [*closed, *excluded, *globals_, *_passed(allocations)]
    some = {one.pool.name: tuple(_some(one.pool)) for one in allocations}
    left = union(subtract(chain.from_iterable(some.values()), whole))
    partly = {name: intersect(ranges, left) for name, ranges in some.items()} if left else {}
    tables = {name: RangeTable.of(ranges) for name, ranges in partly.items() if ranges}
    owned = RangeTable.of(subtract(_owned(allocations), globals_))
    return Sources(RangeTable.of(own_sources(site)), owned, RangeTable.of(closed), tables, named)


def _some(pool: Pool) -> Iterable[Range]:
    """Sources that a translating pool may take; not those of static entries with a VLAN."""
    if pool.is_static:
        return [entry.local for entry in pool.global_map if entry.vid is None]
    sources = list(_may_hit(pool)) if pool.translates else []
    return sources if pool.subscribers is None else intersect(sources, pool.subscribers)


def _passed(allocations: Sequence[PoolAllocation]) -> Iterator[Range]:
    for pool in (one.pool for one in allocations):
        if not pool.translates:
            yield from _may_hit(pool)


def _may_hit(pool: Pool) -> Iterator[Range]:
    """Sources of the allow rules, less those that a deny in front takes whole."""
    rules = pool.acl.rules if pool.acl else ()
    for at, rule in enumerate(rules):
        if rule.allow:
            denied = [one.source for one in rules[:at] if one.only_source and not one.allow]
            yield from subtract([rule.source], denied)


def _sources(rule: SnatRule) -> tuple[Range, ...]:
    asked = rule.match.src_cidr
    return (EVERYWHERE,) if asked is None or asked.negated else asked.values


def _owned(allocations: Sequence[PoolAllocation]) -> Iterator[Range]:
    """What translating pools take, less what fake pools in front of them pass whole."""
    passed: list[Range] = []
    for allocation in allocations:
        if allocation.pool.translates:
            yield from subtract(allocation.taken, passed)
        else:
            passed += allocation.taken


def _closed(allocations: Sequence[PoolAllocation]) -> list[Range]:
    """What translating pools take whole, less what fake pools in front of them pass."""
    found: list[Range] = []
    passed: list[Range] = []
    last = max((n for n, one in enumerate(allocations) if one.pool.translates), default=-1)
    for number, allocation in enumerate(allocations):
        if allocation.pool.translates:
            found += allocation.taken
        elif number < last:
            passed += subtract(_may_hit(allocation.pool), found)
    return list(subtract(found, passed))
