"""`randomize_ports`: which port of a block a new socket gets, where the site says so.

nft 1.0.6 forgets `prefix` when `random` follows it, so NETMAP is no use here: each block has a chain that
computes the address from the low bits of the source. In order, a counter for each block and protocol says
the next port; a port that is still owned is refused by its mapping entry, and a retransmission has the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Element, Map, Rule
from nfcompile.emit.objects import Object
from nfcompile.emit.words import one_of
from nfcompile.ipalloc import Layout, Piece
from nfcompile.lower.packet_marks import NUMBERS
from nfcompile.model.ranges import Range, address_text, range_text


def chosen_ports(allocation: PoolAllocation, layout: Layout) -> tuple[list[Object], list[Rule]]:
    """A verdict map from subscribers to the chain of their block, and those chains."""
    pool, comment = allocation.pool, dotted(allocation.pool.path)
    path = (*pool.path, "randomize_ports")
    in_order = not pool.randomize_ports
    chains: dict[str, Chain] = {}
    elements: list[Element] = []
    for piece in layout.pieces:
        name = f"block_{pool.name}_{address_text(piece.base)}-{32 - piece.bits}_{piece.block}"
        if name not in chains:
            rules = _in_order(allocation, layout, piece) if in_order else _random(allocation, layout, piece)
            made = tuple(Rule(phrases, path, dotted(path)) for phrases in rules)
            chains[name] = Chain(name, made, path, None, dotted(path))
        elements.append(Element(range_text(Range(piece.first, piece.last)), f"goto {name}"))
    objects: list[Object] = [*chains.values()]
    objects.append(Map(f"pieces_{pool.name}", "ipv4_addr", "verdict", path, tuple(elements), ("interval",)))
    if in_order:
        objects.append(_port_numbers(allocation))
    match = f"meta l4proto {one_of(('tcp', 'udp', 'icmp'))}"
    return objects, [Rule((match, f"ip saddr vmap @pieces_{pool.name}"), pool.path, comment)]


def _address(piece: Piece) -> str:
    """The global address as nft computes it: the low bits of the source in the prefix."""
    base = address_text(piece.base)
    return f"ip saddr & {address_text((1 << piece.bits) - 1)} | {base}" if piece.bits else base


def _random(allocation: PoolAllocation, layout: Layout, piece: Piece) -> Iterator[tuple[str, ...]]:
    first = layout.stock.block(piece.base, piece.block).first
    separator = " : " if piece.bits else ":"
    for protocols, size in allocation.protocol_ports:
        target = f"{_address(piece)}{separator}{first}-{first + size - 1}"
        yield f"meta l4proto {one_of(protocols)}", f"snat to {target} random"


def _in_order(allocation: PoolAllocation, layout: Layout, piece: Piece) -> Iterator[tuple[str, ...]]:
    first = layout.stock.block(piece.base, piece.block).first
    for protocols, size in allocation.protocol_ports:
        for protocol in protocols:
            number = f"meta mark set numgen inc mod {size} offset 0x{NUMBERS + first:x}"
            target = f"{_address(piece)} : meta mark map @ports_{allocation.pool.name}"
            yield f"meta l4proto {protocol}", number, f"snat to {target}"


def _port_numbers(allocation: PoolAllocation) -> Map:
    """Packet marks -> ports: nft computes no port from a number."""
    ports = allocation.pool.port_range
    last = ports.first + allocation.stock.blocks_per_address * allocation.stock.block_size
    elements = tuple(Element(f"0x{NUMBERS + port:x}", str(port)) for port in range(ports.first, last))
    path = (*allocation.pool.path, "randomize_ports")
    return Map(f"ports_{allocation.pool.name}", "mark", "inet_service", path, elements)
