"""Timeouts that nft's grammar has no word for (icmp, gre and all other protocols), those that connections
have after a flowtable, and those that `timeouts_by: host` leaves out of the ruleset: sysctls of the host.

The kernel has one value of each for a whole network namespace, so the longest of all pools holds.
"""

from __future__ import annotations

from nfcompile.lower.flowtable import offloaded_pools
from nfcompile.model.site import Pool, Site
from nfcompile.model.timeout_policies import sysctls_of_host


def sysctls(site: Site) -> dict[str, int]:
    """Sysctl -> seconds that the pools of a site need."""
    pools = site.active_pools
    if not pools:
        return {}
    return _offloaded(site) | _other_protocols(pools) | sysctls_of_host(site)


def _other_protocols(pools: tuple[Pool, ...]) -> dict[str, int]:
    other = max(pool.timeouts.other for pool in pools)
    return {
        "net.netfilter.nf_conntrack_icmp_timeout": max(_icmp(pool) for pool in pools),
        "net.netfilter.nf_conntrack_gre_timeout": other,
        "net.netfilter.nf_conntrack_gre_timeout_stream": other,
        "net.netfilter.nf_conntrack_generic_timeout": other,
    }


def remarks(site: Site) -> tuple[str, ...]:
    """The same as lines for the ruleset's reader."""
    held = sysctls_of_host(site)
    found = {name: seconds for name, seconds in sysctls(site).items() if name not in held}
    heads = {
        "nft has no word for these timeouts; they hold for all pools, as sysctls of the host:": found,
        "these are left to the host by 'nat_defaults.timeouts_by':": held,
    }
    return tuple(
        line
        for head, settings in heads.items()
        if settings
        for line in (head, *(f"{name} = {seconds}" for name, seconds in settings.items()))
    )


def _offloaded(site: Site) -> dict[str, int]:
    """A connection that falls silent in a flowtable is given the kernel's own timeout, not its pool's
    (flow_offload_fixup_ct in net/netfilter/nf_flow_table_core.c)."""
    pools = offloaded_pools(site)
    if not pools:
        return {}
    special = [pool.timeouts.special for pool in pools if pool.timeouts.special_tcp_ports]
    return {
        "net.netfilter.nf_conntrack_tcp_timeout_established": max(
            *(pool.timeouts.tcp_active for pool in pools), *special, 0
        ),
        "net.netfilter.nf_conntrack_udp_timeout_stream": max(pool.timeouts.udp for pool in pools),
    }


def _icmp(pool: Pool) -> int:
    times = pool.timeouts
    return times.icmp_session if pool.keeps_mapping_entries else times.icmp
