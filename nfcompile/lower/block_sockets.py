"""Computed ports with `fill: address`: what the chain of a block does with a new socket of tcp or udp.

The look-ups that lead to the block are made once. Its chain puts the global address into the packet and a
port of the block, part by part, and each time the candidates of the pool are tried as in `computed_ports`.
What is left to chance is tried in the largest part, by a chain that all blocks share.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Object
from nfcompile.emit.statements import (
    DROP,
    IP_SADDR,
    L4PROTO,
    Statement,
    counter,
    goto,
    jump,
    lookup,
    match,
    set_field,
)
from nfcompile.lower import names
from nfcompile.lower.computed_ports import (
    AGAIN,
    PortPlan,
    Spread,
    candidates_chain,
    claimed,
    port_among,
    shuffle_chain,
)
from nfcompile.lower.context import Context
from nfcompile.lower.part import Statements, chain_of
from nfcompile.model.site import Pool


def shared_chains(context: Context, allocation: PoolAllocation, plan: PortPlan) -> Iterator[Object]:
    """The chains to which those of all blocks lead."""
    pool = allocation.pool
    to_claimed = [(goto(names.claimed_socket(pool.name)),)]
    for bits in dict.fromkeys(one.bits for one in plan.spreads):
        if bits:
            yield shuffle_chain(bits)
        yield candidates_chain(pool, bits, IP_SADDR, to_claimed)
        yield chain_of(pool, names.chances(pool.name, bits), *_chances(pool, bits))
    yield chain_of(pool, names.claimed_socket(pool.name), *claimed(context, pool, IP_SADDR))


def block_tries(pool: Pool, plan: PortPlan, number: int) -> tuple[list[Chain], list[Statements]]:
    """The last rules of the chain of a block, from which nothing comes back, and a chain for each limit where
    protocols have several: a rule that has tested `tcp` is listed as one that writes a checksum, too."""
    first = plan.layout.stock.block(0, number).first
    if len(plan.spreads) == 1:
        return [], list(_tried(pool, plan.spreads[0], first))
    chains: list[Chain] = []
    rules: list[Statements] = []
    for one in plan.spreads:
        name = names.block_sockets(pool.name, number, one.protocols)
        chains.append(chain_of(pool, name, *_tried(pool, one, first)))
        rules.append((match(L4PROTO, *one.protocols), goto(name)))
    return chains, rules


def _tried(pool: Pool, spread: Spread, first: int) -> Iterator[Statements]:
    parts = [ports for at in range(spread.parts) if (ports := spread.part(first, at)) is not None]
    begin: Statements = (set_field(IP_SADDR, lookup(IP_SADDR, names.addresses(pool.name))),)
    candidates: Statement = jump(names.candidates(pool.name, spread.bits))
    for ports in parts if len(parts) > 1 else ():
        if spread.bits and pool.ports_at_random:
            yield *begin, port_among(ports), jump(names.shuffle(spread.bits))
            yield (candidates,)
        else:
            yield *begin, port_among(ports), candidates
        begin = ()
    yield *begin, port_among(parts[0]), goto(names.chances(pool.name, spread.bits))


def _chances(pool: Pool, bits: int) -> Iterator[Statements]:
    """The candidates as they are, then with low bits turned over at random."""
    candidates: Statements = (jump(names.candidates(pool.name, bits)),)
    if not (bits and pool.ports_at_random):
        yield candidates
    for _ in range(AGAIN if bits else 0):
        yield (jump(names.shuffle(bits)),)
        yield candidates
    yield counter(names.pool_counter(pool.name, "conflict")), DROP
