"""What a packet meets, in plain Python: the first packet of a connection against a site, step by step.

This is the contract read aloud, without a thought for speed or for nft. `nfcompile prove` holds the compiled
ruleset against it, and the kernel tests hold the kernel against it. It shares the values of a site and the
allocation (who has which block) with the compiler, nothing else.

A packet's numbers are ranges that hold one number. `prove` gives parts of a box instead (parts.py): then
every answer holds for all packets of the box, or Split says where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.model.protocols import IN_BLOCK, NUMBERS, TCP, UDP, WITH_PORTS
from nfcompile.model.ranges import PORT_LAST, Range, address_text, port_text, range_text, subtract
from nfcompile.model.rules import DnatRule, Qualifier, Qualifiers, SnatRule
from nfcompile.model.site import AclRule, Pool, Site
from nfcompile.model.sources import named_sources, own_sources
from nfcompile.verify.boxes import LOCAL, Names, Packet, RangeTable, has, one_of
from nfcompile.verify.candidates import Candidates, FirstMatch
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS, Blocks, taken
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.sources import Sources, sources
from nfcompile.verify.value_arithmetic import moved

MULTICAST = Range(0xE0000000, 0xEFFFFFFF)
ANY_PORT = Range(0, PORT_LAST)
VRRP = NUMBERS["vrrp"]
LOW_PORTS = Range(0, 1023)
Route = Callable[[Range], str | Names]
"""The gateway's routing table: the interface behind which an address is."""


class Fate(NamedTuple):
    """Dropped, or forwarded with these ends: every value of the ranges is right. `pool` took it."""

    action: str
    sources: Range
    source_ports: Range
    destinations: Range
    destination_ports: Range
    reason: str
    pool: str | None = None

    def __str__(self) -> str:
        if self.action == "drop":
            return f"drop ({self.reason})"
        left = f"{range_text(self.sources)}:{port_text(self.source_ports)}"
        right = f"{range_text(self.destinations)}:{port_text(self.destination_ports)}"
        return f"{left} > {right} ({self.reason})"


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


