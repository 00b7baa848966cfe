"""What an IPv6 packet meets at npt pools, in plain Python: the contract of docs/site.md, step by step.

Like `reference`, of one packet or of a box of packets; it shares the values of a site with the compiler.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.model.npt import NptPool
from nfcompile.model.ranges import Range
from nfcompile.model.site import Site
from nfcompile.verify import reference_site
from nfcompile.verify.boxes import LOCAL, Names, Packet, RangeTable, one_of
from nfcompile.verify.reference import Fate, Route, dropped


class PrefixGateway(NamedTuple):
    """The pools by priority, and their prefixes with the way to the other side, tagged with the pool. On an
    interface that is `shared` by both sides the local prefixes are inside."""

    pools: tuple[NptPool, ...]
    inside: frozenset[str]
    outside: frozenset[str]
    shared: frozenset[str]
    outward: RangeTable
    inward: RangeTable


def prefix_gateway(site: Site) -> PrefixGateway:
    """Read a site once for many packets."""
    pools = tuple(sorted((pool for pool in site.npt if pool.enable), key=lambda pool: pool.priority))
    rows = [(pair, at) for at, pool in enumerate(pools) for pair in pool.pairs]
    outward = ((pair.local.range, pair.globals.base - pair.local.base, at) for pair, at in rows)
    inward = ((pair.globals.range, pair.local.base - pair.globals.base, at) for pair, at in rows)
    sides = reference_site.sides(site)
    return PrefixGateway(pools, *sides, sides[0] & sides[1], RangeTable(outward), RangeTable(inward))


def fate(gate: PrefixGateway, probe: Packet, route: Route) -> Fate:
    """Decide. `reason` of a translated packet names no pool; `pool` is the one whose prefix it has got."""
    if one_of((LOCAL,), route(probe.destination)):
        return _forwarded(probe, None)
    from_inside = _is_inside(gate, probe.interface, probe.source)
    from_outside = not from_inside and one_of(gate.outside, probe.interface)
    mine = gate.outward.look_up(probe.source) if from_inside else None
    owner = gate.pools[mine[1]] if mine is not None else None
    led = _led(gate, probe, from_inside, from_outside, owner)
    if led is not None:
        probe = probe._replace(destination=led[0])
    if led is not None and mine is not None and owner is not None and led[1].stateless:
        # Before its route is known: both ends at once.
        if not owner.hairpin or not owner.stateless:
            return dropped("hairpin is off")
        probe, mine = probe._replace(source=mine[0]), None
    out = route(probe.destination)
    pool = led[1].name if led is not None else None
    if one_of((LOCAL,), out):
        return _forwarded(probe, pool)
    to_inside = _is_inside(gate, out, probe.destination)
    if not to_inside and one_of(gate.outside, out):
        if (from_inside or from_outside) and (
            gate.inward.holds(probe.destination) or gate.outward.holds(probe.destination)
        ):
            return dropped("back out")
        if mine is None or owner is None:
            return _forwarded(probe, pool)
        return _forwarded(probe._replace(source=mine[0]), owner.name)
    if led is None or mine is None or owner is None or not to_inside:
        return _forwarded(probe, pool)
    if not owner.hairpin or owner.stateless:
        return dropped("hairpin is off")
    return _forwarded(probe._replace(source=mine[0]), owner.name)


def _is_inside(gate: PrefixGateway, interface: str | Names, address: Range) -> bool:
    """An address that is met on an interface."""
    if one_of(gate.inside - gate.shared, interface):
        return True
    return one_of(gate.shared, interface) and gate.outward.holds(address)


def _led(
    gate: PrefixGateway, probe: Packet, from_inside: bool, from_outside: bool, owner: NptPool | None
) -> tuple[Range, NptPool] | None:
    """The local address behind a global one, and its pool, if this side may open connections to it."""
    found = gate.inward.look_up(probe.destination) if from_inside or from_outside else None
    if found is None:
        return None
    pool = gate.pools[found[1]]
    if from_outside:
        return found[0], pool
    # Without connection tracking only a source with a global prefix is led; with it, no untracked packet is.
    tracked = owner is None or not owner.stateless
    if not pool.hairpin or (pool.stateless and owner is None) or (not pool.stateless and not tracked):
        return None
    return found[0], pool


def _forwarded(probe: Packet, pool: str | None) -> Fate:
    ends = probe.source, probe.source_port, probe.destination, probe.destination_port
    return Fate("forward", *ends, "untranslated" if pool is None else f"pool {pool}", pool)
