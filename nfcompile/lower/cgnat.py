"""Deterministic cgnat: one NETMAP map of subscribers -> global prefix and port block.

`snat ip prefix` keeps the host bits of the source inside the global prefix, and the port range comes from
the same map element: a million subscribers on 16,384 addresses are 64 elements and one rule for tcp, udp
and icmp. Protocols without ports keep the address only.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Element, Map, Rule, Set, words
from nfcompile.emit.objects import Object
from nfcompile.ipalloc import Layout, Piece, Stock
from nfcompile.lower.gate import Gate
from nfcompile.lower.part import Part
from nfcompile.lower.port_selection import chosen_ports
from nfcompile.model.ranges import ADDRESS_LAST, Range, address_text, range_text

BLOCK_DATA = "interval ipv4_addr . inet_service"
ADDRESS_DATA = "interval ipv4_addr"
LOW_PATH = ("nat_defaults", "portlimit_low")


def deterministic_cgnat(gate: Gate, allocation: PoolAllocation) -> Part:
    """The maps and rules of one pool; where protocols have different limits, a map for each limit."""
    pool, comment = allocation.pool, dotted(allocation.pool.path)
    layout = allocation.layout()
    objects: list[Object] = []
    rules: list[Rule] = []
    if allocation.low is not None:
        objects += low_ports(gate, allocation, layout)
        match = "meta l4proto { tcp, udp } th sport < 1024"
        rules.append(Rule((match, f"jump low_{pool.name}"), LOW_PATH, dotted(LOW_PATH)))
    if pool.randomize_ports is None:
        more, lines = _block_maps(allocation, layout)
    else:
        more, lines = chosen_ports(allocation, layout)
    objects += more
    rules += lines
    name = f"addresses_{pool.name}"
    objects.append(address_map(name, allocation, layout))
    rules.append(Rule((f"snat ip prefix to ip saddr map @{name}",), pool.path, comment))
    return Part(tuple(objects), tuple(rules))


def _block_maps(allocation: PoolAllocation, layout: Layout) -> tuple[list[Object], list[Rule]]:
    pool, comment = allocation.pool, dotted(allocation.pool.path)
    bits = _common_bits(layout.pieces)
    key = "ip saddr" if bits is None else f"ip saddr & {address_text(ADDRESS_LAST >> bits << bits)}"
    maps: list[Object] = []
    rules: list[Rule] = []
    for protocols, size in allocation.protocol_ports:
        word = "blocks" if len(allocation.protocol_ports) == 1 else f"blocksof-{'-'.join(protocols)}"
        name = f"{word}_{pool.name}"
        elements = tuple(_block_elements(layout, layout.stock, size))
        if bits is not None:
            elements = tuple(one._replace(key=one.key.partition("/")[0]) for one in elements)
        flags = ("interval",) if bits is None else ()
        maps.append(Map(name, "ipv4_addr", BLOCK_DATA, pool.path, elements, flags))
        match = f"meta l4proto {words.one_of(protocols)}"
        rules.append(Rule((match, f"snat ip prefix to {key} map @{name}"), pool.path, comment))
    return maps, rules


def _common_bits(pieces: tuple[Piece, ...]) -> int | None:
    """Where all pieces are CIDR prefixes of one length, their host bits: a hash of the masked source is
    quicker than a tree of intervals (3 % of a new connection)."""
    sizes = {(piece.last - piece.first + 1, piece.bits) for piece in pieces}
    if len(sizes) != 1:
        return None
    ((size, bits),) = sizes
    aligned = size == 1 << bits and all(piece.first & (size - 1) == 0 for piece in pieces)
    return bits if aligned and bits else None


def address_map(name: str, allocation: PoolAllocation, layout: Layout) -> Map:
    """Subscribers -> global prefix without ports; pieces that differ only in the block are joined."""
    elements = tuple(
        Element(range_text(run), words.prefix_datum(base, bits)) for run, base, bits in _joined(layout.pieces)
    )
    return Map(name, "ipv4_addr", ADDRESS_DATA, allocation.pool.path, elements, ("interval",))


def low_ports(gate: Gate, allocation: PoolAllocation, layout: Layout) -> Iterator[Object]:
    """Source ports below 1024 keep to a small block below 1024 (`portlimit_low`).

    Subscribers whose address has no low ports left use their ordinary block. With `low_to_all_udp` so
    does udp beyond the limit; tcp beyond it is dropped by the kernel.
    """
    pool, low = allocation.pool, allocation.low
    if low is None:
        return
    elements = tuple(_block_elements(layout, low, low.block_size))
    yield Map(f"lowblocks_{pool.name}", "ipv4_addr", BLOCK_DATA, LOW_PATH, elements, ("interval",))
    rules = []
    if gate.site.defaults.low_to_all_udp:
        path = ("nat_defaults", "low_to_all_udp")
        name = f"lowudp_{pool.name}"
        yield Set(name, "ipv4_addr", path, (), ("dynamic",), 0, 65536)
        over = f"add @{name} {{ ip saddr ct count over {low.block_size} }}"
        rules.append(Rule(("meta l4proto udp", over, "return"), path, dotted(path)))
    statement = f"snat ip prefix to ip saddr map @lowblocks_{pool.name}"
    rules.append(Rule(("meta l4proto { tcp, udp }", statement), LOW_PATH, dotted(LOW_PATH)))
    yield Chain(f"low_{pool.name}", tuple(rules), LOW_PATH, None, dotted(LOW_PATH))


def _block_elements(layout: Layout, stock: Stock, size: int) -> Iterator[Element]:
    for piece in layout.pieces:
        if piece.block >= stock.blocks_per_address:
            continue
        first = stock.block(piece.base, piece.block).first
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
