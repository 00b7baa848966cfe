"""No shared ports: two subscribers never leave with the same global address and port.

Asked of the outcomes of all boxes. A deterministic pool's addresses move with the source over a whole box,
so a box is a rectangle of addresses and ports with one owner for each address. Dynamic pools own theirs as a
whole: the kernel decides which subscriber has which block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.model.protocols import IN_BLOCK
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, union
from nfcompile.model.site import Pool, Site
from nfcompile.verify.box import Box
from nfcompile.verify.chosen_values import Blocks, Scrambled
from nfcompile.verify.field_values import FieldValues, Ranges
from nfcompile.verify.proof.agreement import Compared

ALL_PORTS = Range(0, PORT_LAST)


class Owner(NamedTuple):
    """Who has a global address: in `pool` the subscriber `behind` that address (address + behind =
    subscriber), in that VLAN where a static entry names it in one. `behind` is None where the kernel
    decides, or all share it."""

    pool: str
    vlan: str
    behind: int | None


class Rectangle(NamedTuple):
    """Global addresses and ports of them."""

    addresses: Range
    ports: Range
    owner: Owner


class Shared(NamedTuple):
    """One global address and port of a protocol that two have."""

    protocol: int
    address: int
    port: int
    owners: tuple[Owner, Owner]


class Sharing(NamedTuple):
    """How many rectangles there are, how many subscribers, and what is shared."""

    rectangles: int
    subscribers: int
    found: tuple[Shared, ...]


def rectangles(site: Site, pools: Mapping[str, Pool], one: Compared) -> Iterator[Rectangle]:
    """What the packets of a box leave with, where a pool has them."""
    pool = pools.get(one.fate.pool or "")
    return _rectangles(one, pool, site) if pool is not None else iter(())


def sharing(site: Site, by_protocol: Mapping[int, set[Rectangle]]) -> Sharing:
    """Compare what everybody leaves with, protocol by protocol."""
    dynamic = {one for pool in site.active_pools for one in _whole(pool)}
    found: list[Shared] = []
    for protocol, mine in by_protocol.items():
        ported = protocol in IN_BLOCK
        found += (Shared(protocol, *rest) for rest in meeting(mine | dynamic if ported else mine))
    every = {one for mine in by_protocol.values() for one in mine}
    return Sharing(len(every | dynamic), _subscribers(every), tuple(found))


def meeting(rectangles: Iterable[Rectangle]) -> Iterator[tuple[int, int, tuple[Owner, Owner]]]:
    """Where rectangles of different owners meet: address, port, and two of them, once a stretch of
    addresses."""
    changes: dict[int, tuple[list[Rectangle], list[Rectangle]]] = {}
    for one in rectangles:
        changes.setdefault(one.addresses.first, ([], []))[0].append(one)
        changes.setdefault(one.addresses.last + 1, ([], []))[1].append(one)
    here: set[Rectangle] = set()
    for address in sorted(changes):
        here |= set(changes[address][0])
        here -= set(changes[address][1])
        met = _ports_meet(sorted(here, key=lambda one: one.ports))
        if met is not None:
            yield address, *met


def _ports_meet(rectangles: list[Rectangle]) -> tuple[int, tuple[Owner, Owner]] | None:
    """A port that two owners have; the one that reaches furthest, and the furthest of another, can meet
    more."""
    furthest: dict[Owner, int] = {}
    for one in rectangles:
        for owner, last in furthest.items():
            if last >= one.ports.first and not (owner == one.owner and owner.behind is not None):
                return one.ports.first, (owner, one.owner)
        furthest = {owner: last for owner, last in furthest.items() if last > one.ports.first}
        furthest[one.owner] = max(one.ports.last, furthest.get(one.owner, 0))
    return None


def _rectangles(one: Compared, pool: Pool, site: Site) -> Iterator[Rectangle]:
    """What the packets of a box leave with. Protocols without ports share the addresses of a cgnat pool."""
    box = one.box
    shared = pool.shares_addresses and box.protocol not in IN_BLOCK
    if not pool.translates or shared or pool.is_dynamic:
        return
    left = one.outcome.packet
    if one.outcome.verdict == "drop":
        return
    ports_left = left.source_port.ranges if isinstance(left.source_port, Scrambled) else left.source_port
    every = Range(*ports_left) if pool.shares_addresses else ALL_PORTS
    for addresses, behind, ports in _moved(left.source, box.source, ports_left):
        vlan = "" if behind is None else _vlan(site, pool, box, addresses.first + behind)
        mine = ports if pool.shares_addresses and ports else every
        yield Rectangle(addresses, mine, Owner(pool.name, vlan, behind))


def _vlan(site: Site, pool: Pool, box: Box, subscriber: int) -> str:
    """The VLAN in which an entry of a static pool names a subscriber, if the packets come from there.

    Of other pools an address is one subscriber wherever it comes from: `vlan-shared` refuses two VLANs.
    """
    named = ((one.local, site.interfaces.vlan(one.vid)) for one in pool.global_map if one.vid is not None)
    return next(
        (vlan for one, vlan in named if vlan in box.interface and one.first <= subscriber <= one.last), ""
    )


def _moved(source: Range, came: Ranges, ports: Range) -> Iterator[tuple[Range, int | None, Range | None]]:
    """Addresses that packets leave with, by how much they were moved, and their ports where others have
    other ones."""
    if isinstance(source, FieldValues) and source.field == "source":
        rows = ports.rows if isinstance(ports, Blocks) else ((EVERYWHERE, None),)
        for (first, last, shift), mine in source.over(rows):
            yield Range(first + shift, last + shift), -shift, mine
    elif isinstance(ports, Blocks) and ports.field == "source":
        for where, mine in ports.rows:
            yield Range(*source), where.first - source.first if where.size == 1 else None, mine
    else:
        alone = len(came) == 1 and came[0].size == 1
        yield Range(*source), came[0].first - source.first if alone else None, None


def _whole(pool: Pool) -> Iterator[Rectangle]:
    if pool.is_dynamic:
        ports = pool.port_range if pool.shares_addresses else ALL_PORTS
        for one in pool.global_ip:
            yield Rectangle(one, ports, Owner(pool.name, "", None))


def _subscribers(rectangles: set[Rectangle]) -> int:
    """How many different ones there are in rectangles."""
    stretches: dict[str, list[Range]] = {}
    for one in rectangles:
        if one.owner.behind is not None:
            moved = Range(one.addresses.first + one.owner.behind, one.addresses.last + one.owner.behind)
            stretches.setdefault(one.owner.vlan, []).append(moved)
    return sum(one.size for ranges in stretches.values() for one in union(ranges))
