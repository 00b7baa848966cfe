"""Whether a subscriber has a global address and port: decides which sessions a new site keeps.

Deterministic pools compute it from their layout, static ones from their entries, dynamic ones from the
assignments in the kernel. Knows nothing of nft.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.model.protocols import IN_BLOCK, NAMES
from nfcompile.model.ranges import Cover, Range, union
from nfcompile.model.site import StaticEntry


def cover(ranges: Iterable[Range]) -> Cover[None]:
    """A union of ranges, for `has`."""
    found: Cover[None] = Cover()
    for one in union(ranges):
        found.add(one, None)
    return found


def has(found: Cover[None], value: int) -> bool:
    """Whether a union of ranges contains a value."""
    return found.covers(Range(value, value))


class Bindings:
    """The bindings of one pool; `held` are the assigned blocks of a dynamic pool, by subscriber."""

    __slots__ = ("_entries", "_firsts", "_globals", "_layout", "_sources", "allocation", "held")

    def __init__(self, allocation: PoolAllocation, held: Mapping[int, Sequence[Block]] | None = None) -> None:
        self.allocation = allocation
        self.held = held or {}
        self._sources = cover(allocation.subscribers)
        self._globals = cover(allocation.pool.global_ip)
        self._layout = allocation.layout() if allocation.pool.is_deterministic else None
        self._entries = sorted(allocation.pool.global_map, key=lambda entry: entry.globals)
        self._firsts = [entry.globals.first for entry in self._entries]

    def serves(self, source: int) -> bool:
        """Whether any packet of a source may be the pool's."""
        return bool(self.allocation.unbounded) or has(self._sources, source)

    def gives(self, protocol: int, source: int, global_ip: int, port: int) -> bool:
        """Whether `source` has that global address and port; `protocol` is a number of IANA."""
        word = NAMES[protocol] if protocol in IN_BLOCK else None
        return self._static(source, global_ip) or any(
            word is None or self._within(block, word, port) for block in self._blocks(source, global_ip)
        )

    def address(self, source: int, global_ip: int) -> bool:
        """Whether `source` has that global address, with whatever ports."""
        return self._static(source, global_ip) or bool(self._blocks(source, global_ip))

    def _static(self, source: int, global_ip: int) -> bool:
        index = bisect_right(self._firsts, global_ip) - 1
        if index < 0:
            return False
        entry: StaticEntry = self._entries[index]
        return (
            global_ip <= entry.globals.last and source == entry.local.first + global_ip - entry.globals.first
        )

    def _blocks(self, source: int, global_ip: int) -> list[Block]:
        if not has(self._globals, global_ip) or not self.serves(source):
            return []
        if self._layout is None:
            return [block for block in self.held.get(source, ()) if block.address == global_ip]
        block = self._layout.binding(source)
        return [block] if block is not None and block.address == global_ip else []

    def _within(self, block: Block, word: str, port: int) -> bool:
        """A port of a block, as far as the protocol may use it, or one of the low ports beside it."""
        if self.allocation.stock.ports is None:
            return True
        if self.allocation.pool.is_dynamic:
            return block.first <= port <= block.last
        low = self.allocation.low_block(block) if word != "icmp" else None
        if low is not None and low.first <= port <= low.last:
            return True
        return any(
            word in words.split("+") and part.first <= port <= part.last
            for words, part in self.allocation.protocol_blocks(block)
        )
