"""What a packet meets, in plain Python: the first packet of a session against a site, step by step.

This is the contract read aloud, without a thought for speed or for nft. The kernel tests compare it with
what the ruleset does. It shares the values of a site with the compiler, and the allocation (who has which
block), nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nfcompile.claims import Claim
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, address_text, port_text, range_text
from nfcompile.model.site import Acl, AclRule, DnatRule, Match, Pool, Site, SnatRule, StaticEntry

ICMP, TCP, UDP = 1, 6, 17
ANY_PORT = Range(0, PORT_LAST)


class Probe(NamedTuple):
    """The first packet of a session. The ports of icmp are (id, 0); `opens` is false for TCP without SYN."""

    interface: str
    protocol: int
    source: int
    source_port: int
    destination: int
    destination_port: int
    opens: bool = True


class Fate(NamedTuple):
    """Dropped, or forwarded with these ends: every value of the ranges is right."""

    action: str
    sources: Range
    source_ports: Range
    destinations: Range
    destination_ports: Range
    reason: str

    def __str__(self) -> str:
        if self.action == "drop":
            return f"drop ({self.reason})"
        left = f"{range_text(self.sources)}:{port_text(self.source_ports)}"
        right = f"{range_text(self.destinations)}:{port_text(self.destination_ports)}"
        return f"{left} > {right} ({self.reason})"


def fate(site: Site, claims: Sequence[Claim], probe: Probe, route: Callable[[int], str]) -> Fate:
    """Decide. `route` is the gateway's routing table: the interface behind which an address is."""
    inside, outside = sides(site)
    original = probe
    destinations = single(probe.destination)
    destination_ports = single(probe.destination_port)
    mark = 0
    hairpin = False

    dnat = first_dnat(site, probe, inside, route(probe.destination))
    if dnat is not None:
        mark = dnat.mark.value if dnat.mark else 0
        destinations = dnat.dnat_ip or destinations
        destination_ports = dnat.dnat_port or destination_ports
        probe = probe._replace(destination=destinations.first, destination_port=destination_ports.first)
    asks_global = probe.interface in (*inside, *outside) and is_global(site, probe.destination)
    if probe[4:6] == original[4:6] and probe.interface in (*inside, *outside):
        local = local_address(site, claims, probe, probe.interface in inside)
        if local is not None:
            hairpin = probe.interface in inside
            destinations = single(local)
            probe = probe._replace(destination=local)
    if probe.interface in (*inside, *outside) and is_global(site, probe.destination):
        return dropped("unsolicited")

    def forwarded(sources: Range, ports: Range, reason: str) -> Fate:
        return Fate("forward", sources, ports, destinations, destination_ports, reason)

    untouched = forwarded(single(probe.source), single(probe.source_port), "untranslated")
    out = route(probe.destination)
    leaves = probe.interface in inside and out in outside
    if not opens(site, claims, probe) and (leaves or asks_global):
        return dropped("no session starts without SYN")
    if probe.interface not in inside:
        return untouched
    snat = None if hairpin else first_snat(site, probe, mark, out, outside)
    if snat is not None:
        return forwarded(snat.snat_ip, snat.snat_port or ANY_PORT, f"snat {snat.name}")
    hairpin = hairpin and out in inside
    if out not in outside and not hairpin:
        return untouched
    for claim in claims:
        pool = claim.pool
        if not accepts(site, pool, probe):
            continue
        if hairpin and not pool.hairpin:
            return dropped(f"hairpin is off in {pool.name}")
        if pool.type == "fake":
            return untouched
        found = translation(site, claim, probe)
        return forwarded(*found, f"pool {pool.name}") if found else dropped(f"nothing left in {pool.name}")
    return untouched


def opens(site: Site, claims: Sequence[Claim], probe: Probe) -> bool:
    """Whether a session may start with the packet: TCP needs a SYN, on a gateway that translates sources."""
    _, outside = sides(site)
    towards_outside = (rule for rule in site.snat if rule.match.interface in (None, *outside))
    translates = bool(claims) or any(towards_outside)
    return probe.opens or probe.protocol != TCP or not translates or site.defaults.permit_invalid_flow


def dropped(reason: str) -> Fate:
    nothing = single(0)
    return Fate("drop", nothing, nothing, nothing, nothing, reason)


def single(value: int) -> Range:
    return Range(value, value)


def has(part: Range | None, value: int) -> bool:
    """Whether a qualifier holds; one that is not given always does."""
    return part is None or part.first <= value <= part.last


def sides(site: Site) -> tuple[set[str], set[str]]:
    """Inside and outside interfaces; VLAN interfaces count as inside."""
    inside = set(site.interfaces.inside)
    if site.defaults.vlan_mode != "untagged":
        vids = {vid for vid, _ in site.interfaces.vlans}
        vids |= {rule.vid for acl in site.acls for rule in acl.rules if rule.vid is not None}
        vids |= {entry.vid for pool in site.pools for entry in pool.global_map if entry.vid is not None}
        inside |= {site.interfaces.vlan(vid) for vid in vids}
    return inside, set(site.interfaces.outside)


