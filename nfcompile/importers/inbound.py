"""Destination rules that lead every block of a pool to its subscriber -> the pool's `inbound: subscriber`.

Two of five layouts of real ISPs write them beside the source rules: tcp and udp to the ports of a block go to
its subscriber.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nfcompile.importers.form import ANYTHING, PORTED, TCP, UDP, ForeignRule, FoundPool, Translate
from nfcompile.ipalloc import Block, Layout, Stock
from nfcompile.model.ranges import Range, intersect, union

Rows = dict[tuple[Block, int], dict[int, int]]
"""Block and subscriber -> the place of the rule that leads there, by protocol."""


def find_inbound(
    pools: Sequence[FoundPool], rules: Sequence[ForeignRule]
) -> tuple[tuple[FoundPool, ...], tuple[ForeignRule, ...]]:
    """Pools with `inbound` where the rules have all of it, and the rules that are left."""
    dnat = [rule for rule in rules if rule.stage == "dnat"]
    rows = _rows(dnat)
    places = [_places(pool, rows) for pool in pools]
    candidates = {place for some in places for place in some}
    found, taken = [], set()
    for pool, mine in zip(pools, places, strict=True):
        if mine and not _meets_later(mine, candidates, dnat):
            taken.update(mine)
            origins = (*pool.origins, *(origin for place in sorted(mine) for origin in dnat[place].origins))
            pool = pool._replace(inbound=True, origins=tuple(dict.fromkeys(origins)))
        found.append(pool)
    left = [rule for place, rule in enumerate(dnat) if place not in taken]
    return tuple(found), (*left, *(rule for rule in rules if rule.stage != "dnat"))


def _rows(dnat: Sequence[ForeignRule]) -> Rows:
    rows: Rows = {}
    for place, rule in enumerate(dnat):
        match, action = rule.match, rule.action
        if not isinstance(action, Translate) or action.addresses is None or action.ports or action.mark:
            continue
        plain = ANYTHING._replace(
            incoming=match.incoming,
            destination=match.destination,
            protocol=match.protocol,
            destination_port=match.destination_port,
        )
        single = len(match.destination) == 1 and match.destination[0].size == 1 and action.addresses.size == 1
        ports = match.destination_port
        if (
            match != plain
            or not single
            or len(ports) != 1
            or intersect(match.protocol, PORTED) != match.protocol
        ):
            continue
        block = Block(match.destination[0].first, *ports[0])
        by_protocol = rows.setdefault((block, action.addresses.first), {})
        for protocol in (TCP, UDP):
            if intersect(match.protocol, (Range(protocol, protocol),)):
                by_protocol.setdefault(protocol, place)
    return rows


def _places(pool: FoundPool, rows: Rows) -> set[int]:
    """The places of the rules for all blocks of a pool, nothing where one is missing."""
    places: set[int] = set()
    for subscriber, block in bindings(pool):
        found = rows.get((block, subscriber), {})
        if set(found) != {TCP, UDP}:
            return set()
        places.update(found.values())
    return places


def bindings(pool: FoundPool) -> Iterator[tuple[int, Block]]:
    """Every subscriber of a pool with its block, as a site's pool computes it."""
    addresses = pool.addresses
    if pool.fill == "address":
        addresses = tuple(
            Range(one, one) for entry in addresses for one in range(entry.first, entry.last + 1)
        )
    layout = Layout(Stock(addresses, pool.ports, pool.block), pool.subscribers)
    for run in pool.subscribers:
        for subscriber in range(run.first, run.last + 1):
            block = layout.binding(subscriber)
            if block is not None:
                yield subscriber, block


def _meets_later(places: set[int], candidates: set[int], dnat: Sequence[ForeignRule]) -> bool:
    """Whether a rule behind one of these takes packets to their global addresses: in a site it would come
    first, and the blocks' own rules never do."""
    addresses = union(dnat[place].match.destination[0] for place in places)
    first = min(places)
    return any(
        intersect(rule.match.destination, addresses)
        for place, rule in enumerate(dnat)
        if place > first and place not in candidates
    )
