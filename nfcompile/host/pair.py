"""What keepalived and conntrackd of a pair's node have to know; their files are in templates/host."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.host.plan import PairPlan, Sysctl, VrrpInstance
from nfcompile.model.pair import InterfaceAddress, Node, Pair
from nfcompile.model.ranges import Range, address_text, intersect
from nfcompile.model.site import Pool, Site
from nfcompile.model.timeout_policies import CONNTRACK


def pair_plan(site: Site) -> PairPlan | None:
    """The half of a site's node; None where it is in no pair."""
    pair, node = site.pair, site.node
    other = None if pair is None or node is None else pair.peer(node)
    if pair is None or node is None or other is None or node.sync is None or other.sync is None:
        return None
    own = [address_text(one.sync.address) for one in pair.nodes if one.sync]
    own += (address_text(one.address) for each in pair.nodes for one in each.addresses)
    return PairPlan(
        name=pair.name,
        node=node.name,
        priority=node.priority,
        advert=f"{pair.advert:g}",
        unicast=pair.unicast,
        instances=tuple(_instances(site, pair, node, other)),
        sync_interface=node.sync.interface,
        sync_own=address_text(node.sync.address),
        sync_peer=address_text(other.sync.address),
        unsynced=("127.0.0.1", *dict.fromkeys(own), "224.0.0.18"),
        has_copies=any(pool.is_dynamic for pool in site.active_pools),
        path=pair.path,
    )


def _instances(site: Site, pair: Pair, node: Node, other: Node) -> Iterator[VrrpInstance]:
    moving = list(_moving(site, pair))
    for interface, router_id in zip(pair.interfaces, pair.router_ids, strict=True):
        yield VrrpInstance(
            interface,
            router_id,
            _on(node, interface),
            _on(other, interface),
            tuple(one.text for one in pair.virtual if one.interface == interface),
            tuple(f"{address_text(address)}/32" for where, address in moving if where == interface),
        )


def _on(node: Node, interface: str) -> str:
    return next((address_text(one.address) for one in node.addresses if one.interface == interface), "")


def _moving(site: Site, pair: Pair) -> Iterator[tuple[str, int]]:
    """Addresses that neighbours ask for by ARP: the secondary ones, and global ones in a virtual network."""
    virtual = {one.address for one in pair.virtual}
    outside = site.interfaces.outside[0]
    wanted = [(outside, one) for one in site.gateway.secondary_ips]
    wanted += (
        (one.interface, part)
        for pool in site.active_pools
        for run in _global_runs(pool)
        for one in pair.virtual
        if (part := on_link(run, one)) is not None
    )
    seen: set[int] = set()
    for interface, run in wanted:
        for address in range(run.first, run.last + 1):
            if address not in virtual and address not in seen:
                seen.add(address)
                yield interface, address


def _global_runs(pool: Pool) -> tuple[Range, ...]:
    return (*pool.global_ip, *(entry.globals for entry in pool.global_map))


def network(one: InterfaceAddress) -> Range:
    """The network of an address."""
    size = 1 << (32 - one.length)
    first = one.address & ~(size - 1)
    return Range(first, first + size - 1)


def on_link(run: Range, virtual: InterfaceAddress) -> Range | None:
    """The part of a range that lies in the network of a virtual address."""
    found = intersect([run], [network(virtual)])
    return found[0] if found else None


def sysctls(site: Site) -> Iterator[Sysctl]:
    """Timeouts are not synchronised: a connection that is taken over gets the host's, so these are the
    longest of the pools. Without `ip_nonlocal_bind` no daemon could listen at an address that is with the
    peer."""
    if site.pair is None:
        return
    pools = [pool for pool in site.active_pools if pool.translates]
    if pools:
        tcp = max(_tcp(pool) for pool in pools)
        udp = max(
            pool.timeouts.udp_session if pool.keeps_mapping_entries else pool.timeouts.udp for pool in pools
        )
        yield Sysctl(CONNTRACK + "tcp_timeout_established", tcp, site.pair.path)
        yield Sysctl(CONNTRACK + "udp_timeout", udp, site.pair.path)
        yield Sysctl(CONNTRACK + "udp_timeout_stream", udp, site.pair.path)
    yield Sysctl("net.ipv4.ip_nonlocal_bind", 1, site.pair.path)


def _tcp(pool: Pool) -> int:
    times = pool.timeouts
    usual = times.tcp_session_active if pool.keeps_mapping_entries else times.tcp_active
    return max(usual, times.special) if times.special_tcp_ports else usual
