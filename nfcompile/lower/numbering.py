"""What the numbers of a dynamic pool stand for: nft computes no addresses from numbers, but looks them up.

The numbers themselves are those of `allocation.numbering`: the bits that count the addresses lead to one by a
map, those that count the blocks of an address lead to a chain with its ports. So the ruleset grows with the
addresses and with the blocks of one, never with their product.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.numbering import BITS, FIRST_NUMBER, Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map, Object
from nfcompile.emit.expressions import Bitwise, Constant, Field, Lookup
from nfcompile.emit.statements import (
    DROP,
    ICMP,
    L4PROTO,
    META_MARK,
    PORTED,
    Nat,
    Statement,
    VerdictMap,
    counter,
    goto,
    jump,
    key,
    lookup,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.part import Statements, chain_of
from nfcompile.model.ranges import Range, address_text
from nfcompile.model.site import Pool

ALL_BITS = FIRST_NUMBER | (1 << BITS) - 1
TRANSLATED = (*PORTED, ICMP)
MANY_BLOCKS = 1024
"""Of an address. Above, no rule of a block has an anonymous set of protocols: for each such set the kernel
(6.18) walks the whole transaction. 12,768 of them took 66 s to load, and three rules each instead 7 s."""


def looked_up(allocation: PoolAllocation, number: int) -> tuple[tuple[str, int, str], ...]:
    """What the live ruleset must say where a number means a block: the map, the key and the data of the
    element for its address and, where an address has several, for its block."""
    pool, numbering = allocation.pool.name, Numbering(allocation.stock)
    block = numbering.block(number)
    if block is None:
        return ()
    address = str(names.addresses(pool)), number & ~numbering.block_mask, address_text(block.address)
    if not numbering.block_mask:
        return (address,)
    chain = str(names.number_chain(pool, Range(block.first, block.last)))
    return address, (str(names.blocks(pool)), number & numbering.block_mask, f"jump {chain}")


def numbers(allocation: PoolAllocation, computed: bool) -> Iterator[Object]:
    """The map of addresses, and the map and the chains of the blocks of one; `computed`: not for tcp and udp,
    whose ports are."""
    pool, numbering = allocation.pool, Numbering(allocation.stock)
    counted = enumerate(numbering.addresses(), FIRST_NUMBER)
    elements = tuple(Element(key(number), key(address)) for number, address in counted)
    yield Map(names.addresses(pool.name), ("mark",), ("ipv4_addr",), pool.path, elements)
    if not numbering.block_mask:
        return
    to_blocks = []
    for number in range(numbering.each):
        ports = _ports(allocation, number)
        name = names.number_chain(pool.name, ports)
        yield chain_of(pool, name, *_block_rules(pool, numbering, ports, computed))
        to_blocks.append(Element(key(number << numbering.shift), jump(name)))
    yield Map(names.blocks(pool.name), ("mark",), ("verdict",), pool.path, tuple(to_blocks))


def translation(allocation: PoolAllocation, computed: bool) -> Iterator[Statements]:
    """Translate by the number in the packet mark; protocols without ports share an address."""
    pool, numbering = allocation.pool, Numbering(allocation.stock)
    with_ids = (match(L4PROTO, ICMP),) if computed else ()
    if numbering.block_mask:
        # The chains of the blocks leave protocols without ports alone: these come back.
        yield *with_ids, VerdictMap(Bitwise(META_MARK, numbering.block_mask), names.blocks(pool.name))
    elif allocation.stock.ports is not None:
        yield match(L4PROTO, *_with_ports(computed)), _to_ports(pool, numbering, _ports(allocation, 0))
    if computed:
        # One comparison each: a set of both costs as much as four of them.
        others = (unlike(L4PROTO, one) for one in ("udp", "tcp"))
        yield *others, goto(names.allocator("portless", pool.name))
    else:
        yield from portless(allocation)


def portless(allocation: PoolAllocation) -> Iterator[Statements]:
    """Translate a packet without ports."""
    yield (Nat("snat", address_of(allocation.pool, Numbering(allocation.stock))),)
    yield counter(names.dropped(allocation.pool.name)), DROP


def address_of(pool: Pool, numbering: Numbering) -> Lookup:
    """The global address of the number in the packet mark."""
    counted: Field | Bitwise = META_MARK
    if numbering.block_mask:
        counted = Bitwise(META_MARK, ALL_BITS & ~numbering.block_mask)
    return lookup(counted, names.addresses(pool.name))


def _ports(allocation: PoolAllocation, number: int) -> Range:
    block = allocation.stock.block(0, number)
    return Range(block.first, block.last)


def _with_ports(computed: bool) -> tuple[int, ...]:
    """The protocols that the chains of the blocks translate: computed ports are claimed elsewhere."""
    return (ICMP,) if computed else TRANSLATED


def _block_rules(pool: Pool, numbering: Numbering, ports: Range, computed: bool) -> Iterator[Statements]:
    """A rule for all protocols, or one for each where the blocks are many."""
    every = _with_ports(computed)
    for protocols in [(one,) for one in every] if numbering.each > MANY_BLOCKS else [every]:
        yield match(L4PROTO, *protocols), _to_ports(pool, numbering, ports)


def _to_ports(pool: Pool, numbering: Numbering, ports: Range) -> Statement:
    flags = ("random",) if pool.ports_at_random else ()
    return Nat("snat", address_of(pool, numbering), Constant(ports), flags=flags)