class Gateway(NamedTuple):
    """A site, and what follows from it for every packet: its two sides, whose addresses are global, and which
    is the gateway's own as well. In a pair the gate may be closed.

    `shared` interfaces are on both sides; there addresses in `networks` are inside.
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
    is_closed: bool = False


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
        is_closed,
    )


def opens_inbound(pool: Pool) -> bool:
    """Whether the outside may open connections to global addresses of a pool."""
    return pool.leads_inbound or (pool.owns_addresses and pool.allow_external_connect)


def _reached(one: Served) -> list[Range]:
    """Global addresses behind which a subscriber may be found."""
    return [*one.reached.ranges, *(one.pool.global_ip if one.owned else ())]


class Chosen(tuple[Served, ...]):
    """Pools in their order, compared by which they are."""

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chosen) and list(map(id, self)) == list(map(id, other))


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


# ---- the way of a packet


def fate(gate: Gateway, probe: Packet, route: Route) -> Fate:
    """Decide."""
    original = probe
    destinations, destination_ports = probe.destination, probe.destination_port
    mark = 0
    from_inside = is_inside(gate, probe.interface, probe.source)
    from_outside = is_outside(gate, probe.interface, probe.source)
    from_either = from_inside or from_outside
    if gate.is_closed and from_either and not passes_closed(gate.site, probe):
        return dropped("the gate is closed")

    if from_outside and is_own(gate, probe.source):
        return dropped("forged")
    if from_either and gate.sources.closed.holds(probe.destination):
        if from_outside:
            return dropped("a subscriber's own address")
        if is_outside(gate, route(probe.source), probe.source):
            return dropped("forged")
    # On a one-armed gateway such a packet comes from inside.
    subscriber = from_outside and not gate.shared and gate.sources.closed.holds(probe.source)
    if subscriber and one_of(gate.inside, route(probe.source)):
        return dropped("forged")

    dnat = first_dnat(gate, probe, route(probe.destination))
    if dnat is not None:
        mark = dnat.mark.value if dnat.mark else 0
        if dnat.dnat_ip is not None:
            given = (
                same_host(dnat.match.dst_cidr, dnat.dnat_ip, destinations) if dnat.prefix else dnat.dnat_ip
            )
            destination, destinations = taken(given, probe.chosen, 0)
            probe = probe._replace(destination=destination)
        if dnat.dnat_port is not None:
            port, destination_ports = taken(dnat.dnat_port, probe.chosen, 1)
            probe = probe._replace(destination_port=port)
    rewritten = probe.destination != original.destination
    anybody = any(served.pool.hairpins for served in gate.pools)
    hairpin = anybody and from_inside and rewritten and is_global(gate, original.destination)
    asks_global = from_either and is_global(gate, probe.destination)
    # Also where a rule leads to where the packet goes anyway: its translation is the only one.
    midstream_to_own = not opens(gate, probe) and gate.own.holds(probe.destination)
    if not leads(dnat) and asks_global and not midstream_to_own:
        local = local_address(gate, probe, from_inside)
        if local is not None:
            hairpin = from_inside
            destinations = local
            probe = probe._replace(destination=local)
    own = False
    if from_either and is_global(gate, probe.destination):
        own = gate.own.holds(probe.destination) and one_of((LOCAL,), route(probe.destination))
        if not own:
            return dropped("unsolicited")

    def forwarded(sources: Range, ports: Range, reason: str, pool: str | None = None) -> Fate:
        return Fate("forward", sources, ports, destinations, destination_ports, reason, pool)

    untouched = forwarded(probe.source, probe.source_port, "untranslated")
    out = route(probe.destination)
    to_outside = is_outside(gate, out, probe.destination)
    if from_either and to_outside and gate.sources.own.holds(probe.destination):
        return dropped("unsolicited")
    led_on = from_either and probe.destination != original.destination
    if led_on and is_global(gate, original.destination) and not one_of((LOCAL,), out):
        for served in gate.limited:
            if keeps_out(served, gate.site, original.destination, probe._replace(interface=out)):
                return dropped(f"the acl of {served.pool.name}")
    hairpin = hairpin and is_inside(gate, out, probe.destination)
    if from_inside and (to_outside or hairpin) and is_own(gate, probe.source):
        return dropped("forged")
    if not opens(gate, probe) and ((from_inside and to_outside) or (asks_global and not own)):
        return dropped("no connection starts without SYN")
    if not from_inside:
        return untouched
    as_named = untouched
    named = gate.sources.named
    if to_outside and named is not None and not named.holds(probe.source):
        as_named = dropped("a source that the site does not name")
    snat = first_snat(gate, probe, mark, out)
    if snat is not None and snat.exclude:
        return as_named
    if snat is not None:
        return forwarded(new_source(snat, probe), snat.snat_port or ANY_PORT, f"snat {snat.name}")
    if not to_outside and not hairpin:
        return untouched
    for served in gate.by_source.of(probe.source):
        pool = served.pool
        if not accepts(gate, served, probe):
            continue
        if hairpin and not pool.hairpin:
            return dropped(f"hairpin is off in {pool.name}")
        if not pool.translates:
            return untouched._replace(pool=pool.name)
        found = translation(served, probe)
        if found is None:
            return dropped(f"nothing left in {pool.name}")
        return forwarded(*found, f"pool {pool.name}", pool.name)
    return as_named


def passes_closed(site: Site, probe: Packet) -> bool:
    """What a closed gate lets through: VRRP, multicast, and what is for a node's own address."""
    assert site.pair is not None
    own = [Range(one.address, one.address) for node in site.pair.nodes for one in node.addresses]
    return probe.protocol == VRRP or any(has(one, probe.destination) for one in (MULTICAST, *own))


def leads(rule: DnatRule | None) -> bool:
    """Whether a rule translates the destination; one that only marks leaves it to the pools."""
    return rule is not None and (rule.dnat_ip is not None or rule.dnat_port is not None)


