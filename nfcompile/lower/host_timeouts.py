"""Timeouts that nft's grammar has no word for (icmp, gre and all other protocols), and those that connections
have after a flowtable: sysctls of the host.

The kernel has one value of each for a whole network namespace, so the longest of all pools holds.
"""

from __future__ import annotations

from nfcompile.lower.flowtable import offloaded_pools
from nfcompile.model.site import Pool, Site


def sysctls(site: Site) -> dict[str, int]:
    """Sysctl -> seconds that the pools of a site need."""
    pools = site.active_pools
    if not pools:
        return {}
    other = max(pool.timeouts.other for pool in pools)
    return _offloaded(site) | {
        "net.netfilter.nf_conntrack_icmp_timeout": max(_icmp(pool) for pool in pools),
        "net.netfilter.nf_conntrack_gre_timeout": other,
        "net.netfilter.nf_conntrack_gre_timeout_stream": other,
        "net.netfilter.nf_conntrack_generic_timeout": other,
    }


def remarks(site: Site) -> tuple[str, ...]:
    """The same as lines for the ruleset's reader."""
    found = sysctls(site)
    if not found:
        return ()
    head = "nft has no word for these timeouts; they hold for all pools, as sysctls of the host:"
    return head, *(f"{name} = {seconds}" for name, seconds in found.items())


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
