"""Deterministic nat pools: an address for every subscriber, ports untouched, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import dotted
from nfcompile.emit import Element, Map, Rule, words
from nfcompile.ipalloc import Piece
from nfcompile.lower.cgnat import ADDRESS_DATA, address_map
from nfcompile.lower.gate import Gate
from nfcompile.lower.part import Part
from nfcompile.model.ranges import Range, range_text
from nfcompile.model.site import Pool


def deterministic_nat(gate: Gate, allocation: PoolAllocation) -> Part:
    """The outward map, and its mirror where the outside or other subscribers may open sessions."""
    pool, comment = allocation.pool, dotted(allocation.pool.path)
    layout = allocation.layout()
    outward = f"addresses_{pool.name}"
    maps = [address_map(outward, allocation, layout)]
    rule = Rule((f"snat ip prefix to ip saddr map @{outward}",), pool.path, comment)
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        name = f"inbound_{pool.name}"
        elements = tuple(
            Element(range_text(key), words.prefix_datum(base, bits))
            for key, base, bits in sorted(_mirror(layout.pieces))
        )
        maps.append(Map(name, "ipv4_addr", ADDRESS_DATA, pool.path, elements, ("interval",)))
        inbound = (inbound_rule(gate, pool, f"dnat ip prefix to ip daddr map @{name}"),)
    return Part(tuple(maps), (rule,), inbound)


def inbound_rule(gate: Gate, pool: Pool, statement: str) -> Rule:
    """A destination NAT rule for those sides that may open sessions to the pool's addresses."""
    side = gate.arriving(outside=pool.allow_external_connect, inside=pool.hairpin)
    return Rule((side, statement), pool.path, dotted(pool.path))


def _mirror(pieces: tuple[Piece, ...]) -> Iterator[tuple[Range, int, int]]:
    """Global ranges -> the local prefix with the same low bits: two for a piece that is not aligned."""
    for piece in pieces:
        size = 1 << piece.bits
        first = piece.first
        while first <= piece.last:
            prefix = first & ~(size - 1)
            last = min(piece.last, prefix + size - 1)
            yield Range(piece.address(first), piece.address(last)), prefix, piece.bits
            first = last + 1
