"""The site as the reference reads it: pools with what they serve, and the sides of the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.model.protocols import TCP, UDP
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, subtract
from nfcompile.model.rules import DnatRule, Qualifier, SnatRule
from nfcompile.model.site import Pool, Site
from nfcompile.model.sources import named_sources, own_sources
from nfcompile.model.vlans import shared_addresses
from nfcompile.verify.boxes import Names, RangeTable, one_of
from nfcompile.verify.candidates import Candidates, FirstMatch
from nfcompile.verify.sources import Sources, sources

ANY_PORT = Range(0, PORT_LAST)
One = TypeVar("One")


class Served(NamedTuple):
    """A pool, and where its subscribers and its global addresses are to be found.

    subscribers    the subscribers of the pool, where `subscribers` names them
    local          the local addresses of static entries, by VLAN interface ("": any interface), with their
    globals reached        global addresses that belong to one host, and that host
    blocks         subscribers of deterministic pools: their global address, tagged with the number of the
    block
    owned          the way back, where the outside may go it: global addresses by the number of a block,
    owned_ports    and by protocol the ports that lead to one, tagged with its number
    rules          the rules of its ACL, by source and destination
    """

    allocation: PoolAllocation
    subscribers: RangeTable | None
    local: tuple[tuple[str, RangeTable], ...]
    reached: RangeTable
    blocks: RangeTable | None
    owned: Mapping[int, RangeTable]
    owned_ports: Mapping[int, RangeTable]
    rules: FirstMatch | None

    @property
    def pool(self) -> Pool:
        return self.allocation.pool

    def has_trial(self, site: Site) -> bool:
        """Whether an assignment that nothing has answered ends early."""
        return self.pool.is_dynamic and site.defaults.assignment_trial < self.pool.timeouts.longest


class Gateway(NamedTuple):
    """A site, and what follows from it for every packet: its two sides, whose addresses are global, and which
    is the gateway's own as well. In a pair the gate may be closed.

    `shared` interfaces are on both sides; there addresses in `networks` are inside. `dnat`, `snat`: the rules
    that a destination, or a source, can meet; `dnat_from`: where packets of some dnat rule arrive.
    `tells_vlans_apart`: two VLANs have the same addresses.
    """

    site: Site
    pools: tuple[Served, ...]
    inside: frozenset[str]
    outside: frozenset[str]
    shared: frozenset[str]
    networks: RangeTable
    globals: RangeTable
    own: RangeTable
    by_source: Candidates[Served, tuple[Served, ...]]
    reached_inside: Candidates[Served, tuple[Served, ...]]
    reached_outside: Candidates[Served, tuple[Served, ...]]
    limited: tuple[Served, ...]
    sources: Sources
    dnat: Candidates[DnatRule, tuple[DnatRule, ...]]
    snat: Candidates[SnatRule, tuple[SnatRule, ...]]
    dnat_from: frozenset[str]
    is_closed: bool = False
    tells_vlans_apart: bool = False

    @property
    def takes_any(self) -> bool:
        """Whether an ACL's `any` holds the gateway's own addresses too, which remain reachable."""
        return any(pool.takes_any_source for pool in self.site.active_pools)

    @property
    def is_reached(self) -> bool:
        """Whether a host that no pool translates may open connections to a subscriber of some pool: one
        outside, or one inside where an address is a subscriber's alone."""
        return any(one.pool.can_be_reached or one.pool.opens_to_outside for one in self.pools)

    @property
    def guards(self) -> bool:
        """Whether there is a source that must not leave as it is: otherwise a gateway only forwards."""
        rules = any(not rule.exclude for rule in self.site.snat)
        return bool(self.pools or rules or self.sources.own.ranges or self.sources.named is not None)


def gateway(site: Site, allocations: Sequence[PoolAllocation], is_closed: bool = False) -> Gateway:
    """Read a site once for many packets."""
    pools = site.active_pools
    mine = [one for pool in pools for one in pool.global_ranges]
    inside, outside = sides(site)
    primary = site.gateway.primary_ip
    own = RangeTable.of([] if primary is None else [Range(primary, primary)])
    tables = tuple(served(site, allocation) for allocation in allocations)
    return Gateway(
        site,
        tables,
        inside,
        outside,
        frozenset(site.interfaces.shared),
        RangeTable.of(subtract(networks(site), [*mine, *own_sources(site)])),
        RangeTable.of(mine),
        own,
        Candidates([(_sources(one.pool), one) for one in tables], Chosen),
        Candidates([(_reached(one), one) for one in tables if one.pool.hairpin], Chosen),
        Candidates([(_reached(one), one) for one in tables if opens_inbound(one.pool)], Chosen),
        tuple(one for one in tables if one.pool.acl is not None and one.pool.is_reached_by_acl),
        sources(site, allocations),
        Candidates([(_asked(rule.match.dst_cidr), rule) for rule in site.dnat], Chosen),
        Candidates([(_asked(rule.match.src_cidr), rule) for rule in site.snat], Chosen),
        frozenset(name for rule in site.dnat for name in rule.match.interfaces(sorted(inside))),
        is_closed,
        bool(shared_addresses(site)),
    )


