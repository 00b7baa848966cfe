"""Deterministic cgnat: one NETMAP map of subscribers -> global prefix and port block.

`snat ip prefix` keeps the host bits of the source inside the global prefix, and the port range comes from
the same map element: a million subscribers on 16,384 addresses are 64 elements and one rule for tcp, udp
and icmp. Protocols without ports keep the address only.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.claims import Claim
from nfcompile.diagnostics import dotted
from nfcompile.emit import Element, Map, Rule, words
from nfcompile.ipalloc import Layout, Piece
from nfcompile.lower.part import Part
from nfcompile.model.ranges import Range, range_text

BLOCK_DATA = "interval ipv4_addr . inet_service"
ADDRESS_DATA = "interval ipv4_addr"


def deterministic_cgnat(claim: Claim) -> Part:
    """The maps and rules of one pool; where protocols have different limits, a map for each limit."""
    pool, comment = claim.pool, dotted(claim.pool.path)
    layout = claim.layout()
    maps: list[Map] = []
    rules: list[Rule] = []
    for protocols, size in claim.protocol_ports:
        suffix = "" if len(claim.protocol_ports) == 1 else "_" + "_".join(protocols)
        name = f"blocks_{pool.name}{suffix}"
        elements = tuple(_block_elements(layout, size))
        maps.append(Map(name, "ipv4_addr", BLOCK_DATA, pool.path, elements, ("interval",)))
        match = f"meta l4proto {words.one_of(protocols)}"
        rules.append(Rule((match, f"snat ip prefix to ip saddr map @{name}"), pool.path, comment))
    name = f"addresses_{pool.name}"
    maps.append(address_map(name, claim, layout))
    rules.append(Rule((f"snat ip prefix to ip saddr map @{name}",), pool.path, comment))
    return Part(tuple(maps), tuple(rules))


def address_map(name: str, claim: Claim, layout: Layout) -> Map:
    """Subscribers -> global prefix without ports; pieces that differ only in the block are joined."""
    elements = tuple(
        Element(range_text(run), words.prefix_datum(base, bits)) for run, base, bits in _joined(layout.pieces)
    )
    return Map(name, "ipv4_addr", ADDRESS_DATA, claim.pool.path, elements, ("interval",))


def _block_elements(layout: Layout, size: int) -> Iterator[Element]:
    for piece in layout.pieces:
        first = layout.stock.block(piece.base, piece.block).first
        datum = f"{words.prefix_datum(piece.base, piece.bits)} . {first}-{first + size - 1}"
        yield Element(range_text(Range(piece.first, piece.last)), datum)


def _joined(pieces: tuple[Piece, ...]) -> Iterator[tuple[Range, int, int]]:
    """Runs of neighbouring subscribers that share a global prefix."""
    run: Range | None = None
    base = bits = 0
    for piece in pieces:
        if run and piece.first == run.last + 1 and (piece.base, piece.bits) == (base, bits):
            run = Range(run.first, piece.last)
            continue
        if run:
            yield run, base, bits
        run, base, bits = Range(piece.first, piece.last), piece.base, piece.bits
    if run:
        yield run, base, bits
