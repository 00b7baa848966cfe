"""Deterministic cgnat: one NETMAP map of subscribers -> global prefix and port block.

`snat ip prefix` keeps the host bits of the source inside the global prefix, and the port range comes from
the same map element: a million subscribers on 16,384 addresses are 64 elements and a rule for each of tcp,
udp and icmp. Protocols without ports keep the address only.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.residues import shape
from nfcompile.emit import Element, Map, Name, Object, Rule
from nfcompile.emit.statements import IP_SADDR, L4PROTO, Nat, lookup, match
from nfcompile.ipalloc import Layout
from nfcompile.lower import names
from nfcompile.lower.by_address import blocks_by_address
from nfcompile.lower.computed_ports import PortPlan
from nfcompile.lower.context import Context
from nfcompile.lower.low_ports import BLOCK_DATA, block_elements, low_ports, prefix
from nfcompile.lower.part import PoolPart
from nfcompile.lower.piece_maps import piece_maps
from nfcompile.lower.port_selection import Groups, chosen_ports, ids_alone, port_numbers

ADDRESS_DATA = ("ipv4_addr",)


def deterministic_cgnat(context: Context, allocation: PoolAllocation, plan: PortPlan | None) -> PoolPart:
    """The maps and rules of one pool; where protocols have different limits, a map for each limit.

    Where ports are computed, tcp and udp come here with low ports at most.
    """
    pool = allocation.pool
    groups = allocation.protocol_ports
    if plan is not None and allocation.low is None:
        groups = ids_alone(allocation)
    layout = allocation.layout()
    objects: list[Object] = []
    rules: list[Rule] = []
    chains = shape(layout) if layout.stock.by_address else None
    if chains is not None:
        more, lines = blocks_by_address(context, allocation, layout, chains, plan)
        if pool.ports_at_random is False:
            objects.append(port_numbers(allocation))
    else:
        low, rules = low_ports(context, allocation, layout)
        objects += low
        if pool.ports_at_random is None:
            more, lines = _block_maps(allocation, layout, groups)
        else:
            more, lines = chosen_ports(allocation, layout, groups)
    objects += more
    rules += lines
    name = names.addresses(pool.name)
    # nft lists a rule with a range of ports beside a map of intervals without the ports: then each address is
    # the data of an element.
    prefixes = chains is None
    objects.append(address_map(name, allocation, layout, prefixes))
    rules.append(Rule((Nat("snat", lookup(IP_SADDR, name), prefix=prefixes),), pool.path))
    return PoolPart(tuple(objects), tuple(rules))


def _block_maps(
    allocation: PoolAllocation, layout: Layout, groups: Groups
) -> tuple[list[Object], list[Rule]]:
    pool, stock = allocation.pool, layout.stock
    maps: list[Object] = []
    rules: list[Rule] = []
    for protocols, size in groups:
        for one in piece_maps(layout):
            name = names.blocks(pool.name, protocols if len(groups) > 1 else (), one.rest)
            elements = tuple(block_elements(one, stock, size))
            maps.append(Map(name, ("ipv4_addr",), BLOCK_DATA, pool.path, elements, one.flags, interval=True))
            statement = Nat("snat", lookup(one.key(IP_SADDR), name), prefix=True)
            # udp opens most connections, and a set of three protocols costs as much as four comparisons.
            for protocol in sorted(protocols, reverse=True):
                rules.append(Rule((match(L4PROTO, protocol), statement), pool.path))
    return maps, rules


def address_map(name: Name, allocation: PoolAllocation, layout: Layout, prefixes: bool = True) -> Map:
    """Subscribers -> global prefix, or address; pieces that differ only in the block are joined."""
    elements = tuple(Element((run,), (prefix(base, bits),)) for run, base, bits in layout.prefix_runs())
    return Map(
        name, ("ipv4_addr",), ADDRESS_DATA, allocation.pool.path, elements, ("interval",), interval=prefixes
    )
