"""What every part of the lowering needs: the site, the allocations of its pools, its two sides."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.shared_addresses import in_common
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import IIFNAME, IP_DADDR, IP_SADDR, OIFNAME, Match, concat, match, unlike
from nfcompile.lower import names
from nfcompile.model.ranges import EVERYWHERE, Range, union
from nfcompile.model.sides import GatewaySides, sides
from nfcompile.model.site import Site
from nfcompile.model.timeout_policies import held_by_host

Direction = tuple[Match, ...]
"""Matches that say from or towards which side a packet goes: its interface and, on a one-armed gateway, its
address. Each holds before and after destination NAT, as its hook sees the packet."""


class Context(NamedTuple):
    """A gateway with its two sides; `inside` includes the VLAN interfaces that carry subscribers.

    `has_hairpin`: some pool takes packets from inside for its global addresses. `shortest_entry`: seconds
    that the mapping entry, or the assignment, with the shortest time lives. `held_by_host`: protocols
    whose timeouts are the host's. `in_common`: pools of which another one has an address, too.
    `global_addresses`: those of all enabled pools, joined.
    """

    site: Site
    allocations: tuple[PoolAllocation, ...]
    sides: GatewaySides
    has_hairpin: bool = False
    shortest_entry: int = 0
    held_by_host: frozenset[str] = frozenset()
    in_common: frozenset[str] = frozenset()
    global_addresses: tuple[Range, ...] = ()

    @property
    def inside(self) -> tuple[str, ...]:
        return self.sides.inside

    @property
    def outside(self) -> tuple[str, ...]:
        return self.sides.outside

    @property
    def from_inside(self) -> Direction:
        return self.direction("from_inside")

    @property
    def from_outside(self) -> Direction:
        return self.direction("from_outside")

    @property
    def from_either(self) -> Direction:
        return (match(IIFNAME, *self.sides.every_interface),)

    def arriving(self, *, outside: bool, inside: bool) -> Direction:
        """From one side or from both; at least one must be asked."""
        return self.from_either if outside and inside else self.from_outside if outside else self.from_inside

    @property
    def to_outside(self) -> Direction:
        return self.direction("to_outside")

    @property
    def to_inside(self) -> Direction:
        return self.direction("to_inside")

    @property
    def translates_outward(self) -> bool:
        """Whether any source is translated on its way from inside to an outside interface."""
        rules = (rule for rule in self.site.snat if not rule.exclude)
        interfaces = {name for rule in rules for name in rule.match.interfaces(self.outside)}
        return self.sides.has_outside and (bool(self.allocations) or not interfaces.isdisjoint(self.outside))

    @property
    def outward(self) -> Direction:
        """What is translated: from an inside to an outside interface."""
        return *self.from_inside, *self.to_outside

    def direction(self, word: str, *only: str) -> Direction:
        """The matches of 'from_inside' and so on; `only` some interfaces of that side."""
        of_inside = word.endswith("inside")
        interface, address = (IIFNAME, IP_SADDR) if word.startswith("from") else (OIFNAME, IP_DADDR)
        mine = only or (self.inside if of_inside else self.outside)
        apart = [name for name in mine if name in self.sides.shared]
        if not apart or (of_inside and self.sides.networks == (EVERYWHERE,)):
            return (match(interface, *mine),)
        if len(apart) == len(mine):
            networks = match if of_inside else unlike
            return match(interface, *mine), networks(address, names.INSIDE_NETWORKS)
        some = (match(interface, *only),) if only else ()
        return *some, match(concat(interface, address), names.direction(word))

    @property
    def routed_outside(self) -> tuple[Direction, ...]:
        """Before routing: sources that the routes see outside; nothing where that cannot be from inside."""
        back = Field("fib saddr oifname")
        apart = [name for name in self.outside if name not in self.sides.shared]
        found: list[Direction] = [(match(back, *apart),)] if apart else []
        if self.sides.shared and set(self.inside) != set(self.sides.shared):
            elsewhere = unlike(IP_SADDR, names.INSIDE_NETWORKS)
            found.append((match(back, *self.sides.shared), elsewhere))
        return tuple(found)

    @property
    def not_towards_inside(self) -> Direction:
        """Before routing: where the route of a packet does not lead back to the inside."""
        towards = Field("fib daddr oifname")
        apart = [name for name in self.inside if name not in self.sides.shared]
        plain = (unlike(towards, *apart),) if apart else ()
        return (*plain, unlike(IP_DADDR, names.INSIDE_NETWORKS)) if self.sides.shared else plain


def lowering_context(site: Site, allocations: tuple[PoolAllocation, ...]) -> Context:
    """Work out the two sides; VLAN interfaces that the site names count as inside."""
    hairpin = any(one.pool.hairpin and one.pool.translates for one in allocations)
    held = frozenset(held_by_host(site))
    common = in_common(site.active_pools)
    every = union(one for allocation in allocations for one in allocation.pool.global_ranges)
    return Context(site, allocations, sides(site), hairpin, _shortest_entry(allocations), held, common, every)


def _shortest_entry(allocations: tuple[PoolAllocation, ...]) -> int:
    lifetimes = []
    for allocation in allocations:
        times = allocation.pool.timeouts
        if allocation.pool.keeps_mapping_entries:
            lifetimes += [times.udp, times.tcp_active]
        if allocation.pool.renews:
            lifetimes.append(times.translation)
    return min(lifetimes, default=0)
