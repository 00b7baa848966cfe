"""The whole table: FEATURES in order, each with what it contributes, and the chains that they share.

The order of FEATURES is the order of the rules in every shared chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path
from nfcompile.emit import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Hook,
    Map,
    Name,
    Object,
    Set,
    Table,
)
from nfcompile.emit.validate import pruned
from nfcompile.lower import names
from nfcompile.lower.arriving import arriving
from nfcompile.lower.cheapest_first import cheapest_first
from nfcompile.lower.connection_policy import helpers
from nfcompile.lower.context import Context, lowering_context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.dnat_rules import dnat
from nfcompile.lower.exhaustion import exhaustion
from nfcompile.lower.flowtable import flowtable
from nfcompile.lower.gate import gate
from nfcompile.lower.guard import admission, guard, outbound
from nfcompile.lower.host_timeouts import remarks
from nfcompile.lower.mapping import learning
from nfcompile.lower.one_armed import direction_sets
from nfcompile.lower.partly_closed import partly_closed
from nfcompile.lower.pools import pools
from nfcompile.lower.reachable import reachable
from nfcompile.lower.renewal import renewal
from nfcompile.lower.session_limits import session_limit
from nfcompile.lower.snat_rules import snat
from nfcompile.lower.sources import among_inside, sources
from nfcompile.lower.vlans import vlan_zones, zone_remarks
from nfcompile.model.site import Site

FEATURES: tuple[Callable[[Context], Contribution], ...] = (
    vlan_zones,
    gate,
    sources,
    partly_closed,
    exhaustion,
    dnat,
    admission,
    reachable,
    snat,
    outbound,
    pools,
    arriving,
    session_limit,
    flowtable,
    helpers,
    among_inside,
    learning,
    renewal,
    guard,
)
"""What a gateway does, in the order in which a packet meets it."""

POOLS = ("pools",)
SHARED: tuple[tuple[str, Name, Path, Hook | None], ...] = (
    ("prerouting", names.PREROUTING, (), Hook("nat", "prerouting", "dstnat")),
    ("gateway", names.LOCAL, POOLS, Hook("filter", "input", "filter")),
    ("forward", names.FORWARD, (), Hook("filter", "forward", "filter")),
    ("postrouting", names.POSTROUTING, (), Hook("nat", "postrouting", "srcnat")),
    ("translated", names.GUARD, POOLS, Hook("filter", "postrouting", "srcnat + 1")),
    ("outbound", names.OUTBOUND, POOLS, None),
    ("outgoing", names.OUTGOING, POOLS, None),
)
"""Chains in which features share the rules: field of Contribution, name, site path, hook."""

ORDER = (Counter, CtTimeout, CtHelper, Flowtable, Set, Map, Chain)
"""Kinds of objects in the order in which they are written."""


def lower(site: Site, allocations: tuple[PoolAllocation, ...]) -> Table:
    """Translate a site that analysis has accepted."""
    context = lowering_context(site, allocations)
    contributions = [feature(context) for feature in FEATURES]
    own = [one for contribution in contributions for one in contribution.objects]
    objects: tuple[Object, ...] = (*_hooked(own), *_shared(contributions), *_inner(own))
    objects = (*direction_sets(context, objects), *objects)
    ordered = cheapest_first(one for kind in ORDER for one in objects if isinstance(one, kind))
    return pruned(Table(names.TABLE, ordered, (*remarks(site), *zone_remarks(site))))


def _shared(contributions: list[Contribution]) -> Iterator[Chain]:
    for field, name, origin, hook in SHARED:
        rules = tuple(rule for one in contributions for rule in getattr(one, field))
        if rules:
            yield Chain(name, rules, origin, hook)


def _hooked(own: list[Object]) -> Iterator[Object]:
    """Base chains of one feature alone: packets meet them before the shared ones."""
    return (one for one in own if isinstance(one, Chain) and one.hook)


def _inner(own: list[Object]) -> Iterator[Object]:
    """Everything else; a policy or chain that pools share is there once."""
    seen: set[CtTimeout | Counter | Chain] = set()
    met: set[int] = set()
    for one in own:
        if isinstance(one, Chain) and one.hook:
            continue
        if isinstance(one, CtTimeout | Counter) or (isinstance(one, Chain) and not one.name.owner):
            if id(one) in met:  # to compare the values of two chains takes longer
                continue
            met.add(id(one))
            if one._replace(origin=()) in seen:
                continue
            seen.add(one._replace(origin=()))
        yield one
