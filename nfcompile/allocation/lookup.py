"""Who has which address and ports, both ways, from the same values that the ruleset is made of.

Answers are plain rows; the verbs print them. Nobody reads the ruleset again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block, Layout
from nfcompile.model.ranges import Range, address_text, range_text, union
from nfcompile.model.site import StaticEntry

ALL = "all"


class Answer(NamedTuple):
    """One binding as `lookup` and `explain` say it; None where there is no such thing."""

    pool: str | None
    subscriber: str | None
    global_ip: str | None
    port_first: int | None
    port_last: int | None
    action: str


class Row(NamedTuple):
    """One line of `mappings`; empty text where a pool has no ports."""

    pool: str
    subscriber: str
    global_ip: str
    port_first: int | str
    port_last: int | str
    protocols: str


class Holding(NamedTuple):
    """A block of a dynamic pool that somebody holds, and which of his blocks it is: 1 is the first."""

    subscriber: int
    slot: int
    block: Block


NOBODY = Answer(None, None, None, None, None, "none")


def lookups(
    allocations: tuple[PoolAllocation, ...], address: int, port: int | None = None, proto: str | None = None
) -> list[Answer]:
    """Every binding of an address: with a port as a global one first, else as a subscriber first.

    `proto` (tcp, udp, icmp) narrows the ports where protocols have different limits.
    """
    return Index(allocations).lookups(address, port, proto)


class Index:
    """The pools of a site, ready for many questions: each costs O(log pieces) for each pool."""

    __slots__ = ("_layouts", "_statics", "_subscribers", "allocations")

    def __init__(self, allocations: tuple[PoolAllocation, ...]) -> None:
        self.allocations = allocations
        self._layouts: dict[int, Layout] = {}
        self._statics: dict[int, _Entries] = {}
        self._subscribers: dict[int, tuple[Range, ...]] = {}

    def lookups(self, address: int, port: int | None, proto: str | None) -> list[Answer]:
        """As the function of that name."""
        if port is not None:
            return list(self._of_global(address, port, proto)) or list(self._of_subscriber(address, proto))
        return list(self._of_subscriber(address, proto)) or list(self._of_global(address, port, proto))

    def _of_subscriber(self, address: int, proto: str | None) -> Iterator[Answer]:
        for number, allocation in enumerate(self.allocations):
            pool = allocation.pool
            if pool.is_static:
                for entry in self._entries(number).of_local(address):
                    yield _static_answer(allocation, entry, address)
            elif pool.is_deterministic:
                block = self._layout(number).binding(address)
                if block is not None:
                    yield _answer(allocation, address, block, proto)
            elif self._serves(number, address):
                action = "translate" if pool.translates else "pass"
                yield Answer(pool.name, address_text(address), None, None, None, action)

    def _of_global(self, address: int, port: int | None, proto: str | None) -> Iterator[Answer]:
        for number, allocation in enumerate(self.allocations):
            pool = allocation.pool
            for entry in self._entries(number).of_global(address) if pool.global_map else ():
                local = entry.local.first + address - entry.globals.first
                yield _static_answer(allocation, entry, local)
            if not pool.is_deterministic:
                continue
            layout = self._layout(number)
            if allocation.stock.ports is None or port is not None:
                owner = allocation.owner(layout, address, port or 0)
                owners = [] if owner is None else [owner]
            elif any(one.first <= address <= one.last for one in pool.global_ip):
                owners = list(layout.owners(address))
            else:
                continue
            for owner in owners:
                block = layout.binding(owner)
                if block is None:
                    continue
                low, word = allocation.low_block(block), proto
                if low is not None and port is not None and low.first <= port <= low.last:
                    block, word = low, None
                answer = _answer(allocation, owner, block, word)
                if port is None or answer.port_last is None or port <= answer.port_last:
                    yield answer

    def _layout(self, number: int) -> Layout:
        if number not in self._layouts:
            self._layouts[number] = self.allocations[number].layout()
        return self._layouts[number]

    def _entries(self, number: int) -> _Entries:
        if number not in self._statics:
            self._statics[number] = _Entries(self.allocations[number].pool.global_map)
        return self._statics[number]

    def _serves(self, number: int, address: int) -> bool:
        if number not in self._subscribers:
            self._subscribers[number] = union(self.allocations[number].subscribers)
        runs = self._subscribers[number]
        at = bisect_right(runs, address, key=lambda run: run.first) - 1
        return at >= 0 and address <= runs[at].last


class _Entries:
    """The entries of a `global_map` by either side. A local address may be in several, on several VLANs."""

    __slots__ = ("_globals", "_locals", "_reach", "entries")

    def __init__(self, entries: Sequence[StaticEntry]) -> None:
        self.entries = entries
        order = range(len(entries))
        self._globals = sorted((entries[n].globals.first, n) for n in order)
        self._locals = sorted((entries[n].local.first, n) for n in order)
        self._reach = list(accumulate((entries[n].local.last for _, n in self._locals), max))

    def of_global(self, address: int) -> list[StaticEntry]:
        at = bisect_right(self._globals, (address, len(self.entries))) - 1
        if at < 0 or address > self.entries[self._globals[at][1]].globals.last:
            return []
        return [self.entries[self._globals[at][1]]]

    def of_local(self, address: int) -> list[StaticEntry]:
        """In the order of the file."""
        found = []
        at = bisect_right(self._locals, (address, len(self.entries))) - 1
        while at >= 0 and self._reach[at] >= address:
            number = self._locals[at][1]
            if address <= self.entries[number].local.last:
                found.append(number)
            at -= 1
        return [self.entries[number] for number in sorted(found)]


def _answer(allocation: PoolAllocation, subscriber: int, block: Block, proto: str | None) -> Answer:
    last = block.last
    for words, size in allocation.protocol_ports:
        if proto in words:
            last = block.first + size - 1
    ported = allocation.stock.ports is not None
    return Answer(
        allocation.pool.name,
        address_text(subscriber),
        address_text(block.address),
        block.first if ported else None,
        last if ported else None,
        "translate",
    )


def _static_answer(allocation: PoolAllocation, entry: StaticEntry, local: int) -> Answer:
    global_ip = address_text(entry.globals.first + local - entry.local.first)
    return Answer(allocation.pool.name, _local_text(entry, local), global_ip, None, None, "translate")


def _local_text(entry: StaticEntry, local: int) -> str:
    return address_text(local) + ("" if entry.vid is None else f"~{entry.vid}")


def mappings(
    allocations: tuple[PoolAllocation, ...],
    compact: bool = False,
    held: Mapping[str, Sequence[Holding]] | None = None,
) -> Iterator[Row]:
    """The whole allocation: pool by pool in packet order, subscribers ascending.

    Dynamic pools have what is `held` of them, by the names of the pools. With `compact` one row stands for
    a whole CIDR prefix of subscribers that keep their host bits in a global prefix.
    """
    for allocation in allocations:
        if allocation.pool.is_static:
            yield from _static_rows(allocation, compact)
        elif allocation.pool.is_deterministic:
            layout = allocation.layout()
            yield from _compact_rows(allocation, layout) if compact else _rows(allocation, layout)
        elif held is not None:
            yield from _held_rows(allocation, held.get(allocation.pool.name, ()))


def _rows(allocation: PoolAllocation, layout: Layout) -> Iterator[Row]:
    pool = allocation.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(allocation, layout.stock.block(piece.base, piece.block))
        mask = (1 << piece.bits) - 1
        for subscriber in range(piece.first, piece.last + 1):
            local = address_text(subscriber)
            global_ip = address_text(piece.base | (subscriber & mask))
            if allocation.stock.ports is None:
                yield Row(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield Row(pool, local, global_ip, first, last, words)


def _held_rows(allocation: PoolAllocation, held: Sequence[Holding]) -> Iterator[Row]:
    for subscriber, slot, block in sorted(held):
        ends = allocation.pool.name, address_text(subscriber), address_text(block.address)
        if allocation.stock.ports is None:
            yield Row(*ends, "", "", ALL)
            continue
        words = [word for word, most in allocation.protocol_blocks_each if most >= slot]
        yield Row(*ends, block.first, block.last, "+".join(words))


def protocol_ports(allocation: PoolAllocation, block: Block) -> list[tuple[int, int, str]]:
    """The ports of a block by protocols, low ports last."""
    found = [(b.first, b.last, words) for words, b in allocation.protocol_blocks(block)]
    low = allocation.low_block(block)
    return found if low is None else [*found, (low.first, low.last, "tcp+udp")]


def _compact_rows(allocation: PoolAllocation, layout: Layout) -> Iterator[Row]:
    from nfcompile.model.ranges import cidrs

    pool = allocation.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(allocation, layout.stock.block(piece.base, piece.block))
        for base, bits in cidrs(Range(piece.first, piece.last)):
            local = range_text(Range(base, base + (1 << bits) - 1))
            start = piece.address(base)
            global_ip = range_text(Range(start, start + (1 << bits) - 1))
            if allocation.stock.ports is None:
                yield Row(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield Row(pool, local, global_ip, first, last, words)


def _static_rows(allocation: PoolAllocation, compact: bool) -> Iterator[Row]:
    pool = allocation.pool.name
    for entry in sorted(allocation.pool.global_map, key=lambda e: (e.local, e.vid or 0)):
        if compact:
            vid = "" if entry.vid is None else f"~{entry.vid}"
            yield Row(pool, range_text(entry.local) + vid, range_text(entry.globals), "", "", ALL)
            continue
        for local in range(entry.local.first, entry.local.last + 1):
            global_ip = address_text(entry.globals.first + local - entry.local.first)
            yield Row(pool, _local_text(entry, local), global_ip, "", "", ALL)
