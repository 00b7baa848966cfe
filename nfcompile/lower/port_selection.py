"""`randomize_ports`: which port of a block a new socket gets, where the site says so.

Random ports of tcp and udp are computed (`computed_ports`); here are the ids of ICMP, and all where there are
too many blocks for that. nft 1.0.6 forgets `prefix` when `random` follows it, so NETMAP is no use here: each
block has a chain that computes the address from the low bits of the source. In order, a counter for each
block and protocol says the next port; a port that is still owned is refused by its mapping entry, and a
retransmission has the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Element, Map, Name, Object, Rule
from nfcompile.emit.expressions import Bitwise, Constant, Expression, Numgen, number
from nfcompile.emit.statements import (
    IP_SADDR,
    L4PROTO,
    META_MARK,
    Nat,
    VerdictMap,
    goto,
    key,
    lookup,
    match,
    set_mark,
)
from nfcompile.ipalloc import Layout, Piece
from nfcompile.lower import names
from nfcompile.lower.packet_marks import NUMBERS
from nfcompile.lower.part import Statements
from nfcompile.model.ranges import Range

Groups = tuple[tuple[tuple[str, ...], int], ...]
"""Protocols, and how many ports of a block they may use."""


def ids_alone(allocation: PoolAllocation) -> Groups:
    """What the kernel chooses of a block where ports are computed: the ids of ICMP."""
    return ((("icmp",), allocation.stock.block_size),)


def chosen_ports(
    allocation: PoolAllocation, layout: Layout, groups: Groups
) -> tuple[list[Object], list[Rule]]:
    """A verdict map from subscribers to the chain of their block, and those chains, for these protocols."""
    pool = allocation.pool
    path = (*pool.path, "randomize_ports")
    in_order = not pool.ports_at_random
    chains: dict[Name, Chain] = {}
    elements: list[Element] = []
    for piece in layout.pieces:
        name = names.block_chain(pool.name, piece.base, piece.bits, piece.block)
        if name not in chains:
            choose = _in_order if in_order else _random
            rules = choose(allocation, layout, piece, groups)
            chains[name] = Chain(name, tuple(Rule(statements, path) for statements in rules), path)
        elements.append(Element((Range(piece.first, piece.last),), goto(name)))
    objects: list[Object] = [*chains.values()]
    table = names.block_chains(pool.name)
    objects.append(Map(table, ("ipv4_addr",), ("verdict",), path, tuple(elements), ("interval",)))
    if in_order:
        objects.append(port_numbers(allocation))
    protocols = [word for words, _ in groups for word in words]
    return objects, [Rule((match(L4PROTO, *protocols), VerdictMap(IP_SADDR, table)), pool.path)]


def _address(piece: Piece) -> Expression:
    """The global address as nft computes it: the low bits of the source in the prefix."""
    if not piece.bits:
        return Constant(number(piece.base))
    return Bitwise(IP_SADDR, (1 << piece.bits) - 1, piece.base)


def _random(allocation: PoolAllocation, layout: Layout, piece: Piece, groups: Groups) -> Iterator[Statements]:
    first = layout.stock.block(piece.base, piece.block).first
    for protocols, size in groups:
        ports = Constant(Range(first, first + size - 1))
        yield match(L4PROTO, *protocols), Nat("snat", _address(piece), ports, flags=("random",))


def _in_order(
    allocation: PoolAllocation, layout: Layout, piece: Piece, groups: Groups
) -> Iterator[Statements]:
    first = layout.stock.block(piece.base, piece.block).first
    for protocols, size in groups:
        for protocol in protocols:
            draw = set_mark(Numgen("inc", size, NUMBERS + first))
            port = lookup(META_MARK, names.ports(allocation.pool.name))
            yield match(L4PROTO, protocol), draw, Nat("snat", _address(piece), port)


def port_numbers(allocation: PoolAllocation) -> Map:
    """Packet marks -> ports: nft computes no port from a number."""
    ports = allocation.pool.port_range
    last = ports.first + allocation.stock.blocks_per_address * allocation.stock.block_size
    elements = tuple(Element(key(NUMBERS + port), key(port)) for port in range(ports.first, last))
    path = (*allocation.pool.path, "randomize_ports")
    return Map(names.ports(allocation.pool.name), ("mark",), ("inet_service",), path, elements)
