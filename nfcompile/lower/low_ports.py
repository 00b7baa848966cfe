"""`portlimit_low`: source ports below 1024 keep to small blocks below 1024."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Element, Map, Object, Rule, Set
from nfcompile.emit.statements import (
    IP_SADDR,
    L4PROTO,
    PORTED,
    RETURN,
    TH_SPORT,
    UDP,
    CtCount,
    Nat,
    add,
    jump,
    lookup,
    match,
)
from nfcompile.ipalloc import Layout, Stock
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.piece_maps import PieceMap
from nfcompile.model.ranges import Range

BLOCK_DATA = ("ipv4_addr", "inet_service")
LOW_PATH = ("nat_defaults", "portlimit_low")
UDP_PATH = ("nat_defaults", "low_to_all_udp")
LOW_PORTS = Range(0, 1023)


def low_ports(
    context: Context, allocation: PoolAllocation, layout: Layout
) -> tuple[list[Object], list[Rule]]:
    """Source ports below 1024 keep to a small block below 1024 (`portlimit_low`).

    Subscribers whose address has no low ports left use their ordinary block. With `low_to_all_udp` so
    does udp beyond the limit; tcp beyond it is dropped by the kernel.
    """
    pool, low = allocation.pool, allocation.low
    if low is None:
        return [], []
    elements = tuple(block_elements(PieceMap(layout.pieces, None), low, low.block_size))
    blocks = names.low("lowblocks", pool.name)
    table = Map(blocks, ("ipv4_addr",), BLOCK_DATA, LOW_PATH, elements, ("interval",), interval=True)
    statement = Nat("snat", lookup(IP_SADDR, blocks), prefix=True)
    name = names.low("low", pool.name)
    rules = *over_limit(context, allocation), Rule((match(L4PROTO, *PORTED), statement), LOW_PATH)
    entry = match(L4PROTO, *PORTED), match(TH_SPORT, LOW_PORTS), jump(name)
    objects: list[Object] = [table, *low_udp(context, allocation), Chain(name, rules, LOW_PATH)]
    return objects, [Rule(entry, LOW_PATH)]


def low_udp(context: Context, allocation: PoolAllocation) -> list[Set]:
    """The set that counts udp connections with low ports, where more of them may use the ordinary block."""
    if allocation.low is None or not context.site.defaults.low_to_all_udp:
        return []
    return [
        Set(names.low("lowudp", allocation.pool.name), ("ipv4_addr",), UDP_PATH, (), ("dynamic",), 0, 65536)
    ]


def over_limit(context: Context, allocation: PoolAllocation) -> list[Rule]:
    """`low_to_all_udp`: udp beyond the limit goes back for a port of the ordinary block."""
    if allocation.low is None or not context.site.defaults.low_to_all_udp:
        return []
    count = CtCount(allocation.low.block_size, over=True)
    over = add(names.low("lowudp", allocation.pool.name), IP_SADDR, count)
    return [Rule((match(L4PROTO, UDP), over, RETURN), UDP_PATH)]


def block_elements(mapped: PieceMap, stock: Stock, size: int) -> Iterator[Element]:
    """Subscribers -> global prefix and the first `size` ports of their block, where it has so many."""
    ports = stock.block_ports(size)
    here, address = (-1, -1), Range(0, 0)
    masked = mapped.bits is not None
    for first, last, base, bits, number in mapped.pieces:
        if number < len(ports):
            if (base, bits) != here:
                here, address = (base, bits), prefix(base, bits)
            yield Element((Range(first, first if masked else last),), (address, ports[number]))


def prefix(base: int, bits: int) -> Range:
    """The CIDR prefix of 2^bits addresses at `base`, for NETMAP."""
    return Range(base, base + (1 << bits) - 1)
