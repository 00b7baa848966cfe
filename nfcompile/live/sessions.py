"""Whose a connection is: the pool or snat rule that translated it, its subscriber, its global address.

The translated side of a connection says which pool it was: its address, and the port where several pools have
that address. A `fake` pool translates nothing, and there it is the subscriber.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.shared_addresses import by_address
from nfcompile.diagnostics import Path
from nfcompile.kernel.conntrack import DESTINATION_NAT, SOURCE_NAT, Flow
from nfcompile.live.snat_rules import has_protocol, qualifies
from nfcompile.model.npt import NptPool
from nfcompile.model.protocols import IN_BLOCK
from nfcompile.model.ranges import Range, subtract, union
from nfcompile.model.rules import SnatRule
from nfcompile.model.site import Pool
from nfcompile.pipeline import Compiled

Owner = TypeVar("Owner", Pool, NptPool)


class Session(NamedTuple):
    """One connection as the operator sees it.

    `pool` is None where an snat rule translated; `path` says which pool or rule it was. `inward` is true for
    a connection that was opened from outside. The global address of a fake pool's sessions is the
    subscriber's own.
    """

    flow: Flow
    pool: str | None
    path: Path
    inward: bool

    @property
    def subscriber(self) -> tuple[int, int]:
        """Address and port inside."""
        flow = self.flow
        return (flow.reply_src, flow.reply_sport) if self.inward else (flow.src, flow.sport)

    @property
    def translated(self) -> tuple[int, int]:
        """Global address and port."""
        flow = self.flow
        return (flow.dst, flow.dport) if self.inward else (flow.reply_dst, flow.reply_dport)

    @property
    def remote(self) -> tuple[int, int]:
        """Address and port of the other end, as the first packet had them."""
        flow = self.flow
        return (flow.src, flow.sport) if self.inward else (flow.dst, flow.dport)


class SessionFilter(NamedTuple):
    """What the sessions of an answer have in common; None asks for nothing.

    `subscriber` and `translated` may be either end of a hairpinned session, and are addresses of one IP
    version (`is_ipv6`).
    """

    pool: str | None = None
    subscriber: Range | None = None
    translated: int | None = None
    port: int | None = None
    protocol: int | None = None
    is_ipv6: bool | None = None

    def admits(self, session: Session) -> bool:
        """Whether a session is one of those."""
        flow = session.flow
        if self.pool is not None and session.pool != self.pool:
            return False
        if self.protocol is not None and flow.protocol != self.protocol:
            return False
        if self.is_ipv6 is not None and flow.is_ipv6 != self.is_ipv6:
            return False
        if self.subscriber is not None:
            first, last = self.subscriber
            if not (first <= flow.src <= last or first <= flow.reply_src <= last):
                return False
        if self.translated is None:
            return True
        ends = (flow.dst, flow.dport), (flow.reply_dst, flow.reply_dport)
        return any(a == self.translated and self.port in (None, p) for a, p in ends)


def sessions(compiled: Compiled, flows: Iterable[Flow], wanted: SessionFilter) -> Iterator[Session]:
    """The sessions among connections that are this site's and wanted, in the order in which they come."""
    read = reader(compiled)
    for flow in flows:
        session = read(flow)
        if session is not None and wanted.admits(session):
            yield session


def reader(compiled: Compiled) -> Callable[[Flow], Session | None]:
    """A function from a connection to the session it is; None: this site has nothing to do with it."""
    pools = [allocation.pool for allocation in compiled.allocations]
    owner = _owners(pools)
    passing = _finder(_passed(compiled.allocations))
    prefixes = _finder((pair.globals.range, pool) for pool in tracked_npt(compiled) for pair in pool.pairs)

    def read(flow: Flow) -> Session | None:
        if flow.is_ipv6:
            return _of_prefix(prefixes, flow)
        if flow.status & SOURCE_NAT:
            if pool := owner(flow.reply_dst, flow.protocol, flow.reply_dport):
                return Session(flow, pool.name, pool.path, False)
            if rule := _rule(compiled.site.snat, flow):
                return Session(flow, None, rule.path, False)
        elif flow.status & DESTINATION_NAT and (pool := owner(flow.dst, flow.protocol, flow.dport)):
            return Session(flow, pool.name, pool.path, True)
        elif pool := passing(flow.src):
            return Session(flow, pool.name, pool.path, False)
        elif pool := passing(flow.reply_src):
            return Session(flow, pool.name, pool.path, True)
        return None

    return read


def tracked_npt(compiled: Compiled) -> list[NptPool]:
    """Enabled npt pools whose connections the kernel tracks."""
    return [pool for pool in compiled.site.npt if pool.enable and not pool.stateless]


def _of_prefix(owner: Callable[[int], NptPool | None], flow: Flow) -> Session | None:
    """A connection of IPv6; a hairpinned one is its opener's."""
    inward = not flow.status & SOURCE_NAT
    if inward and not flow.status & DESTINATION_NAT:
        return None
    pool = owner(flow.dst if inward else flow.reply_dst)
    return None if pool is None else Session(flow, pool.name, pool.path, inward)


def _passed(allocations: Iterable[PoolAllocation]) -> Iterator[tuple[Range, Pool]]:
    """The sources that fake pools pass. With `any`, nothing tells a session from the gateway's own."""
    before: tuple[Range, ...] = ()
    for allocation in allocations:
        if not allocation.pool.translates and not allocation.unbounded:
            yield from ((run, allocation.pool) for run in subtract(allocation.subscribers, before))
            before = union((*before, *allocation.subscribers))


def _owners(pools: Iterable[Pool]) -> Callable[[int, int, int], Pool | None]:
    """A function from a global address, a protocol and a port to the pool whose they are. Of an address of
    several pools the port decides; without one it is the first of them."""
    runs = list(by_address(pools))
    firsts = [run.first for run, _ in runs]

    def find(address: int, protocol: int, port: int) -> Pool | None:
        index = bisect_right(firsts, address) - 1
        if index < 0 or address > runs[index][0].last:
            return None
        owners = runs[index][1]
        if len(owners) == 1 or protocol not in IN_BLOCK:
            return owners[0]
        return next((one for one in owners if one.port_range.first <= port <= one.port_range.last), owners[0])

    return find


def _finder(runs: Iterable[tuple[Range, Owner]]) -> Callable[[int], Owner | None]:
    """A function from an address to the owner of the run that it is in; no two runs overlap."""
    ordered = sorted((run.first, run.last, pool) for run, pool in runs)
    firsts = [first for first, _, _ in ordered]

    def find(address: int) -> Owner | None:
        index = bisect_right(firsts, address) - 1
        if index < 0:
            return None
        _, last, pool = ordered[index]
        return pool if address <= last else None

    return find


def _rule(rules: Iterable[SnatRule], flow: Flow) -> SnatRule | None:
    """The first snat rule that gives this address to such a connection (its ports and interface aside). An
    interface may have any address, so there all other qualifiers count."""
    for rule in rules:
        mark = rule.mark
        if rule.snat_ip is None:
            if not rule.exclude and qualifies(rule, flow):
                return rule
            continue
        first, last = rule.snat_ip
        if not first <= flow.reply_dst <= last or not has_protocol(rule, flow):
            continue
        if mark is None or any(one.is_in(flow.mark) for one in mark.values) != mark.negated:
            return rule
    return None
