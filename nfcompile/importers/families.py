"""Many source translation rules that follow one arithmetic -> one cgnat pool.

Generators write a rule for each subscriber and protocol: a single subscriber, one global address, a block of
its ports. Equal blocks in equal steps over ascending subscribers are what a deterministic pool computes. A
family becomes a pool only when the pool's own arithmetic gives every row of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nfcompile.importers.family_rows import COVERED, FamilyRow, read_rows
from nfcompile.importers.form import (
    ANYTHING,
    ANYWHERE,
    Exclude,
    ForeignRule,
    FoundPool,
    InterfaceSet,
    PacketSet,
    Ranges,
)
from nfcompile.ipalloc import Layout, Stock
from nfcompile.model.ranges import Range, intersect, union

ROWS_LEAST = 4
"""Fewer subscribers than this are easier read as rules."""


OUTWARDS = "the site translates towards the outside, the original towards any interface"


class Family(NamedTuple):
    """Rows that one pool gives."""

    rows: tuple[FamilyRow, ...]
    addresses: Ranges
    ports: Range
    block: int
    fill: str


class Found(NamedTuple):
    """Pools, and the rules that are left, less what the pools before them take."""

    pools: tuple[FoundPool, ...]
    rules: tuple[ForeignRule, ...]


def find_pools(rules: Sequence[ForeignRule]) -> Found:
    """Replace families among the `snat` rules by pools."""
    snat = [rule for rule in rules if rule.stage == "snat"]
    families = _apart(list(_families(list(read_rows(snat)))))
    families = [one for one in families if not _interleaved(one, snat, families)]
    if not families:
        return Found((), tuple(rules))
    taken = {place for family in families for row in family.rows for place in row.places}
    boxed = [(family, _boxes(family.rows)) for family in families]
    left = [one for place, rule in enumerate(snat) if place not in taken for one in _less(rule, place, boxed)]
    pools = tuple(_pool(family, snat) for family in families)
    others = [rule for rule in rules if rule.stage != "snat"]
    return Found(pools, (*others, *left))


# ---- families


def _families(rows: list[FamilyRow]) -> Iterator[Family]:
    groups: dict[tuple[InterfaceSet, int], list[FamilyRow]] = {}
    for row in rows:
        groups.setdefault((row.outgoing, row.ports.size), []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: row.source)
        at = 0
        while at < len(group):
            family, used = max(_address_first(group, at), _spread(group, at), key=lambda found: found[1])
            at += used
            if sum(row.source.size for row in family.rows) >= ROWS_LEAST and _gives(family):
                yield family


def _address_first(rows: list[FamilyRow], at: int) -> tuple[Family, int]:
    """As many rows from `at` on as fill one address after the other; and how many that are."""
    first = rows[at].ports.first
    block = rows[at].ports.size
    addresses: list[Range] = []
    end, most = at, 0
    while end < len(rows) and rows[end].addresses not in addresses[-1:]:
        start = end
        address = rows[end].addresses
        while (
            end < len(rows)
            and rows[end].source.size == 1
            and rows[end].addresses == address
            and rows[end].ports.first == first + (end - start) * block
            and (not most or end - start < most)
        ):
            end += 1
        if end == start:
            break
        addresses.append(address)
        if most and end - start < most:
            break
        most = most or end - start
    ports = Range(first, first + max(most, 1) * block - 1)
    family = Family(tuple(rows[at:end]), tuple(addresses), ports, block, "address")
    return family, max(end - at, 1)


def _spread(rows: list[FamilyRow], at: int) -> tuple[Family, int]:
    """As many rows from `at` on as take one block of every address before the next block; and how many."""
    first, block = rows[at].ports.first, rows[at].ports.size
    end, blocks, most = at, 0, 0
    entries: list[Range] = []
    while end < len(rows):
        run = _run(rows, end)
        entry = Range(rows[end].addresses.first, rows[end + run - 1].addresses.last)
        partial = bool(entries) and entry.first == entries[-1].first and entry.last < entries[-1].last
        if not entries or not (partial or entry == entries[-1]):
            if entries and (blocks < most or intersect([entry], entries)):
                break
            most = most or blocks
            entries.append(entry)
            blocks = 0
        if rows[end].ports.first != first + blocks * block or (most and blocks >= most):
            break
        end, blocks = end + run, blocks + 1
        if partial:
            break
    if not blocks:
        entries.pop()
    ports = Range(first, first + max(most, blocks, 1) * block - 1)
    return Family(tuple(rows[at:end]), tuple(entries), ports, block, "spread"), max(end - at, 1)


def _run(rows: list[FamilyRow], at: int) -> int:
    """How many rows from `at` on are neighbours on both sides and have the same ports."""
    end = at + 1
    while (
        end < len(rows)
        and rows[end].ports == rows[at].ports
        and rows[end].source.first == rows[end - 1].source.last + 1
        and rows[end].addresses.first == rows[end - 1].addresses.last + 1
    ):
        end += 1
    return end - at


def _gives(family: Family) -> bool:
    """Whether a pool with these values gives every row: asked of the pool's own arithmetic."""
    addresses = family.addresses
    if family.fill == "address":
        addresses = tuple(
            Range(one, one) for entry in addresses for one in range(entry.first, entry.last + 1)
        )
    subscribers = union(row.source for row in family.rows)
    layout = Layout(Stock(addresses, family.ports, family.block), subscribers)
    for row in family.rows:
        for offset in range(row.source.size):
            found = layout.binding(row.source.first + offset)
            if found != (row.addresses.first + offset, row.ports.first, row.ports.last):
                return False
    return True