def opens_inbound(pool: Pool) -> bool:
    """Whether the outside may open connections to global addresses of a pool."""
    return pool.leads_inbound or (pool.owns_addresses and pool.allow_external_connect)


def _reached(one: Served) -> list[Range]:
    """Global addresses behind which a subscriber may be found."""
    return [*one.reached.ranges, *(one.pool.global_ip if one.owned else ())]


class Chosen(tuple[One, ...]):
    """Pools or rules in their order, compared by which they are."""

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chosen) and list(map(id, self)) == list(map(id, other))


def _asked(addresses: Qualifier[Range] | None) -> Sequence[Range]:
    """The addresses that a rule can be for."""
    if addresses is None:
        return (EVERYWHERE,)
    return subtract((EVERYWHERE,), addresses.values) if addresses.negated else addresses.values


def _sources(pool: Pool) -> list[Range]:
    """Where the sources are that a pool may take; perhaps it takes only some."""
    if pool.is_static:
        return [entry.local for entry in pool.global_map]
    return [rule.source for rule in pool.acl.rules if rule.allow] if pool.acl else []


def served(site: Site, allocation: PoolAllocation) -> Served:
    """A pool's tables. Only deterministic pools know which subscriber has what."""
    pool = allocation.pool
    local: dict[str, list[tuple[Range, int, int]]] = {}
    reached: list[tuple[Range, int, int]] = []
    for entry in pool.global_map:
        vlan = "" if entry.vid is None else site.interfaces.vlan(entry.vid)
        local.setdefault(vlan, []).append((entry.local, entry.globals.first - entry.local.first, 0))
        reached.append((entry.globals, entry.local.first - entry.globals.first, 0))
    blocks, owned = None, dict[int, list[tuple[Range, int, int]]]()
    if pool.is_deterministic:
        runs = list(allocation.layout().runs())
        blocks = RangeTable(
            (run.subscribers, run.addresses.first - run.subscribers.first, run.block) for run in runs
        )
        for run in runs if pool.leads_inbound else ():
            back = run.subscribers.first - run.addresses.first
            owned.setdefault(run.block, []).append((run.addresses, back, 0))
        if not pool.shares_addresses:
            reached += [(run.addresses, run.subscribers.first - run.addresses.first, 0) for run in runs]
    return Served(
        allocation,
        RangeTable.of(pool.subscribers) if pool.subscribers is not None else None,
        tuple((vlan, RangeTable(rows)) for vlan, rows in local.items()),
        RangeTable(reached),
        blocks,
        {number: RangeTable(rows) for number, rows in owned.items()},
        {protocol: _owned_ports(allocation, owned, protocol) for protocol in (TCP, UDP)},
        FirstMatch(sorted(pool.acl.rules, key=lambda rule: rule.number)) if pool.acl else None,
    )


def _owned_ports(allocation: PoolAllocation, numbers: Iterable[int], protocol: int) -> RangeTable:
    rows: list[tuple[Range, int, int]] = []
    for number in numbers:
        block = allocation.stock.block(0, number)
        low = allocation.low_block(block)
        last = block.first + (allocation.tcp if protocol == TCP else allocation.udp) - 1
        rows.append((Range(block.first, last), 0, number))
        if low is not None:
            rows.append((Range(low.first, low.last), 0, number))
    return RangeTable(rows)


def sides(site: Site) -> tuple[frozenset[str], frozenset[str]]:
    """Inside and outside interfaces; VLAN interfaces count as inside."""
    inside = set(site.interfaces.inside)
    if site.defaults.vlan_mode != "untagged":
        vids = {vid for vid, _ in site.interfaces.vlans}
        vids |= {rule.vid for acl in site.acls for rule in acl.rules if rule.vid is not None}
        vids |= {entry.vid for pool in site.pools for entry in pool.global_map if entry.vid is not None}
        inside |= {site.interfaces.vlan(vid) for vid in vids}
    return frozenset(inside), frozenset(site.interfaces.outside)


def networks(site: Site) -> tuple[Range, ...]:
    """The networks of the inside of a one-armed gateway: those that the site lists, or every source that it
    names. The gateway's global addresses are not among them."""
    given = site.interfaces.inside_networks
    return named_sources(site) if given is None else given


def is_inside(gate: Gateway, interface: str | Names, address: Range) -> bool:
    """Whether a packet comes from inside, by its source, or goes there, by its destination."""
    if one_of(gate.inside - gate.shared, interface):
        return True
    return one_of(gate.shared, interface) and gate.networks.holds(address)


def is_outside(gate: Gateway, interface: str | Names, address: Range) -> bool:
    """The same of outside."""
    return one_of(gate.outside, interface) and not is_inside(gate, interface, address)
