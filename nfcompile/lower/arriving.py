"""Connections that the outside opens get what the pool's own connections get: timeouts, helper, events.

On their way out to the inside interface, after destination NAT: the global address that they asked for says
which pool it was, in static pools the host that they reach (its set of hosts is there already). Those are
asked last, since such a host may be another pool's subscriber as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Rule, words
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.connection_policy import policy
from nfcompile.lower.gate import Gate
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.model.ranges import union
from nfcompile.model.site import Pool

POOLS = ("pools",)
ARRIVING = "arriving"


def arriving(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The chains, and the rule for the source NAT chain; nothing where the outside opens no connection."""
    allocations = [allocation for allocation in gate.allocations if allocation.pool.opens_to_outside]
    if not allocations:
        return (), ()
    last = sorted(allocations, key=lambda allocation: allocation.pool.type == "static")
    rules = tuple(rule for allocation in last for rule in _whose(allocation.pool))
    chains = [Chain(ARRIVING, rules, POOLS, None, "pools")]
    chains += (_policy(gate, allocation) for allocation in allocations)
    match = gate.from_outside, gate.to_inside, "ct status dnat", f"ct original ip daddr @{names.GLOBALS}"
    return tuple(chains), (Rule((*match, f"jump {ARRIVING}"), POOLS, "pools"),)


def _whose(pool: Pool) -> Iterator[Rule]:
    go = f"goto {ARRIVING}_{pool.name}"
    if pool.type != "static":
        yield pool_rule(pool, f"ct original ip daddr {words.addresses(union(pool.global_ip))}", go)
        return
    if any(entry.vid is None for entry in pool.global_map):
        yield pool_rule(pool, f"ip daddr @{names.subscribers(pool.name)}", go)
    if any(entry.vid is not None for entry in pool.global_map):
        yield pool_rule(pool, f"oifname . ip daddr @{names.tagged_subscribers(pool.name)}", go)


def _policy(gate: Gate, allocation: PoolAllocation) -> Chain:
    _, rules = policy(gate, allocation)
    return pool_chain(allocation.pool, f"{ARRIVING}_{allocation.pool.name}", *rules)
