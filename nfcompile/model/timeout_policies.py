"""How long tcp and udp connections of a pool live, state by state, and what the host holds of it.

A policy in the ruleset gives each new connection an extension of its entry, which costs 5 % of it. A sysctl
costs nothing, but has one value for a whole network namespace. So with `timeouts_by: host` a protocol on
whose timeouts everything agrees is the host's. States and their order: nft(8), "ct timeout".
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.model.site import Pool, Site

CONNTRACK = "net.netfilter.nf_conntrack_"
OPTION = ("nat_defaults", "timeouts_by")
UDP_STATES = {"unreplied": "udp_timeout", "replied": "udp_timeout_stream"}
SYSCTLS_OF_KEYS = {
    "udp": tuple(UDP_STATES.values()),
    "tcp_handshake": ("tcp_timeout_syn_sent", "tcp_timeout_syn_recv"),
    "tcp_active": ("tcp_timeout_established",),
    "tcp_final": (
        *("tcp_timeout_fin_wait", "tcp_timeout_close_wait"),
        *("tcp_timeout_last_ack", "tcp_timeout_time_wait"),
    ),
    "tcp_reset": ("tcp_timeout_close",),
}
"""Key of `timeouts_inactivity` -> the sysctls, without CONNTRACK, that hold it where no pool is."""


def policies(pool: Pool) -> dict[str, dict[str, int]]:
    """Protocol -> state -> seconds, of connections to all but `special_tcp_ports`."""
    times, session = pool.timeouts, pool.keeps_mapping_entries
    udp = times.udp_session if session else times.udp
    return {
        "tcp": tcp_policy(pool, times.tcp_session_active if session else times.tcp_active),
        "udp": dict.fromkeys(UDP_STATES, udp),
    }


def tcp_policy(pool: Pool, established: int) -> dict[str, int]:
    """State -> seconds of tcp connections that may be idle for so long once they are established."""
    times = pool.timeouts
    return {
        "syn_sent": times.tcp_handshake,
        "syn_recv": times.tcp_handshake,
        "established": established,
        "fin_wait": times.tcp_final,
        "close_wait": times.tcp_final,
        "last_ack": times.tcp_final,
        "time_wait": times.tcp_final,
        "close": times.tcp_reset,
    }


def held_by_host(site: Site) -> dict[str, dict[str, int]]:
    """Protocol -> state -> seconds that the host's sysctls hold instead of the ruleset."""
    pools = site.active_pools
    if site.defaults.timeouts_by != "host" or not pools:
        return {}
    first, *others = map(policies, pools)
    return {
        protocol: policy
        for protocol, policy in first.items()
        if all(other[protocol] == policy for other in others) and not _contradicted(site, protocol, policy)
    }


def sysctls_of_host(site: Site) -> dict[str, int]:
    """The same as sysctl -> seconds."""
    return {
        sysctl(protocol, state): seconds
        for protocol, policy in held_by_host(site).items()
        for state, seconds in policy.items()
    }


def sysctl(protocol: str, state: str) -> str:
    """The setting that holds a state.

    >>> sysctl("tcp", "close"), sysctl("udp", "replied")
    ('net.netfilter.nf_conntrack_tcp_timeout_close', 'net.netfilter.nf_conntrack_udp_timeout_stream')
    """
    return CONNTRACK + (UDP_STATES[state] if protocol == "udp" else f"tcp_timeout_{state}")


def _contradicted(site: Site, protocol: str, policy: dict[str, int]) -> bool:
    """Whether something else than a pool's policy needs another value of one of its sysctls."""
    wanted = {sysctl(protocol, state): seconds for state, seconds in policy.items()}
    return any(wanted.get(name, seconds) != seconds for name, seconds in _others(site, policy))


def _others(site: Site, policy: dict[str, int]) -> Iterator[tuple[str, int]]:
    """What snat and dnat rules were given, and connections that lose their policy: those that come out of a
    flowtable, or that a peer takes over."""
    if site.snat or site.dnat:
        for key, names in SYSCTLS_OF_KEYS.items():
            if f"timeouts_inactivity.{key}" in site.defaults.given:
                yield from ((CONNTRACK + name, getattr(site.defaults.timeouts, key)) for name in names)
    if site.pair is not None or site.defaults.flowtable:
        special = [one.timeouts.special for one in site.active_pools if one.timeouts.special_tcp_ports]
        yield sysctl("tcp", "established"), max([policy.get("established", 0), *special])