def opens(gate: Gateway, probe: Packet) -> bool:
    """Whether a connection may start with the packet: TCP needs a SYN, on a gateway that translates
    sources."""
    site = gate.site
    towards_outside = (
        rule
        for rule in site.snat
        if not rule.exclude and gate.outside.intersection(rule.match.interfaces(sorted(gate.outside)))
    )
    translates = bool(gate.pools) or any(towards_outside)
    return probe.opens or probe.protocol != TCP or not translates or site.defaults.permit_invalid_flow


def dropped(reason: str) -> Fate:
    nothing = Range(0, 0)
    return Fate("drop", nothing, nothing, nothing, nothing, reason)


# ---- marks


def first_dnat(gate: Gateway, probe: Packet, towards: str | Names) -> DnatRule | None:
    """`towards` is where the packet would go: what stays inside, and what is for the gateway itself, is left
    alone by rules that do not say otherwise."""
    for rule in gate.site.dnat:
        destination, named = rule.match.dst_cidr, rule.match.names_interfaces
        if not one_of(rule.match.interfaces(sorted(gate.inside)), probe.interface):
            continue
        if not named and not is_inside(gate, probe.interface, probe.source):
            continue
        if not named and (destination is None or destination.negated):
            back = gate.shared and gate.networks.holds(probe.destination)
            if back or one_of({*(gate.inside - gate.shared), LOCAL}, towards):
                continue
        if qualifies(rule.match, probe):
            return rule
    return None


def first_snat(gate: Gateway, probe: Packet, mark: int, out: str | Names) -> SnatRule | None:
    """A rule without interfaces is for what goes outside, one that names some for all that leaves there."""
    for rule in gate.site.snat:
        if rule.mark is not None and any(one.is_in(mark) for one in rule.mark.values) == rule.mark.negated:
            continue
        if not one_of(rule.match.interfaces(sorted(gate.outside)), out):
            continue
        if not rule.match.names_interfaces and not is_outside(gate, out, probe.destination):
            continue
        if qualifies(rule.match, probe):
            return rule
    return None


def new_source(rule: SnatRule, probe: Packet) -> Range:
    """The address that a rule gives: its own, one to one with the source, or the outgoing interface's."""
    if rule.snat_ip is None:
        return INTERFACE_ADDRESS
    return same_host(rule.match.src_cidr, rule.snat_ip, probe.source) if rule.prefix else rule.snat_ip


def same_host(asked: Qualifier[Range] | None, prefix: Range, address: Range) -> Range:
    """The address of another prefix with the same place in it."""
    assert asked is not None
    assert asked.single is not None
    return moved(address, prefix.first - asked.single.first)


def qualifies(match: Qualifiers, probe: Packet) -> bool:
    return (
        (match.protocol is None or (probe.protocol in match.protocol.values) != match.protocol.negated)
        and meets(match.src_cidr, probe.source)
        and meets(match.src_port, probe.source_port)
        and meets(match.dst_cidr, probe.destination)
        and meets(match.dst_port, probe.destination_port)
    )


def meets(asked: Qualifier[Range] | None, value: Range) -> bool:
    return asked is None or RangeTable.of(asked.values).holds(value) != asked.negated


# ---- global addresses


def is_global(gate: Gateway, address: Range) -> bool:
    return gate.globals.holds(address)


def is_own(gate: Gateway, address: Range) -> bool:
    """Whether an address is global and the gateway's: a pool's, an snat rule's, a secondary one."""
    return is_global(gate, address) or gate.sources.own.holds(address)


def keeps_out(served: Served, site: Site, asked: Range, arrived: Packet) -> bool:
    """Whether the ACL of a pool leaves out what its global address has led to a subscriber. It holds
    whichever end opens the connection: `src` is the subscriber, whose interface the packet has here."""
    pool = served.pool
    mine = RangeTable.of(pool.global_ranges).holds(asked)
    if not mine or not RangeTable.of(served.allocation.subscribers).holds(arrived.destination):
        return False
    ends = arrived.destination, arrived.destination_port, arrived.source, arrived.source_port
    back = Packet(arrived.interface, arrived.protocol, *ends, arrived.opens, arrived.chosen)
    verdict = first_hit(site, served.rules, back)
    return verdict is False if pool.is_static else verdict is not True


