"""What a packet meets, in plain Python: the first packet of a connection against a site, step by step.

This is the contract read aloud, without a thought for speed or for nft. `nfcompile prove` holds the compiled
ruleset against it, and the kernel tests hold the kernel against it. It shares the values of a site and the
allocation (who has which block) with the compiler, nothing else.

A packet's numbers are ranges that hold one number. `prove` gives parts of a box instead: then
every answer holds for all packets of the box, or Split says where they differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nfcompile.model.protocols import NUMBERS, TCP
from nfcompile.model.ranges import Range, address_text, port_text, range_text
from nfcompile.model.rules import DnatRule
from nfcompile.model.site import Site
from nfcompile.verify.boxes import LOCAL, Names, Packet, has, one_of
from nfcompile.verify.chosen_values import taken
from nfcompile.verify.reference_rules import (
    accepts,
    block_owner,
    first_dnat,
    first_snat,
    keeps_out,
    new_source,
    same_host,
    translation,
    turned,
    would_be_translated,
)
from nfcompile.verify.reference_site import ANY_PORT, Gateway, is_inside, is_outside

MULTICAST = Range(0xE0000000, 0xEFFFFFFF)
VRRP = NUMBERS["vrrp"]
UNSOLICITED = "unsolicited"
"""Why packets to a global address are dropped that lead to no host."""
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
        if from_outside and not (gate.takes_any and one_of((LOCAL,), route(probe.destination))):
            return dropped("a subscriber's own address")
        if from_inside and is_outside(gate, route(probe.source), probe.source):
            return dropped("forged")
    answered = from_either and would_be_translated(gate, turned(probe, route(probe.destination)))
    if answered and (from_outside or is_outside(gate, route(probe.source), probe.source)):
        return dropped("a subscriber's own address, towards a peer of its pool's")
    # On a one-armed gateway such a packet comes from inside.
    subscriber = from_outside and not gate.shared and gate.sources.closed.holds(probe.source)
    if subscriber and one_of(gate.inside, route(probe.source)):
        return dropped("forged")
    mine = from_outside and not gate.shared and would_be_translated(gate, probe)
    if mine and one_of(gate.inside, route(probe.source)):
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
            return dropped(UNSOLICITED)

    def forwarded(sources: Range, ports: Range, reason: str, pool: str | None = None) -> Fate:
        return Fate("forward", sources, ports, destinations, destination_ports, reason, pool)

    untouched = forwarded(probe.source, probe.source_port, "untranslated")
    out = route(probe.destination)
    to_outside = is_outside(gate, out, probe.destination)
    if from_either and to_outside and gate.sources.own.holds(probe.destination):
        return dropped(UNSOLICITED)
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


def is_global(gate: Gateway, address: Range) -> bool:
    return gate.globals.holds(address)


def is_own(gate: Gateway, address: Range) -> bool:
    """Whether an address is global and the gateway's: a pool's, an snat rule's, a secondary one."""
    return is_global(gate, address) or gate.sources.own.holds(address)


def local_address(gate: Gateway, probe: Packet, from_inside: bool) -> Range | None:
    """Whose global address the destination is, if this side may open connections to it."""
    side = gate.reached_inside if from_inside else gate.reached_outside
    for served in side.of(probe.destination):
        found = served.reached.look_up(probe.destination) or block_owner(served, probe)
        if found is not None:
            return found[0]
    return None


def spelled(probe: Packet) -> str:
    """A probe of single numbers for a message."""
    left = f"{address_text(probe.source.first)}:{probe.source_port.first}"
    right = f"{address_text(probe.destination.first)}:{probe.destination_port.first}"
    return f"{probe.protocol}@{probe.interface} {left} > {right}{'' if probe.opens else ' (no SYN)'}"
