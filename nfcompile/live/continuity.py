"""What a running gateway may keep when its site changes: assignments, mapping entries, sessions.

All of it is decided by the new site alone: an entry or a session still makes sense if the new site gives that
subscriber that global address and port. In dynamic pools packets have decided which subscriber has which
number, and the listed maps say so (`live/pool_state.py`).

Pure values; `kernel.apply` lists and deletes. Elements are as the kernel spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.ownership import Bindings, cover, has
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map, Set
from nfcompile.live import pool_state
from nfcompile.live.snat_rules import first_of
from nfcompile.lower import names
from nfcompile.lower.context import lowering_context
from nfcompile.lower.partly_closed import partly_translated
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import Cover, Range
from nfcompile.model.sides import sides
from nfcompile.model.site import AclRule, Pool
from nfcompile.pipeline import Compiled

if TYPE_CHECKING:
    from nfcompile.kernel.conntrack import Flow
    from nfcompile.kernel.state_policy import Changes, Listed

EXPECTED = 1 << 0
"""Bit of `Flow.status` (IPS_EXPECTED): a helper chose the ports."""
ENTRANCES = tuple(f"chain {name}" for name in (names.POSTROUTING, names.OUTBOUND, names.POOLS))


class SiteStatePolicy:
    """The policy of state under one compiled site (a `kernel.policy.StatePolicy`)."""

    def __init__(self, compiled: Compiled) -> None:
        self.site = compiled.site
        self.allocations = compiled.allocations
        self.table = {
            str(thing.name): thing for thing in compiled.table.objects if isinstance(thing, Map | Set)
        }

    @property
    def addresses(self) -> str:
        return f"set {names.GLOBALS}"

    @property
    def inside(self) -> tuple[str, ...]:
        return lowering_context(self.site, self.allocations).inside

    @property
    def outside(self) -> tuple[str, ...]:
        return self.site.interfaces.outside

    @property
    def bindings(self) -> tuple[str, ...]:
        return tuple(key for allocation in self.allocations for key in pool_state.assigned_maps(allocation))

    # ---- what packets wrote

    def sets_to_prune(self, changes: Changes) -> tuple[str, ...]:
        """Of each pool whose blocks or subscribers may have changed: all that it remembers."""
        return tuple(
            key for allocation in self._affected(changes) for key in pool_state.state_keys(allocation)
        )

    def stale(self, changes: Changes, listed: Listed) -> Listed:
        """Elements without sense, by pool."""
        found: dict[str, pool_state.Elements] = {}
        for allocation in self._affected(changes):
            found |= pool_state.stale_state(allocation, changes, listed)
        return found

    def _affected(self, changes: Changes) -> Iterator[PoolAllocation]:
        """Pools that change, or that come after a pool which now asks for other packets; all of them where
        the order of the pools may have changed."""
        changed = [key.rpartition(" ")[2] for key in changes.objects if key.startswith(("set ", "map "))]
        chains = [key.partition(" ")[2] for key in changes.objects if key.startswith("chain ")]
        asks = str(names.POOLS) in chains
        for allocation in self.allocations:
            name = allocation.pool.name
            asks = asks or f"pool_{name}" in chains or any(_matches(one, name) for one in changed)
            gives = any(one.endswith(f"_{name}") for one in changed)
            gives = gives or any(one.startswith(f"block_{name}_") for one in chains)
            if allocation.pool.global_ip and (asks or gives):
                yield allocation

    # ---- sessions

    def may_orphan_sessions(self, changes: Changes) -> bool:
        """A set or map, the chain of an ACL or of a block, or what leads there."""
        words = ("set ", "map ", "chain pool_", "chain block_", *ENTRANCES)
        return any(key.startswith(words) for key in changes.objects)

    def orphaned_flows(self, previous_globals: Sequence[Range], listed: Listed) -> Callable[[Flow], bool]:
        """Flows, from inside or outside, with a pool's address that the site would not give them now."""
        ours = self.table.get(str(names.GLOBALS))
        watched = cover((*(_range(one) for one in (ours.elements if ours else ())), *previous_globals))
        given = [self._bindings(allocation, listed) for allocation in self.allocations]
        forced = cover(self._forced())

        def wrong(flow: Flow) -> bool:
            return any(
                not has(forced, end[1]) and not any(_keeps(one, flow, *end) for one in given)
                for end in _ends(flow, watched)
            )

        return wrong

    def _forced(self) -> Iterator[Range]:
        """Addresses that snat rules give; the gateway's own where one gives that of the interface."""
        for rule in self.site.snat:
            if rule.snat_ip is not None:
                yield rule.snat_ip
            elif not rule.exclude and self.site.gateway.primary_ip is not None:
                yield Range(self.site.gateway.primary_ip, self.site.gateway.primary_ip)

    def _bindings(self, allocation: PoolAllocation, listed: Listed) -> Bindings:
        if not pool_state.assigned_maps(allocation):
            return Bindings(allocation)
        numbering = Numbering(allocation.stock)
        held = pool_state.held_blocks(
            Bindings(allocation), listed, lambda mark: numbering.block(int(mark, 16))
        )
        return Bindings(allocation, held)

    def untranslated_flows(self) -> Callable[[Flow], bool]:
        """Which flows run untranslated that the guard lets out translated only: from a source that a pool
        takes whole, unless a fake pool passes them, an snat rule excludes them or, on a one-armed gateway,
        they stay inside; and those that a pool takes of others."""
        inside = cover(sides(self.site).networks)
        owned = self.table.get(str(names.OWNED))
        sources = cover(_range(one) for one in (owned.elements if owned else ()))
        fakes = [allocation.pool for allocation in self.allocations if not allocation.pool.translates]
        partly = [
            (one.pool, cover(ranges))
            for one, ranges in partly_translated(lowering_context(self.site, self.allocations))
            if not (one.pool.acl and any(rule.vid is not None for rule in one.pool.acl.rules))
        ]

        def owns(flow: Flow) -> bool:
            some = any(has(ranges, flow.src) and _takes(pool, flow) for pool, ranges in partly)
            return some or has(sources, flow.src)

        def untranslated(flow: Flow) -> bool:
            bare = flow.src == flow.reply_dst and owns(flow)
            if not bare or has(inside, flow.reply_src) or any(_takes(pool, flow) for pool in fakes):
                return False
            rule = first_of(self.site.snat, flow)
            return rule is None or not rule.exclude

        return untranslated


