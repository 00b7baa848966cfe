"""Timeouts of the site that only the host can hold: sysctls of connection tracking.

Some hold for all pools, since nft has no word for them (`icmp`, `other`) or the packets pass the ruleset by
(a flowtable). The others are for what `snat` and `dnat` rules translate, and no pool's policy covers. Only
what the operator wrote is asked of the host, but all that `timeouts_by: host` leaves to it. Source: the
kernel's Documentation/networking/nf_conntrack-sysctl.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.host.machine import SysctlSeen, read_sysctl
from nfcompile.host.plan import Sysctl
from nfcompile.kernel import netns
from nfcompile.model.site import Pool, Site
from nfcompile.model.timeout_policies import CONNTRACK, OPTION, SYSCTLS_OF_KEYS, sysctls_of_host

SHARED = {
    "icmp": ("icmp_timeout",),
    "other": ("gre_timeout", "gre_timeout_stream", "generic_timeout", "sctp_timeout_established"),
}
"""Key -> sysctls that hold for pools too. SCTP's opening and closing states keep the kernel's seconds."""
UNPOOLED = SHARED | SYSCTLS_OF_KEYS
"""Key of `nat_defaults.timeouts_inactivity` -> sysctls, for what no pool translates."""


def timeouts(site: Site, counted_on: Mapping[str, int]) -> tuple[Sysctl, ...]:
    """The sysctls that the site's timeouts ask for; `counted_on` are those that its ruleset counts on, which
    has worked out the longest of all pools."""
    found: dict[str, Sysctl] = {}
    held = (Sysctl(name, seconds, OPTION) for name, seconds in sysctls_of_host(site).items())
    for one in (*held, *_of_flowtable(counted_on), *_of_pools(site, counted_on), *_of_rules(site)):
        known = found.get(one.name)
        if known is None or known.value < one.value:
            found[one.name] = one
    return tuple(found[name] for name in sorted(found))


def refusals(site: Site, namespace: str | None, may_set: bool) -> tuple[Diagnostic, ...]:
    """An error where the host does not say what `timeouts_by: host` leaves to it, and this apply (`may_set`)
    does not set it either. Raises KernelError."""
    wanted = sysctls_of_host(site)
    seen = netns.inside(namespace, lambda: {name: read_sysctl(name) for name in wanted}) if wanted else {}
    wrong = [
        name
        for name, seconds in wanted.items()
        if (is_ := seen[name]) is None or (is_.value != seconds and not (may_set and is_.writable))
    ]
    return (_refusal(wanted, seen, wrong),) if wrong else ()


def _refusal(wanted: dict[str, int], seen: dict[str, SysctlSeen | None], wrong: list[str]) -> Diagnostic:
    name = wrong[0]
    found = seen[name]
    more = f", and {len(wrong) - 1} more settings differ" if len(wrong) > 1 else ""
    if found is None:
        message, hint = (
            f"this kernel does not have {name}",
            "'modprobe nf_conntrack', or 'timeouts_by: ruleset'",
        )
    else:
        message = f"{name} of this host is {found.value}, not {wanted[name]}{more}"
        hint = "'nfcompile apply --host' sets them; 'nfcompile host check' names them all"
    return Diagnostic("host-timeouts", message, OPTION, hint=hint)


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
