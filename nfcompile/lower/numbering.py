"""What the numbers of a dynamic pool stand for: nft computes no addresses from numbers, but looks them up.

Number a K + b is block b of address a, of K blocks each, so an address that is appended renumbers nobody.
Numbers are handed out in turns that go from address to address, so all of them fill equally; and each has a
next one on its own address, where a subscriber's further blocks are looked for (RFC 6888 REQ-2).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map
from nfcompile.emit.expressions import Key
from nfcompile.emit.statements import key
from nfcompile.lower import names
from nfcompile.lower.cgnat import BLOCK_DATA
from nfcompile.lower.packet_marks import NUMBERS, TURNS
from nfcompile.model.ranges import Range


def has_turns(allocation: PoolAllocation) -> bool:
    """Whether the order in which numbers are handed out is another one than that of counting."""
    return allocation.stock.blocks_per_address > 1 and allocation.stock.addresses > 1


def numbers(allocation: PoolAllocation) -> Iterator[Map]:
    """The maps from numbers to addresses and blocks, and from one number to another."""
    pool, stock, each = allocation.pool, allocation.stock, allocation.stock.blocks_per_address
    path = pool.path
    addresses = [a for one in stock.globals for a in range(one.first, one.last + 1)]
    yield Map(names.addresses(pool.name), ("mark",), ("ipv4_addr",), path, *_addresses(addresses, each))
    if stock.ports is None:
        return
    blocks = (stock.block(address, block) for address in addresses for block in range(each))
    elements = tuple(
        Element(_number(n), key(b.address, Range(b.first, b.last))) for n, b in enumerate(blocks)
    )
    yield Map(names.blocks(pool.name), ("mark",), BLOCK_DATA, path, elements, interval=True)
    if has_turns(allocation):
        order = (a * each + b for b in range(each) for a in range(len(addresses)))
        turns = tuple(Element(key(TURNS + turn), _number(n)) for turn, n in enumerate(order))
        yield Map(names.turns(pool.name), ("mark",), ("mark",), path, turns)
    if allocation.blocks_each > 1:
        circle = ((n, n + 1 if (n + 1) % each else n + 1 - each) for n in range(stock.capacity))
        following = tuple(Element(_number(n), _number(other)) for n, other in circle)
        yield Map(names.following(pool.name), ("mark",), ("mark",), path, following)


def _addresses(addresses: list[int], each: int) -> tuple[tuple[Element, ...], tuple[str, ...]]:
    """For protocols without ports: an element for each address, and whether the keys are intervals."""
    if each == 1:
        return tuple(Element(_number(index), key(a)) for index, a in enumerate(addresses)), ()
    first = NUMBERS
    elements: list[Element] = []
    for address in addresses:
        elements.append(Element((Range(first, first + each - 1),), key(address)))
        first += each
    return tuple(elements), ("interval",)


def _number(number: int) -> Key:
    return key(NUMBERS + number)
