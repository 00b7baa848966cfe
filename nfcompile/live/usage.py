"""What is in use now: of each pool its blocks, mapping entries and sessions, and what was dropped and why.

Read from numbers that the kernel keeps anyway. Sessions, active subscribers and addresses in use need one
walk through all connections, so they are counted where that is short or asked for; else they are None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path
from nfcompile.emit import Counter, Map, Set
from nfcompile.kernel import conntrack, tally
from nfcompile.kernel.tally import Count, Tally
from nfcompile.live.session_counts import NO_SPREAD, SessionCounts, TopSubscriber, count_sessions
from nfcompile.lower import names
from nfcompile.lower.drop_reasons import DROP_REASONS, DropReason, drop_reason
from nfcompile.model.rules import SnatRule
from nfcompile.pipeline import Compiled

COUNTED = ("eim", "taken", "forwarded")
"""The words of the sets and maps whose number of elements says something."""
SHORT_WALK = 50_000
"""Connections that are walked through without being asked: a quarter of a second."""


class Drop(NamedTuple):
    """Packets that were dropped for one reason; `bytes` is None where the kernel does not count them.

    `path` is the setting that they met; the pool is None where the reason concerns all of them.
    """

    reason: DropReason
    pool: str | None
    path: Path
    packets: int
    bytes: int | None


class PoolUsage(NamedTuple):
    """One enabled pool. None: not counted, or the pool has no such thing.

    subscribers         that it serves (None: any); active_subscribers are those with a session
    blocks              blocks (cgnat) or addresses (nat) that it can give away; blocks_assigned those that
                        are not free: computed ones (deterministic), or what the kernel holds (dynamic), with
                        those that rest some minutes after their subscriber has lost them
    assignments         blocks that were given away since the ruleset was loaded (dynamic)
    addresses           global addresses; addresses_used are those of a session
    mapping_entries     sockets that have a mapping entry, of at most mapping_limit
    open_ports          ports that subscribers have opened to the outside by PCP or NAT-PMP
    subscribers_by_sessions    how many have at most as many sessions as each of SESSION_STEPS, then the rest
    """

    pool: str
    type: str
    allocation: str
    path: Path
    subscribers: int | None
    active_subscribers: int | None
    blocks: int | None
    blocks_assigned: int | None
    assignments: int | None
    addresses: int
    addresses_used: int | None
    mapping_entries: int | None
    mapping_limit: int | None
    open_ports: int | None
    sessions: int | None
    subscribers_by_sessions: tuple[int, ...] | None

    @property
    def is_dynamic(self) -> bool:
        """Whether the kernel gives the blocks away."""
        return self.allocation == "dynamic"


class RuleUse(NamedTuple):
    """One snat rule that translates; None where the connections were not walked through."""

    rule: str
    path: Path
    sessions: int | None
    active_subscribers: int | None


class Usage(NamedTuple):
    """Everything that `status` says. `missing` are counters of the site that the live table lacks: then
    another site is loaded. `walked` says whether the connections were gone through."""

    connections: int
    connections_limit: int
    pools: tuple[PoolUsage, ...]
    rules: tuple[RuleUse, ...]
    drops: tuple[Drop, ...]
    top: tuple[TopSubscriber, ...]
    walked: bool
    missing: tuple[str, ...]


def read(
    compiled: Compiled,
    namespace: str | None = None,
    full: bool = False,
    top: int = 0,
    counted: Callable[[], SessionCounts] | None = None,
) -> Usage:
    """Ask the kernel. `full` walks through the connections however many there are; so does `top` > 0, and
    names so many subscribers. `counted` has walked through them already. Raises KernelError."""
    filled = {str(one.name) for allocation in compiled.allocations for one in _filled(compiled, allocation)}
    live = tally.read(namespace, frozenset(filled if full else ()))
    used, limit = conntrack.count(namespace)
    walk = counted() if counted else None
    if walk is None and (full or top or used <= SHORT_WALK):
        walk = count_sessions(compiled, conntrack.flows(namespace), top)
    tables = (compiled.table, *((compiled.npt,) if compiled.npt is not None else ()))
    counters = [one for table in tables for one in table.objects if isinstance(one, Counter)]
    return Usage(
        used,
        limit,
        tuple(_pool(compiled, allocation, live, walk) for allocation in compiled.allocations),
        tuple(_rule(rule, walk) for rule in compiled.site.snat if not rule.exclude),
        (*_drops(counters, live), *_of_conntrack(conntrack.statistics(namespace))),
        walk.top if walk else (),
        walk is not None,
        tuple(str(one.name) for one in counters if str(one.name) not in live.counters),
    )


def _pool(
    compiled: Compiled, allocation: PoolAllocation, live: Tally, walk: SessionCounts | None
) -> PoolUsage:
    pool, path = allocation.pool, allocation.pool.path
    gives = pool.allocates
    entries = [one for one in _filled(compiled, allocation) if one.name.word == "eim"]
    assigned: int | None = min(allocation.demand, allocation.stock.capacity) if gives else None
    if pool.is_dynamic:
        assigned = live.elements.get(f"taken_{pool.name}")
    assignments = live.counters.get(f"assigned_count_{pool.name}")
    return PoolUsage(
        pool.name,
        pool.type,
        pool.allocation if gives else "none",
        path,
        None if allocation.unbounded else allocation.demand,
        walk.active[path] if walk else None,
        allocation.stock.capacity if gives else None,
        assigned,
        assignments.packets if assignments and pool.is_dynamic else None,
        sum(one.size for one in pool.global_ranges),
        walk.addresses[path] if walk and pool.translates else None,
        _total(live.elements.get(str(one.name)) for one in entries) if entries else None,
        sum(one.size for one in entries) or None,
        live.elements.get(str(names.forwarded(pool.name))) if pool.keeps_forwardings else None,
        walk.sessions[path] if walk else None,
        walk.spread.get(path, NO_SPREAD) if walk else None,
    )


def _rule(rule: SnatRule, walk: SessionCounts | None) -> RuleUse:
    if walk is None:
        return RuleUse(rule.name, rule.path, None, None)
    return RuleUse(rule.name, rule.path, walk.sessions[rule.path], walk.active[rule.path])


def _filled(compiled: Compiled, allocation: PoolAllocation) -> Iterator[Set | Map]:
    """The sets and maps of a pool whose number of elements says something."""
    path = allocation.pool.path
    for one in compiled.table.objects:
        if isinstance(one, Set | Map) and one.origin[: len(path)] == path and one.name.word in COUNTED:
            yield one


def _total(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


def _drops(counters: Iterable[Counter], live: Tally) -> Iterator[Drop]:
    for counter in counters:
        pool = counter.origin[1] if counter.origin[:1] == ("pools",) and len(counter.origin) > 1 else None
        if reason := drop_reason(counter.name):
            packets, octets = live.counters.get(str(counter.name), Count(0, 0))
            yield Drop(reason, None if pool is None else str(pool), counter.origin, packets, octets)


def _of_conntrack(statistics: conntrack.Statistics) -> Iterator[Drop]:
    """Conntrack counts packets whose ports were taken as `drop`, too; the rest found the table full."""
    full = max(0, statistics.drop - statistics.insert_failed)
    for word, packets in statistics._replace(drop=full)._asdict().items():
        yield Drop(DROP_REASONS[word], None, (), packets, None)
