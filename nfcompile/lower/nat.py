"""Deterministic nat pools: an address for every subscriber, ports untouched, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Element, Map, Rule
from nfcompile.emit.statements import IP_DADDR, IP_SADDR, Nat, Statement, lookup
from nfcompile.ipalloc import Piece
from nfcompile.lower import names
from nfcompile.lower.cgnat import ADDRESS_DATA, address_map
from nfcompile.lower.context import Context
from nfcompile.lower.inbound_blocks import mirrored
from nfcompile.lower.low_ports import prefix
from nfcompile.lower.part import PoolPart
from nfcompile.model.ranges import Range
from nfcompile.model.site import Pool


def deterministic_nat(context: Context, allocation: PoolAllocation) -> PoolPart:
    """The outward map, and its mirror where the outside or other subscribers may open sessions."""
    pool = allocation.pool
    layout = allocation.layout()
    outward = names.addresses(pool.name)
    maps = [address_map(outward, allocation, layout)]
    rule = Rule((Nat("snat", lookup(IP_SADDR, outward), prefix=True),), pool.path)
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        name = names.inbound(pool.name)
        elements = tuple(
            Element((key,), (prefix(base, bits),)) for key, base, bits in sorted(_mirror(layout.pieces))
        )
        maps.append(
            Map(name, ("ipv4_addr",), ADDRESS_DATA, pool.path, elements, ("interval",), interval=True)
        )
        inbound = (inbound_rule(context, pool, Nat("dnat", lookup(IP_DADDR, name), prefix=True)),)
    return PoolPart(tuple(maps), (rule,), inbound)


def inbound_rule(context: Context, pool: Pool, *statements: Statement) -> Rule:
    """A destination NAT rule for those sides that may open sessions to the pool's addresses."""
    side = context.arriving(outside=pool.allow_external_connect, inside=pool.hairpin)
    return Rule((*side, *statements), pool.path)


def _mirror(pieces: tuple[Piece, ...]) -> Iterator[tuple[Range, int, int]]:
    """Global ranges -> the local prefix with the same low bits: two for a piece that is not aligned."""
    return ((addresses, base, piece.bits) for piece in pieces for addresses, base in mirrored(piece))