def local_address(gate: Gateway, probe: Packet, from_inside: bool) -> Range | None:
    """Whose global address the destination is, if this side may open connections to it."""
    side = gate.reached_inside if from_inside else gate.reached_outside
    for served in side.of(probe.destination):
        found = served.reached.look_up(probe.destination) or block_owner(served, probe)
        if found is not None:
            return found[0]
    return None


def block_owner(served: Served, probe: Packet) -> tuple[Range, int] | None:
    """The subscriber with the block of a packet's destination, where it may be reached by its block."""
    if probe.protocol not in (TCP, UDP) or not served.owned:
        return None
    if not RangeTable.of(served.pool.global_ip).holds(probe.destination):
        return None
    found = served.owned_ports[probe.protocol].look_up(probe.destination_port)
    table = served.owned.get(found[1]) if found is not None else None
    return table.look_up(probe.destination) if table is not None else None


# ---- pools


def accepts(gate: Gateway, served: Served, probe: Packet) -> bool:
    """Whether the pool takes the packet: first hit of its ACL, then what a static pool implies."""
    pool = served.pool
    if served.subscribers is not None and not served.subscribers.holds(probe.source):
        return False
    verdict = first_hit(gate.site, served.rules, probe)
    if not pool.is_static:
        return verdict is True
    return verdict is not False and static_address(served, probe) is not None


def first_hit(site: Site, rules: FirstMatch | None, probe: Packet) -> bool | None:
    found = rules.of(probe.source, probe.destination) if rules else []
    if isinstance(found, bool):
        return found
    return next((rule.allow for rule in found if hits(site, rule, probe)), None)


def hits(site: Site, rule: AclRule, probe: Packet) -> bool:
    return (
        rule.protocol in (-1, probe.protocol)
        and has(rule.source, probe.source)
        and has(rule.destination, probe.destination)
        and (rule.vid is None or one_of((site.interfaces.vlan(rule.vid),), probe.interface))
        and (not rule.source_ports or RangeTable.of(rule.source_ports).holds(probe.source_port))
        and (
            not rule.destination_ports or RangeTable.of(rule.destination_ports).holds(probe.destination_port)
        )
    )


def static_address(served: Served, probe: Packet) -> Range | None:
    """The global address of a static entry; one with a VLAN is for what comes from there."""
    for vlan, table in served.local:
        if vlan and not one_of((vlan,), probe.interface):
            continue
        found = table.look_up(probe.source)
        if found is not None:
            return found[0]
    return None


def translation(served: Served, probe: Packet) -> tuple[Range, Range] | None:
    """The source's global address, and the ports that it may get there."""
    pool, allocation, port = served.pool, served.allocation, probe.source_port
    ported = pool.shares_addresses and probe.protocol in IN_BLOCK
    if pool.is_static:
        address = static_address(served, probe)
        return (address, port) if address is not None else None
    if served.blocks is None:
        # Who comes first has the choice: any block of the pool.
        everywhere = Range(min(one.first for one in pool.global_ip), max(one.last for one in pool.global_ip))
        return everywhere, pool.port_range if ported else port
    found = served.blocks.look_up_all(probe.source)
    if found is None:
        return None
    address, numbers = found
    if not ported:
        return address, port
    limit = {TCP: allocation.tcp, UDP: allocation.udp}.get(probe.protocol, allocation.stock.block_size)
    low = allocation.low is not None and probe.protocol in WITH_PORTS and has(LOW_PORTS, port)
    rows = []
    for where, number in numbers:
        block = allocation.stock.block(address.first, number)
        few = allocation.low_block(block) if low else None
        ports = Range(few.first, few.last) if few else Range(block.first, block.first + limit - 1)
        rows.append((where, ports))
    field = probe.source.field if isinstance(probe.source, FieldValues) else ""
    return address, Blocks.of(field, rows)


def spelled(probe: Packet) -> str:
    """A probe of single numbers for a message."""
    left = f"{address_text(probe.source.first)}:{probe.source_port.first}"
    right = f"{address_text(probe.destination.first)}:{probe.destination_port.first}"
    return f"{probe.protocol}@{probe.interface} {left} > {right}{'' if probe.opens else ' (no SYN)'}"
