"""What the numbers of a dynamic pool stand for: nft computes no addresses from numbers, but looks them up.

The numbers themselves are those of `allocation.numbering`. They are handed out in turns that go from address
to address, and each has a next one on its own address, where a subscriber's further blocks are looked for
(RFC 6888 REQ-2).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.numbering import FIRST_NUMBER, Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map
from nfcompile.emit.statements import key
from nfcompile.lower import names
from nfcompile.lower.low_ports import BLOCK_DATA
from nfcompile.lower.packet_marks import TURNS
from nfcompile.model.ranges import Range


def has_turns(allocation: PoolAllocation) -> bool:
    """Whether the order in which numbers are handed out is another one than that of counting."""
    return allocation.stock.blocks_per_address > 1 and allocation.stock.addresses > 1


def number_map(allocation: PoolAllocation) -> str:
    """The name of the map in which the ruleset looks up the numbers of a pool."""
    name = allocation.pool.name
    return str(names.addresses(name) if allocation.stock.ports is None else names.blocks(name))


def numbers(allocation: PoolAllocation) -> Iterator[Map]:
    """The maps from numbers to addresses and blocks, and from one number to another."""
    pool, stock = allocation.pool, allocation.stock
    path = pool.path
    numbering = Numbering(stock)
    yield Map(names.addresses(pool.name), ("mark",), ("ipv4_addr",), path, *_addresses(numbering))
    if stock.ports is None:
        return
    elements = tuple(
        Element(key(number), key(b.address, Range(b.first, b.last))) for number, b in numbering.blocks()
    )
    yield Map(names.blocks(pool.name), ("mark",), BLOCK_DATA, path, elements, interval=True)
    if has_turns(allocation):
        order = enumerate(numbering.turns(), TURNS)
        turns = tuple(Element(key(turn), key(number)) for turn, number in order)
        yield Map(names.turns(pool.name), ("mark",), ("mark",), path, turns)
    if allocation.blocks_each > 1:
        following = tuple(Element(key(number), key(after)) for number, after in numbering.following())
        yield Map(names.following(pool.name), ("mark",), ("mark",), path, following)


def _addresses(numbering: Numbering) -> tuple[tuple[Element, ...], tuple[str, ...]]:
    """For protocols without ports: an element for each address, and whether the keys are intervals."""
    each = numbering.each
    firsts = range(FIRST_NUMBER, FIRST_NUMBER + numbering.stock.capacity, each)
    pairs = zip(firsts, numbering.addresses(), strict=True)
    if each == 1:
        return tuple(Element(key(first), key(address)) for first, address in pairs), ()
    elements = (Element((Range(first, first + each - 1),), key(address)) for first, address in pairs)
    return tuple(elements), ("interval",)