# ---- marks


def first_dnat(site: Site, probe: Probe, inside: set[str], towards: str) -> DnatRule | None:
    """`towards` is where the packet would go: between inside interfaces only a rule that says so acts."""
    for rule in site.dnat:
        interface, destination = rule.match.interface, rule.match.dst_cidr
        here = probe.interface == interface if interface else probe.interface in inside
        if interface is None and destination in (None, EVERYWHERE) and towards in inside:
            here = False
        if here and qualifies(rule.match, probe):
            return rule
    return None


def first_snat(site: Site, probe: Probe, mark: int, out: str, outside: set[str]) -> SnatRule | None:
    for rule in site.snat:
        interface = rule.match.interface
        here = out == interface if interface else out in outside
        marked = rule.mark is None or mark & rule.mark.mask == rule.mark.value
        if here and marked and qualifies(rule.match, probe):
            return rule
    return None


def qualifies(match: Match, probe: Probe) -> bool:
    return (
        match.protocol in (-1, probe.protocol)
        and has(match.src_cidr, probe.source)
        and has(match.src_port, probe.source_port)
        and has(match.dst_cidr, probe.destination)
        and has(match.dst_port, probe.destination_port)
    )


# ---- global addresses


def is_global(site: Site, address: int) -> bool:
    return any(
        has(part, address)
        for pool in site.active_pools
        for part in (*pool.global_ip, *(entry.globals for entry in pool.global_map))
    )


def local_address(site: Site, claims: Sequence[Claim], probe: Probe, from_inside: bool) -> int | None:
    """Whose global address the destination is, if this side may open sessions to it."""
    for claim in claims:
        pool = claim.pool
        if not (pool.hairpin if from_inside else pool.allow_external_connect):
            continue
        for entry in pool.global_map:
            if has(entry.globals, probe.destination):
                return entry.local.first + probe.destination - entry.globals.first
        if pool.type == "nat" and pool.allocation == "deterministic":
            owner = claim.layout().owner(probe.destination, 0)
            if owner is not None and any(has(one, probe.destination) for one in pool.global_ip):
                return owner
    return None


# ---- pools


def accepts(site: Site, pool: Pool, probe: Probe) -> bool:
    """Whether the pool takes the packet: first hit of its ACL, then what a static pool implies."""
    if pool.subscribers is not None and not any(has(one, probe.source) for one in pool.subscribers):
        return False
    verdict = first_hit(site, pool.acl, probe)
    if pool.type != "static":
        return verdict is True
    return verdict is not False and static_entry(site, pool, probe) is not None


def first_hit(site: Site, acl: Acl | None, probe: Probe) -> bool | None:
    for rule in sorted(acl.rules, key=lambda rule: rule.number) if acl else ():
        if hits(site, rule, probe):
            return rule.allow
    return None


def hits(site: Site, rule: AclRule, probe: Probe) -> bool:
    return (
        rule.protocol in (-1, probe.protocol)
        and has(rule.source, probe.source)
        and has(rule.destination, probe.destination)
        and (rule.vid is None or probe.interface == site.interfaces.vlan(rule.vid))
        and (not rule.source_ports or any(has(one, probe.source_port) for one in rule.source_ports))
        and (
            not rule.destination_ports
            or any(has(one, probe.destination_port) for one in rule.destination_ports)
        )
    )


def static_entry(site: Site, pool: Pool, probe: Probe) -> StaticEntry | None:
    for entry in pool.global_map:
        here = entry.vid is None or probe.interface == site.interfaces.vlan(entry.vid)
        if here and has(entry.local, probe.source):
            return entry
    return None


def translation(site: Site, claim: Claim, probe: Probe) -> tuple[Range, Range] | None:
    """The source's global address, and the ports that it may get there."""
    pool, port = claim.pool, single(probe.source_port)
    if pool.type == "static":
        entry = static_entry(site, pool, probe)
        return (single(entry.globals.first + probe.source - entry.local.first), port) if entry else None
    if pool.allocation == "dynamic":
        # Who comes first has the choice: any block of the pool.
        everywhere = Range(min(one.first for one in pool.global_ip), max(one.last for one in pool.global_ip))
        ported = pool.type == "cgnat" and probe.protocol in (TCP, UDP, ICMP)
        return everywhere, pool.port_range if ported else port
    block = claim.layout().binding(probe.source)
    if block is None:
        return None
    if pool.type == "cgnat" and probe.protocol in (TCP, UDP, ICMP):
        limit = {TCP: claim.tcp, UDP: claim.udp}.get(probe.protocol, claim.stock.block_size)
        port = Range(block.first, block.first + limit - 1)
    return single(block.address), port


def spelled(probe: Probe) -> str:
    """A probe for a failure message."""
    left = f"{address_text(probe.source)}:{probe.source_port}"
    right = f"{address_text(probe.destination)}:{probe.destination_port}"
    return f"{probe.protocol}@{probe.interface} {left} > {right}{'' if probe.opens else ' (no SYN)'}"
