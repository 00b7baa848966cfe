"""The port of a new socket of a dynamic pool, computed and claimed as in `computed_ports`.

The number of the assigned block is in the packet mark: its bits lead to the global address and to the chains
that put the source port into the block. Of an aligned block of fewer ports than the alignment of the whole
range the low bits of its number are bits of the port, so they have chains of their own: 64 and 8 of them
instead of 504 for blocks of 128 ports.
"""

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map, Name, Object
from nfcompile.emit.expressions import Bitwise
from nfcompile.emit.statements import (
    DROP,
    IP_SADDR,
    META_MARK,
    VerdictMap,
    counter,
    jump,
    key,
    set_field,
)
from nfcompile.lower import names
from nfcompile.lower.computed_ports import (
    AGAIN,
    MOST_CHAINS,
    Spread,
    candidates_chain,
    claimed,
    port_chain,
    shuffle_chain,
    spread,
)
from nfcompile.lower.context import Context
from nfcompile.lower.numbering import address_of
from nfcompile.lower.part import Statements
from nfcompile.lower.renewal import PROTOCOLS
from nfcompile.model.ranges import Range
from nfcompile.model.site import Pool

FEW_BLOCKS = 64
"""So many have a chain each, and one look-up less."""


class NumberedPorts(NamedTuple):
    """How a dynamic pool computes ports: where the candidates of a block lie, and how many low bits of its
    number are bits of the port."""

    numbering: Numbering
    spread: Spread
    low: int

    def first_port(self, number: int) -> int:
        """The first port of a block, by its number among those of an address."""
        return self.numbering.stock.block(0, number).first


def numbered_ports(allocation: PoolAllocation) -> NumberedPorts | None:
    """How a dynamic pool with mapping entries computes the ports of its sockets. None: it does not."""
    pool = allocation.pool
    if not (pool.keeps_mapping_entries and pool.is_dynamic) or pool.ports_at_random is False:
        return None
    stock = allocation.stock._replace(globals=())
    one, numbering = spread(PROTOCOLS, stock, stock.block_size), Numbering(allocation.stock)
    plan = NumberedPorts(numbering, one, _low_bits(numbering))
    chains = sum(len({*_parts(plan, part).values()}) for part in range(one.parts)) + (1 << plan.low)
    return plan if one.parts > 0 and chains <= MOST_CHAINS else None


def _low_bits(numbering: Numbering) -> int:
    """How many low bits of the numbers of blocks are those of the port: none if they are not aligned, and
    none where the blocks are few. The blocks that are left over are a power of two, so that their chain is
    exact, too.

    >>> from nfcompile.ipalloc import Stock
    >>> def low(first: int, size: int, last: int = 65535) -> int:
    ...     return _low_bits(Numbering(Stock((), Range(first, last), size)))
    >>> low(1024, 128), low(1024, 1024), low(1000, 128), low(32768, 8), low(1024, 64, 40383)
    (3, 0, 0, 6, 1)
    """
    stock = numbering.stock
    if stock.ports is None or numbering.each <= FEW_BLOCKS or stock.block_size & stock.block_size - 1:
        return 0
    steps, beside = divmod(stock.ports.first, stock.block_size)
    aligned = 0 if beside else (steps & -steps).bit_length() - 1
    low = min(aligned, (numbering.block_bits + 1) // 2)
    while (left := numbering.each & (1 << low) - 1) & left - 1:
        low -= 1
    return low


def ports_objects(context: Context, allocation: PoolAllocation, plan: NumberedPorts) -> Iterator[Object]:
    """The chains and maps of what is tried, and the chain that claims."""
    pool, bits = allocation.pool, plan.spread.bits
    yield from _maps(allocation, plan)
    if bits:
        yield shuffle_chain(bits)
    # Translates itself: nft counts a goto as a jump, and the search for a block is deep.
    yield candidates_chain(pool, bits, IP_SADDR, list(claimed(context, pool, IP_SADDR)))


def tried(allocation: PoolAllocation, plan: NumberedPorts) -> Iterator[Statements]:
    """Part by part, then what is left to chance. A number that has no global address claims nothing."""
    pool, (_, _, parts, bits) = allocation.pool, plan.spread
    address = set_field(IP_SADDR, address_of(pool, plan.numbering))
    for turn in range(parts + (AGAIN if bits else 0)):
        if turn == 0 or parts > 1:
            yield from _to_part(allocation, plan, turn % parts)
        if bits and (pool.ports_at_random or turn >= parts):
            yield (jump(names.shuffle(bits)),)
        yield address, jump(names.candidates(pool.name, bits))
    yield counter(names.pool_counter(pool.name, "conflict")), DROP


def _to_part(allocation: PoolAllocation, plan: NumberedPorts, part: int) -> Iterator[Statements]:
    """Put the source port into a part of the block; low bits of its number first."""
    name, low = allocation.pool.name, _mark(plan, (1 << plan.low) - 1)
    if low:
        yield (VerdictMap(Bitwise(META_MARK, low), names.low_pieces(name)),)
    high = plan.numbering.block_mask & ~low
    if high:
        yield (VerdictMap(Bitwise(META_MARK, high), names.pieces(name, part)),)
    else:
        (ports,) = _parts(plan, part).values()
        yield (jump(names.port_chain(ports)),)


def _mark(plan: NumberedPorts, number: int) -> int:
    """The bits of the packet mark that say the number of a block."""
    return number << plan.numbering.shift & plan.numbering.block_mask


def _maps(allocation: PoolAllocation, plan: NumberedPorts) -> Iterator[Object]:
    """From the bits of the number to the chains that put them into the port, and those chains."""
    pool, low = allocation.pool, 1 << plan.low
    if plan.low:
        size = plan.spread.size
        places = {number: Range(number * size, number * size + size - 1) for number in range(low)}
        yield from _verdicts(pool, plan, names.low_pieces(pool.name), places)
    for part in range(plan.spread.parts):
        places = _parts(plan, part)
        if plan.numbering.block_mask & ~_mark(plan, low - 1):
            yield from _verdicts(pool, plan, names.pieces(pool.name, part), places)
        else:
            yield from map(port_chain, places.values())


def _verdicts(pool: Pool, plan: NumberedPorts, name: Name, places: dict[int, Range]) -> Iterator[Object]:
    chains = {number: port_chain(ports) for number, ports in places.items()}
    yield from dict.fromkeys(chains.values())
    elements = tuple(Element(key(_mark(plan, number)), jump(chain.name)) for number, chain in chains.items())
    yield Map(name, ("mark",), ("verdict",), pool.path, elements)


def _parts(plan: NumberedPorts, part: int) -> dict[int, Range]:
    """By the number of the block, its low bits left out, the ports to which its chain leads: of all blocks
    that differ in those bits."""
    first = ((number, plan.first_port(number)) for number in range(0, plan.numbering.each, 1 << plan.low))
    if plan.low:
        return {number: Range(port, port + _together(plan, number) - 1) for number, port in first}
    found = ((number, plan.spread.part(port, part)) for number, port in first)
    return {number: ports for number, ports in found if ports is not None}


def _together(plan: NumberedPorts, number: int) -> int:
    """How many ports the blocks have that differ in the low bits of their numbers, from this one on."""
    return plan.spread.size * min(1 << plan.low, plan.numbering.each - number)
