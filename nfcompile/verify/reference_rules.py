"""Which line of the site takes a packet, and what it makes of it: ACLs, pools, `dnat` and `snat` rules."""

from __future__ import annotations

from nfcompile.ipalloc import Stock
from nfcompile.model.protocols import IN_BLOCK, TCP, UDP, WITH_PORTS
from nfcompile.model.ranges import Range
from nfcompile.model.rules import DnatRule, Qualifier, Qualifiers, SnatRule
from nfcompile.model.site import AclRule, Site
from nfcompile.verify.boxes import LOCAL, Names, Packet, RangeTable, has, one_of
from nfcompile.verify.candidates import FirstMatch
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS, Blocks
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.reference_site import Gateway, Served, is_inside, is_outside
from nfcompile.verify.value_arithmetic import moved

LOW_PORTS = Range(0, 1023)


def first_dnat(gate: Gateway, probe: Packet, towards: str | Names) -> DnatRule | None:
    """`towards` is where the packet would go: what stays inside, and what is for the gateway itself, is left
    alone by rules that do not say otherwise."""
    if not one_of(gate.dnat_from, probe.interface):
        return None
    for rule in gate.dnat.of(probe.destination):
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


def first_snat(gate: Gateway, probe: Packet, mark: int | None, out: str | Names) -> SnatRule | None:
    """A rule without interfaces is for what goes outside, one that names some for all that leaves there.
    `mark` is None for a packet without a connection: no rule that asks for a mark takes it."""
    for rule in gate.snat.of(probe.source):
        if rule.mark is not None and (
            mark is None or any(one.is_in(mark) for one in rule.mark.values) == rule.mark.negated
        ):
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


def keeps_out(served: Served, site: Site, asked: Range, arrived: Packet) -> bool:
    """Whether the ACL of a pool leaves out what its global address has led to a subscriber. It holds
    whichever end opens the connection: `src` is the subscriber, whose interface the packet has here."""
    pool = served.pool
    mine = RangeTable.of(pool.global_ranges).holds(asked)
    if not mine or not RangeTable.of(served.allocation.subscribers).holds(arrived.destination):
        return False
    verdict = first_hit(site, served.rules, turned(arrived, arrived.interface))
    return verdict is False if pool.is_static else verdict is not True


def would_be_translated(gate: Gateway, probe: Packet) -> bool:
    """Whether a pool that takes some packets of this source takes this one."""
    partly = gate.sources.partly
    mine = [one for one in gate.by_source.of(probe.source) if one.pool.name in partly] if partly else []
    return any(partly[one.pool.name].holds(probe.source) and accepts(gate, one, probe) for one in mine)


def turned(probe: Packet, interface: str | Names) -> Packet:
    """The packet of the other end, which arrives where this one would leave."""
    ends = probe.destination, probe.destination_port, probe.source, probe.source_port
    return Packet(interface, probe.protocol, *ends, probe.opens, probe.chosen)


def block_owner(served: Served, probe: Packet) -> tuple[Range, int] | None:
    """The subscriber with the block of a packet's destination, where it may be reached by its block."""
    if probe.protocol not in (TCP, UDP) or not served.owned:
        return None
    if not RangeTable.of(served.pool.global_ip).holds(probe.destination):
        return None
    found = served.owned_ports[probe.protocol].look_up(probe.destination_port)
    table = served.owned.get(found[1]) if found is not None else None
    return table.look_up(probe.destination) if table is not None else None


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
        return everywhere, _blocks(allocation.stock) if ported else port
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


def _blocks(stock: Stock) -> Range:
    """The ports that are in a block."""
    first, last = stock.block(0, 0), stock.block(0, stock.blocks_per_address - 1)
    return Range(first.first, last.last)
