"""From a compiled site to the plan of its host: one function for each kind of thing, in the order of
HostPlan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nfcompile.diagnostics import Path
from nfcompile.emit import CtHelper
from nfcompile.host import pair as pairs
from nfcompile.host import sizes, timeouts
from nfcompile.host.plan import (
    Address,
    DefaultRoute,
    HostPlan,
    Link,
    Lldp,
    LocalRoute,
    LogReceiver,
    MarkRoute,
    Module,
    Mtu,
    SubscriberRoute,
    Sysctl,
)
from nfcompile.model.ranges import Cover, Range, cidrs, union
from nfcompile.model.sides import sides
from nfcompile.model.site import Pool, Site
from nfcompile.model.timeout_policies import CONNTRACK
from nfcompile.model.vlans import shared_addresses, tagged_addresses

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled

L2_HEADER = 22
"""Bytes of a frame around its packet: Ethernet's header, one VLAN tag, the checksum. `l2mtu` counts them,
so its default of 1522 is a packet of 1500."""
OUTSIDE: Path = ("interfaces", "outside")
INSIDE: Path = ("interfaces", "inside")


def plan(compiled: Compiled) -> HostPlan:
    """All that a site needs of its host."""
    site = compiled.site
    return HostPlan(
        links=tuple(links(site)),
        addresses=tuple(_addresses(site)),
        local_routes=tuple(_local_routes(site)),
        default_route=DefaultRoute(site.interfaces.outside, OUTSIDE),
        subscriber_routes=tuple(_subscriber_routes(compiled)),
        mark_routes=tuple(_mark_routes(site)),
        mtus=tuple(_mtus(site)),
        modules=tuple(_modules(compiled)),
        sysctls=_sysctls(compiled),
        lldp=_lldp(site),
        log=_log(site, any(map(_assigns, site.active_pools)) or _logs_helpers(compiled)),
        pair=pairs.pair_plan(site),
        node=site.node.name if site.node else "",
        log_daemon=_log(site, any(_assigns(pool) and _asks_for_log(pool) for pool in site.active_pools)),
        opens_ports=next(
            ((*pool.path, "port_forwarding") for pool in site.active_pools if pool.opens_ports), None
        ),
    )


def links(site: Site) -> Iterator[Link]:
    """The interfaces that the site names, each once; VLANs after what carries them."""
    seen: set[str] = set()
    plain = [(name, (*INSIDE, at)) for at, name in enumerate(site.interfaces.inside)]
    plain += [(name, (*OUTSIDE, at)) for at, name in enumerate(site.interfaces.outside)]
    for name, path in plain:
        if name not in seen:
            seen.add(name)
            yield Link(name, path)
    for vid, path in _vids(site):
        name = site.interfaces.vlan(vid)
        if name not in seen:
            seen.add(name)
            parent = name.rpartition(".")[0]
            carries = parent if parent in site.interfaces.inside else site.interfaces.inside[0]
            yield Link(name, path, carries if vid else "", vid)


def _vids(site: Site) -> Iterator[tuple[int, Path]]:
    """The VLANs that the site names, and where."""
    for vid, _ in site.interfaces.vlans:
        yield vid, ("interfaces", "vlans", str(vid))
    for pool in site.active_pools:
        yield from ((vid, path) for _, vid, path in tagged_addresses(pool))


def _addresses(site: Site) -> Iterator[Address]:
    """The gateway's addresses; those that move with a pair are keepalived's."""
    outside = site.interfaces.outside[0]
    virtual = {one.address for one in site.pair.virtual} if site.pair else set()
    if site.gateway.primary_ip is not None and site.gateway.primary_ip not in virtual:
        yield Address(site.gateway.primary_ip, outside, ("gateway", "primary_ip"), own=True)
    for at, one in enumerate(() if site.pair else site.gateway.secondary_ips):
        path: Path = ("gateway", "secondary_ips", at)
        yield from (Address(address, outside, path) for address in range(one.first, one.last + 1))


def _local_routes(site: Site) -> Iterator[LocalRoute]:
    """Global addresses that are not the gateway's own anyway, each once."""
    known: Cover[None] = Cover()
    for own in _addresses(site):
        known.add(Range(own.address, own.address), None)
    for network in site.pair.virtual if site.pair else ():
        known.add(pairs.network(network), None)
    for ranges, path in _global_addresses(site):
        new = [part for one in ranges for part in known.rest(one)]
        for one in new:
            known.add(one, None)
        for one in union(new):
            for first, bits in cidrs(one):
                yield LocalRoute(Range(first, first + (1 << bits) - 1), path)


def _global_addresses(site: Site) -> Iterator[tuple[tuple[Range, ...], Path]]:
    for pool in site.active_pools:
        yield pool.global_ip, (*pool.path, "global_ip")
        yield tuple(entry.globals for entry in pool.global_map), (*pool.path, "global_map")
    for rule in site.snat:
        if rule.snat_ip is not None:
            yield (rule.snat_ip,), (*rule.path, "snat_prefix" if rule.prefix else "snat_ip")
    for dnat in site.dnat:
        asked = dnat.match.dst_cidr
        named = dnat.match.interfaces(()) if dnat.match.names_interfaces else ()
        if asked is not None and not asked.negated and set(named).intersection(site.interfaces.outside):
            yield asked.values, (*dnat.path, "dst_cidr")


