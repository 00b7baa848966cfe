"""Timeouts that nft's grammar has no word for (icmp, gre and all other protocols): sysctls of the host.

The kernel has one value of each for a whole network namespace, so the longest of all pools holds.
"""

from __future__ import annotations

from nfcompile.model.site import Pool, Site


def sysctls(site: Site) -> dict[str, int]:
    """Sysctl -> seconds that the pools of a site need."""
    pools = site.active_pools
    if not pools:
        return {}
    other = max(pool.timeouts.other for pool in pools)
    return {
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


def _icmp(pool: Pool) -> int:
    times = pool.timeouts
    return times.icmp_session if pool.keeps_mapping_entries else times.icmp
