"""Timeouts of the site that only the host can hold: sysctls of connection tracking.

Some hold for all pools, since nft has no word for them (`icmp`, `other`) or the packets pass the ruleset by
(a flowtable). The others are for what `snat` and `dnat` rules translate, and no pool's policy covers. Only
what the operator wrote is asked of the host. Source: the kernel's
Documentation/networking/nf_conntrack-sysctl.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfcompile.diagnostics import Path
from nfcompile.host.plan import Sysctl
from nfcompile.model.site import Pool, Site

CONNTRACK = "net.netfilter.nf_conntrack_"
SHARED = {
    "icmp": ("icmp_timeout",),
    "other": ("gre_timeout", "gre_timeout_stream", "generic_timeout", "sctp_timeout_established"),
}
"""Key -> sysctls that hold for pools too. SCTP's opening and closing states keep the kernel's seconds."""
UNPOOLED = SHARED | {
    "udp": ("udp_timeout", "udp_timeout_stream"),
    "tcp_handshake": ("tcp_timeout_syn_sent", "tcp_timeout_syn_recv"),
    "tcp_active": ("tcp_timeout_established",),
    "tcp_final": (
        *("tcp_timeout_fin_wait", "tcp_timeout_close_wait"),
        *("tcp_timeout_last_ack", "tcp_timeout_time_wait"),
    ),
    "tcp_reset": ("tcp_timeout_close",),
}
"""Key of `nat_defaults.timeouts_inactivity` -> sysctls, for what no pool translates."""


def timeouts(site: Site, counted_on: Mapping[str, int]) -> tuple[Sysctl, ...]:
    """The sysctls that the site's timeouts ask for; `counted_on` are those that its ruleset counts on, which
    has worked out the longest of all pools."""
    found: dict[str, Sysctl] = {}
    for one in (*_of_flowtable(counted_on), *_of_pools(site, counted_on), *_of_rules(site)):
        known = found.get(one.name)
        if known is None or known.value < one.value:
            found[one.name] = one
    return tuple(found[name] for name in sorted(found))


def _of_flowtable(counted_on: Mapping[str, int]) -> Iterator[Sysctl]:
    for name, seconds in counted_on.items():
        if name.removeprefix(CONNTRACK) in ("tcp_timeout_established", "udp_timeout_stream"):
            yield Sysctl(name, seconds, ("nat_defaults", "flowtable"))


def _of_pools(site: Site, counted_on: Mapping[str, int]) -> Iterator[Sysctl]:
    for key, names in SHARED.items():
        path = _written(site, key)
        seconds = counted_on.get(CONNTRACK + names[0])
        if path is not None and seconds is not None:
            yield from (Sysctl(CONNTRACK + name, seconds, path) for name in names)


def _of_rules(site: Site) -> Iterator[Sysctl]:
    """`timeouts_inactivity` of the defaults, where there are rules to which nothing else brings them."""
    if not (site.snat or site.dnat):
        return
    for key, names in UNPOOLED.items():
        if f"timeouts_inactivity.{key}" in site.defaults.given:
            path = ("nat_defaults", "timeouts_inactivity", key)
            seconds: int = getattr(site.defaults.timeouts, key)
            yield from (Sysctl(CONNTRACK + name, seconds, path) for name in names)


def _written(site: Site, key: str) -> Path | None:
    """Where the longest value of a key is written, None where no pool's is."""
    best: tuple[int, Path] | None = None
    for pool in site.active_pools:
        used = "icmp_session" if key == "icmp" and pool.keeps_mapping_entries else key
        path = _place(site, pool, used)
        seconds: int = getattr(pool.timeouts, used)
        if path is not None and (best is None or seconds > best[0]):
            best = (seconds, path)
    return None if best is None else best[1]


def _place(site: Site, pool: Pool, key: str) -> Path | None:
    dotted = f"timeouts_inactivity.{key}"
    if dotted in pool.given:
        return (*pool.path, "timeouts_inactivity", key)
    return ("nat_defaults", "timeouts_inactivity", key) if dotted in site.defaults.given else None