def _keeps(given: Bindings, flow: Flow, source: int, global_ip: int, port: int) -> bool:
    """A helper's port lies outside the block: there the address alone counts."""
    if flow.status & EXPECTED:
        return given.address(source, global_ip)
    return given.gives(flow.protocol, source, global_ip, port)


def _ends(flow: Flow, watched: Cover[None]) -> Iterator[tuple[int, int, int]]:
    """The translated ends of a flow: inside address, global address and port."""
    if flow.src != flow.reply_dst and has(watched, flow.reply_dst):
        yield flow.src, flow.reply_dst, flow.reply_dport
    if flow.dst != flow.reply_src and has(watched, flow.dst):
        yield flow.reply_src, flow.dst, flow.dport


def _range(element: Element) -> Range:
    """The addresses of an element."""
    (value,) = element.key
    assert isinstance(value, Range)
    return value


def _matches(changed: str, pool: str) -> bool:
    """Whether a set says which packets are a pool's."""
    own = {f"subscribers_{pool}", f"subscribersvlan_{pool}"}
    return changed in own or changed.startswith(f"acl_{pool}_")


def _takes(pool: Pool, flow: Flow) -> bool:
    """Whether a pool takes a flow: the first rule that it meets decides, then what a static pool implies."""
    for rule in pool.acl.rules if pool.acl else ():
        if _meets(rule, flow):
            return rule.allow
    return pool.is_static


def _meets(rule: AclRule, flow: Flow) -> bool:
    return (
        rule.protocol in (ANY_PROTOCOL, flow.protocol)
        and _has((rule.source,), flow.src)
        and _has((rule.destination,), flow.reply_src)
        and (not rule.source_ports or _has(rule.source_ports, flow.sport))
        and (not rule.destination_ports or _has(rule.destination_ports, flow.reply_sport))
    )


def _has(ranges: Sequence[Range], value: int) -> bool:
    return any(one.first <= value <= one.last for one in ranges)
