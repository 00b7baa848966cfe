"""`inbound: subscriber`: what comes to a subscriber's block and meets no mapping goes to the subscriber.

The way back of a block, port unchanged, for tcp and udp: NETMAP by global address and port, one element per
piece of the layout (two where the piece does not begin at its prefix). So the map does not grow with the
subscribers; with `fill: address` it does, since neighbours then differ in the port and not in the address.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map, Name, Rule
from nfcompile.emit.expressions import Bitwise
from nfcompile.emit.statements import (
    CT_MARK,
    IP_DADDR,
    L4PROTO,
    TH_DPORT,
    Nat,
    concat,
    lookup,
    match,
    set_mark,
)
from nfcompile.ipalloc import Layout, Piece, Stock
from nfcompile.lower import names
from nfcompile.lower.low_ports import prefix
from nfcompile.lower.renewal import PROTOCOLS
from nfcompile.lower.tokens import FIRST_TOKEN, TOKEN_BYTE
from nfcompile.model.ranges import Range


def inbound_blocks(allocation: PoolAllocation) -> tuple[list[Map], list[Rule]]:
    """The maps, and the rules for packets to the pool's global addresses; none with `inbound: drop`."""
    pool = allocation.pool
    if not pool.leads_inbound:
        return [], []
    path = (*pool.path, "inbound")
    layout = allocation.layout()
    groups = [([w for w in words if w in PROTOCOLS], size) for words, size in allocation.protocol_ports]
    groups = [(words, size) for words, size in groups if words]
    maps: list[Map] = []
    rules: list[Rule] = []
    takes_tokens = pool.hairpin or pool.filtering == "endpoint_independent" or pool.keeps_forwardings
    if pool.keeps_mapping_entries and takes_tokens:
        # A connection without mapping entries has none to renew: it gives the token back.
        token = match(Bitwise(CT_MARK, TOKEN_BYTE), FIRST_TOKEN)
        rules.append(Rule((token, set_mark(0, CT_MARK)), path))
    for words, size in groups:
        name = names.inbound_blocks(pool.name, words if len(groups) > 1 else [])
        elements = list(_elements(layout, layout.stock, size))
        if allocation.low is not None:
            elements += _elements(layout, allocation.low, allocation.low.block_size)
        maps.append(_map(name, elements, allocation))
        found = Nat("dnat", lookup(concat(IP_DADDR, TH_DPORT), name), prefix=True)
        rules.append(Rule((match(L4PROTO, *words), found), path))
    return maps, rules


def _map(name: Name, elements: list[Element], allocation: PoolAllocation) -> Map:
    key, path = ("ipv4_addr", "inet_service"), (*allocation.pool.path, "inbound")
    ordered = tuple(sorted(elements, key=lambda element: element.key))
    return Map(name, key, ("ipv4_addr",), path, ordered, ("interval",), interval=True)


def _elements(layout: Layout, stock: Stock, size: int) -> Iterator[Element]:
    for piece in layout.pieces:
        if piece.block >= stock.blocks_per_address:
            continue
        first = stock.block(piece.base, piece.block).first
        for addresses, base in mirrored(piece):
            yield Element((addresses, Range(first, first + size - 1)), (prefix(base, piece.bits),))


def mirrored(piece: Piece) -> Iterator[tuple[Range, int]]:
    """Global addresses of a piece, and the local prefix with the same low bits: two where it is unaligned."""
    size = 1 << piece.bits
    first = piece.first
    while first <= piece.last:
        base = first & ~(size - 1)
        last = min(piece.last, base + size - 1)
        yield Range(piece.address(first), piece.address(last)), base
        first = last + 1
