"""The whole allocation as rows, pool by pool: what `mappings` writes and `diff` compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block, Layout
from nfcompile.model.ranges import Range, address_text, cidrs, range_text
from nfcompile.model.site import StaticEntry

ALL = "all"


class MappingRow(NamedTuple):
    """One line of `mappings`; empty text where a pool has no ports."""

    pool: str
    subscriber: str
    global_ip: str
    port_first: int | str
    port_last: int | str
    protocols: str


class Holding(NamedTuple):
    """A block of a dynamic pool that a subscriber holds; `slot` counts the subscriber's blocks from 1."""

    subscriber: int
    slot: int
    block: Block


def mappings(
    allocations: tuple[PoolAllocation, ...],
    compact: bool = False,
    held: Mapping[str, Sequence[Holding]] | None = None,
) -> Iterator[MappingRow]:
    """The whole allocation: pool by pool in packet order, subscribers ascending.

    `held` has the assigned blocks of dynamic pools, by pool name. With `compact` one row stands for
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


def _rows(allocation: PoolAllocation, layout: Layout) -> Iterator[MappingRow]:
    pool = allocation.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(allocation, layout.stock.block(piece.base, piece.block))
        mask = (1 << piece.bits) - 1
        for subscriber in range(piece.first, piece.last + 1):
            local = address_text(subscriber)
            global_ip = address_text(piece.base | (subscriber & mask))
            if allocation.stock.ports is None:
                yield MappingRow(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield MappingRow(pool, local, global_ip, first, last, words)


def _held_rows(allocation: PoolAllocation, held: Sequence[Holding]) -> Iterator[MappingRow]:
    for subscriber, slot, block in sorted(held):
        ends = allocation.pool.name, address_text(subscriber), address_text(block.address)
        if allocation.stock.ports is None:
            yield MappingRow(*ends, "", "", ALL)
            continue
        words = [word for word, most in allocation.protocol_blocks_each if most >= slot]
        yield MappingRow(*ends, block.first, block.last, "+".join(words))


def protocol_ports(allocation: PoolAllocation, block: Block) -> list[tuple[int, int, str]]:
    """The ports of a block by protocols, low ports last."""
    found = [(b.first, b.last, words) for words, b in allocation.protocol_blocks(block)]
    low = allocation.low_block(block)
    return found if low is None else [*found, (low.first, low.last, "tcp+udp")]


def _compact_rows(allocation: PoolAllocation, layout: Layout) -> Iterator[MappingRow]:
    pool = allocation.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(allocation, layout.stock.block(piece.base, piece.block))
        for base, bits in cidrs(Range(piece.first, piece.last)):
            local = range_text(Range(base, base + (1 << bits) - 1))
            start = piece.address(base)
            global_ip = range_text(Range(start, start + (1 << bits) - 1))
            if allocation.stock.ports is None:
                yield MappingRow(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield MappingRow(pool, local, global_ip, first, last, words)


def _static_rows(allocation: PoolAllocation, compact: bool) -> Iterator[MappingRow]:
    pool = allocation.pool.name
    for entry in sorted(allocation.pool.global_map, key=lambda e: (e.local, e.vid or 0)):
        if compact:
            vid = "" if entry.vid is None else f"~{entry.vid}"
            yield MappingRow(pool, range_text(entry.local) + vid, range_text(entry.globals), "", "", ALL)
            continue
        for local in range(entry.local.first, entry.local.last + 1):
            global_ip = address_text(entry.globals.first + local - entry.local.first)
            yield MappingRow(pool, local_text(entry, local), global_ip, "", "", ALL)


def local_text(entry: StaticEntry, local: int) -> str:
    return address_text(local) + ("" if entry.vid is None else f"~{entry.vid}")
