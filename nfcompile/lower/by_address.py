"""`fill: address` in deterministic cgnat pools: one global address is full before the next one is used.

No NETMAP does that: neighbours differ in the block, not in the address. So the address comes from a map of
runs of subscribers, one element per global address, and each block has a chain with constant ports. Which
chain, two short look-ups say (allocation/residues.py): `cells` leads from the source to the remainder of its
cell, and a map of that remainder from the low bits to the block. A few subscribers have an element each.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.residues import Cell, Shape, cells
from nfcompile.emit import Chain, Element, Map, Object, Rule
from nfcompile.emit.expressions import Bitwise, Constant, Numgen
from nfcompile.emit.statements import (
    ICMP,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    PORTED,
    TH_SPORT,
    Nat,
    VerdictMap,
    goto,
    jump,
    lookup,
    match,
    set_mark,
)
from nfcompile.ipalloc import Block, Layout
from nfcompile.lower import names
from nfcompile.lower.block_sockets import block_tries
from nfcompile.lower.computed_ports import PortPlan
from nfcompile.lower.context import Context
from nfcompile.lower.low_ports import LOW_PATH, LOW_PORTS, low_udp, over_limit
from nfcompile.lower.packet_marks import NUMBERS
from nfcompile.lower.part import Statements, chain_of, pool_rule
from nfcompile.lower.port_selection import Groups, ids_alone
from nfcompile.model.ranges import ADDRESS_LAST, Range
from nfcompile.model.site import Pool


def blocks_by_address(
    context: Context, allocation: PoolAllocation, layout: Layout, shape: Shape, plan: PortPlan | None
) -> tuple[list[Object], list[Rule]]:
    """The chains of the blocks, the maps that lead to them, and the rule of the translate chain. With a plan
    tcp and udp come to them before, all but those with low ports."""
    pool = allocation.pool
    found = list(cells(layout, shape.bits))
    residues = sorted({cell.residue for cell in found})
    objects: list[Object] = [_cells(pool, found, shape.bits)]
    for residue in residues:
        name = names.residue(pool.name, residue)
        table = _low_bits(allocation, residue, shape.bits)
        low = Bitwise(IP_SADDR, (1 << shape.bits) - 1)
        objects += [table, chain_of(pool, name, (VerdictMap(low, table.name),))]
    for number in range(layout.stock.blocks_per_address):
        objects += _block(context, allocation, number, plan)
    objects += low_udp(context, allocation)
    ported = PORTED if plan is None or allocation.low else ()
    rule = pool_rule(pool, match(L4PROTO, *ported, ICMP), to_block(pool, layout, shape))
    return objects, [rule]


def to_block(pool: Pool, layout: Layout, shape: Shape) -> VerdictMap:
    """The look-up that leads a source to the chain of its block."""
    mixed = _mixed(list(cells(layout, shape.bits)), shape.bits)
    high = IP_SADDR if mixed else Bitwise(IP_SADDR, ADDRESS_LAST >> shape.bits << shape.bits)
    return VerdictMap(high, names.cells(pool.name))


def _mixed(found: list[Cell], bits: int) -> bool:
    """Whether a cell is not full, so that intervals of sources must be looked up and not a masked source."""
    size = 1 << bits
    return any(cell.first & (size - 1) or cell.last - cell.first + 1 != size for cell in found)


def _cells(pool: Pool, found: list[Cell], bits: int) -> Map:
    """Sources -> the chain of their cell's remainder. It comes back for a drop, where no address follows."""
    intervals = _mixed(found, bits)
    elements = tuple(
        Element(
            (Range(cell.first, cell.last if intervals else cell.first),),
            jump(names.residue(pool.name, cell.residue)),
        )
        for cell in found
    )
    flags = ("interval",) if intervals else ()
    return Map(names.cells(pool.name), ("ipv4_addr",), ("verdict",), pool.path, elements, flags)


def _low_bits(allocation: PoolAllocation, residue: int, bits: int) -> Map:
    pool, each = allocation.pool, allocation.stock.blocks_per_address
    elements = tuple(
        Element((Range(low, low),), goto(names.block_number(pool.name, (residue + low) % each)))
        for low in range(1 << bits)
    )
    return Map(names.low_bits(pool.name, residue), ("ipv4_addr",), ("verdict",), pool.path, elements)


def _block(
    context: Context, allocation: PoolAllocation, number: int, plan: PortPlan | None
) -> Iterator[Chain]:
    """The chain of one block of every address; its ports are constants, the address is looked up."""
    pool = allocation.pool
    block = allocation.stock.block(0, number)
    rules: list[Rule] = []
    low = allocation.low_block(block)
    if low is not None:
        below = match(L4PROTO, *PORTED), match(TH_SPORT, LOW_PORTS)
        name = names.low_number(pool.name, number)
        yield Chain(name, tuple(_low_rules(context, allocation, low)), LOW_PATH)
        rules.append(Rule((*below, jump(name)), LOW_PATH))
    groups = allocation.protocol_ports
    tries: list[Statements] = []
    if plan is not None:
        groups = ids_alone(allocation)
        chains, tries = block_tries(pool, plan, number)
        yield from chains
    translations = [*_translations(allocation, block, groups), *tries]
    rules += (pool_rule(pool, *statements) for statements in translations)
    yield Chain(names.block_number(pool.name, number), tuple(rules), pool.path)


def _translations(allocation: PoolAllocation, block: Block, groups: Groups) -> Iterator[Statements]:
    pool = allocation.pool
    address = lookup(IP_SADDR, names.addresses(pool.name))
    for protocols, size in groups:
        if pool.ports_at_random is False:
            port = lookup(META_MARK, names.ports(pool.name))
            for protocol in protocols:
                draw = set_mark(Numgen("inc", size, NUMBERS + block.first))
                yield match(L4PROTO, protocol), draw, Nat("snat", address, port)
            continue
        ports = Constant(Range(block.first, block.first + size - 1))
        flags = ("random",) if pool.ports_at_random else ()
        yield match(L4PROTO, *protocols), Nat("snat", address, ports, flags=flags)


def _low_rules(context: Context, allocation: PoolAllocation, low: Block) -> Iterator[Rule]:
    yield from over_limit(context, allocation)
    address = lookup(IP_SADDR, names.addresses(allocation.pool.name))
    statement = Nat("snat", address, Constant(Range(low.first, low.last)))
    yield Rule((match(L4PROTO, *PORTED), statement), LOW_PATH)
