"""Which pool's entries a connection renews: found by the global addresses of its two ends.

With a few pools each is asked; with more of them one look-up for each end says which it is, so that the
renewal costs the same with five pools and with a thousand. Pools that share addresses are asked by the port.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Object, Rule
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import CT_STATUS, jump, match
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.dispatch import by_global, is_flat
from nfcompile.lower.part import pool_rule
from nfcompile.lower.whose_address import whose

POOLS = ("pools",)


class End(NamedTuple):
    """An end of a connection: where conntrack has its global address, and the status of one that has."""

    side: str
    status: str
    address: Field


ENDS = (
    End("inside", "snat", Field("ct reply ip daddr")),
    End("outside", "dnat", Field("ct original ip daddr")),
)


def refresh_entries(context: Context, renewing: list[PoolAllocation]) -> Iterator[Object]:
    """The chain that leads to the pools of a connection. A hairpin has two."""
    if not is_flat(context):
        rules = (rule for one in renewing for end in ENDS for rule in _asked(context, one, end))
        yield Chain(names.REFRESH_ENTRIES, tuple(rules), POOLS)
        return
    jumps = []
    for end in ENDS:
        yield from _by_address(context, renewing, end)
        jumps.append(Rule((match(CT_STATUS, end.status), jump(names.refresh_end(end.side))), POOLS))
    yield Chain(names.REFRESH_ENTRIES, tuple(jumps), POOLS)


def _by_address(context: Context, renewing: list[PoolAllocation], end: End) -> Iterator[Object]:
    sharing = [one for one in renewing if one.pool.name in context.in_common]
    alone = (one.pool.name for one in renewing if one.pool.name not in context.in_common)
    rules = [rule for one in sharing for rule in _asked(context, one, end)]
    if chains := {pool: names.opened(end.side, pool) for pool in alone}:
        tables, look = by_global(context, f"refresh_{end.side}", end.address, chains)
        yield from tables
        rules.insert(0, Rule((look,), POOLS))
    yield Chain(names.refresh_end(end.side), tuple(rules), POOLS)


def _asked(context: Context, allocation: PoolAllocation, end: End) -> Iterator[Rule]:
    pool = allocation.pool
    go = jump(names.opened(end.side, pool.name))
    for mine in whose(context, allocation, end.address):
        yield pool_rule(pool, match(CT_STATUS, end.status), *mine, go)