def _subscriber_routes(compiled: Compiled) -> Iterator[SubscriberRoute]:
    names = sides(compiled.site).inside
    for allocation in compiled.allocations:
        if allocation.subscribers:
            yield SubscriberRoute(allocation.subscribers, names, allocation.pool.path)


def _mark_routes(site: Site) -> Iterator[MarkRoute]:
    """The way back into VLANs that share addresses; their marks are their numbers."""
    found = [one for pool in site.active_pools for one in tagged_addresses(pool)]
    for vid in sorted({one.vid for pair in shared_addresses(site) for one in pair}):
        mine = [(source, path) for source, of, path in found if of == vid]
        destinations = union(source for source, _ in mine)
        yield MarkRoute(vid, site.interfaces.vlan(vid), destinations, mine[0][1])


def _mtus(site: Site) -> Iterator[Mtu]:
    if "l2mtu" in site.defaults.given:
        size = site.defaults.l2mtu - L2_HEADER
        yield from (Mtu(link.name, size, ("nat_defaults", "l2mtu")) for link in links(site))


def _modules(compiled: Compiled) -> Iterator[Module]:
    yield Module("nf_conntrack", ("pools",) if compiled.site.pools else ("interfaces",))
    kinds = {one.type: one.origin for one in compiled.table.objects if isinstance(one, CtHelper)}
    for kind, path in kinds.items():
        yield Module(f"nf_nat_{kind}", path, first_half=f"nf_conntrack_{kind}")


def _sysctls(compiled: Compiled) -> tuple[Sysctl, ...]:
    """Forwarding comes last: until then nothing passes untranslated."""
    site = compiled.site
    return (
        *timeouts.timeouts(site, compiled.sysctls),
        *sizes.sizes(compiled.allocations),
        *_of_connections(site),
        *_of_interfaces(site),
        *_of_ipv6(site),
        *pairs.sysctls(site),
        Sysctl("net.ipv4.ip_forward", 1, ("interfaces",)),
    )


def _of_ipv6(site: Site) -> Iterator[Sysctl]:
    """npt pools translate what the host forwards."""
    enabled = next((pool for pool in site.npt if pool.enable), None)
    if enabled is not None:
        yield Sysctl("net.ipv6.conf.all.forwarding", 1, enabled.path)


def _of_connections(site: Site) -> Iterator[Sysctl]:
    if site.defaults.permit_invalid_flow:
        yield Sysctl(CONNTRACK + "tcp_loose", 1, ("nat_defaults", "permit_invalid_flow"))
    logged = next(filter(_asks_for_log, site.active_pools), None)
    if logged is not None:
        path = (*logged.path, "connection_logging")
        yield Sysctl(CONNTRACK + "events", 1, path, unless=(2,))
        yield Sysctl(CONNTRACK + "timestamp", 1, path)


def _of_interfaces(site: Site) -> Iterator[Sysctl]:
    """Loose filtering where answers are routed by mark; no redirects past a gateway with one arm."""
    for route in _mark_routes(site):
        yield Sysctl(of_interface(route.interface, "rp_filter"), 2, route.path, unless=(0,))
    both = [name for name in site.interfaces.outside if name in site.interfaces.inside]
    for name in ("all", *both) if both else ():
        yield Sysctl(of_interface(name, "send_redirects"), 0, OUTSIDE)


def of_interface(interface: str, name: str) -> str:
    """A setting of an interface as sysctl(8) spells it, where a dot in a name is a slash."""
    return f"net.ipv4.conf.{interface.replace('.', '/')}.{name}"


def _lldp(site: Site) -> Lldp | None:
    defaults = site.defaults
    named = bool(defaults.lldp_hostname) and defaults.lldp
    if "lldp" not in defaults.given and not named:
        return None
    key = "lldp" if "lldp" in defaults.given else "lldp_hostname"
    names = tuple(link.name for link in links(site) if not link.vid)
    return Lldp(defaults.lldp, defaults.lldp_hostname if named else "", names, ("nat_defaults", key))


def _log(site: Site, assignments: bool) -> LogReceiver | None:
    asking = next(filter(_asks_for_log, site.active_pools), None)
    if not assignments and asking is None:
        return None
    path: Path = ("pools",) if asking is None else (*asking.path, "connection_logging")
    return LogReceiver(assignments, asking is not None, path)


def _asks_for_log(pool: Pool) -> bool:
    return pool.connection_logging and "connection_logging" in pool.given


def _assigns(pool: Pool) -> bool:
    """Whether the ruleset sends a message for each block of the pool."""
    return pool.connection_logging and pool.is_dynamic


def _logs_helpers(compiled: Compiled) -> bool:
    helpers: Iterable[CtHelper] = (one for one in compiled.table.objects if isinstance(one, CtHelper))
    return any(helpers) and any(pool.connection_logging for pool in compiled.site.active_pools)