# ---- beside each other


def _boxes(rows: Iterable[FamilyRow]) -> list[PacketSet]:
    """What rows translate: a box for each set of protocols."""
    sources: dict[tuple[Ranges, InterfaceSet], list[Range]] = {}
    for row in rows:
        sources.setdefault((row.covered, row.outgoing), []).append(row.source)
    return [
        ANYTHING._replace(source=union(source), protocol=covered, outgoing=outgoing)
        for (covered, outgoing), source in sources.items()
    ]


def _meet(some: list[PacketSet], others: list[PacketSet]) -> bool:
    return any(one.both(other) for one in some for other in others)


def _apart(families: list[Family]) -> list[Family]:
    """Families that share no subscriber and no block with another one. A pool takes its subscribers whatever
    the interface, so those of two families must differ even where the interfaces do."""
    kept: list[tuple[Family, list[PacketSet]]] = []
    for family in families:
        boxes = [box.having(outgoing=ANYWHERE) for box in _boxes(family.rows)]
        if not any(_meet(boxes, theirs) or _shares(family, other) for other, theirs in kept):
            kept.append((family, boxes))
    return [family for family, _ in kept]


def _shares(one: Family, other: Family) -> bool:
    """Whether both give ports of the same address out of one range."""
    ports = intersect((one.ports,), (other.ports,))
    return bool(ports and intersect(one.addresses, other.addresses))


def _interleaved(family: Family, snat: Sequence[ForeignRule], families: list[Family]) -> bool:
    """Whether another rule that matches a subscriber stands between the rules of this one subscriber."""
    taken = {place for one in families for row in one.rows for place in row.places}
    others = [place for place in range(len(snat)) if place not in taken]
    if len(others) <= COMPARED_MOST:
        boxes = _boxes(family.rows)
        others = [place for place in others if _meet([snat[place].match], boxes)]
    spans = ((row.places[0], row.places[-1]) for row in family.rows)
    return any(bisect_right(others, first) < bisect_left(others, last) for first, last in spans)


COMPARED_MOST = 1000
"""So many other rules are compared with a family; more of them all count as matching its subscribers."""


def _less(rule: ForeignRule, place: int, families: list[tuple[Family, list[PacketSet]]]) -> list[ForeignRule]:
    """A rule without what families before it take: a site asks its `snat` before its pools."""
    boxes = [rule.match]
    for family, whole in families:
        if not _meet([rule.match], whole):
            continue
        for box in _boxes(row for row in family.rows if row.places[-1] < place):
            boxes = [part for one in boxes for part in one.less(box)]
    return [rule._replace(match=box) for box in boxes]


def _pool(family: Family, snat: Sequence[ForeignRule]) -> FoundPool:
    most = max((row.covered for row in family.rows), key=COVERED.index)
    less = [box for box in _boxes(family.rows) if box.protocol != most]
    places = sorted(place for row in family.rows for place in row.places)
    origins = tuple(dict.fromkeys(origin for place in places for origin in snat[place].origins))
    first = snat[places[0]]
    addresses = (
        union(family.addresses) if list(family.addresses) == sorted(family.addresses) else family.addresses
    )
    single = len(family.addresses) == 1 and family.addresses[0].size == 1
    return FoundPool(
        name=first.name,
        subscribers=union(row.source for row in family.rows),
        addresses=addresses if family.fill == "address" else family.addresses,
        ports=family.ports,
        block=family.block,
        fill="spread" if single else family.fill,
        protocols=most,
        outgoing=family.rows[0].outgoing,
        origins=origins,
        position=places[0],
        partial=tuple((box.protocol, box.source) for box in less),
        notes=(OUTWARDS,) if family.rows[0].outgoing.but else (),
    )


def not_elsewhere(pools: Iterable[FoundPool], outside: Sequence[str]) -> Iterator[ForeignRule]:
    """Exclusions for pools that are for some of the outside interfaces: a pool itself cannot say that."""
    for pool in pools:
        others = frozenset(name for name in outside if not pool.outgoing.has(name))
        if others:
            match = ANYTHING.having(
                source=union(pool.subscribers), protocol=pool.protocols, outgoing=InterfaceSet(others)
            )
            yield ForeignRule("snat", match, Exclude(), pool.origins[:1], f"{pool.name}-only")
