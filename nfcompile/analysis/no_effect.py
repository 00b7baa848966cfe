"""Settings that change nothing in this site.

### no-effect

A setting differs from its default, but no pool of this site uses it (a warning): a timeout of mapping entries
where no pool has any, `translation` without a dynamic pool, an ALG without a pool that uses it, and the like.
The message names the missing condition. A value that equals the default is not reported, so that a site may
write its defaults down.

```yaml
nat_defaults: {low_to_all_udp: on}
```

```yaml
nat_defaults: {low_to_all_udp: on, portlimit_low: 64}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29]}
```
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model.ranges import EVERYWHERE
from nfcompile.model.site import Alg, Defaults, Pool
from nfcompile.model.sources import named_sources
from nfcompile.model.timeout_policies import held_by_host

DEFAULTS: Path = ("nat_defaults",)
CGNAT_KEYS = ("limits_peruser", "port_block_size")


class SettingUse(NamedTuple):
    """When a pool uses a setting, and the reason why another one does not."""

    uses: Callable[[Pool], bool]
    reason: str


def _always(_pool: Pool) -> bool:
    return True


ANY_POOL = SettingUse(_always, "no pool is enabled")
NO_ENTRIES = "the pool keeps no mapping entries"
ENTRIES = SettingUse(lambda pool: pool.keeps_mapping_entries, NO_ENTRIES)
SHARING = SettingUse(lambda pool: pool.shares_addresses, "only cgnat pools share ports")

POOL_SETTINGS: dict[str, SettingUse] = {
    "randomize_ports": SHARING,
    "port_forwarding": SettingUse(
        lambda pool: pool.shares_addresses or pool.allow_external_connect,
        "the outside opens nothing: allow_external_connect is off",
    ),
    "port_block_size": SettingUse(
        lambda pool: pool.shares_addresses, "only cgnat pools have blocks of ports"
    ),
    "limits_peruser.portlimit_tcp": SHARING,
    "limits_peruser.portlimit_udp": SHARING,
    "limits_peruser.portlimit_icmp": SHARING,
    "limits_peruser.sessions": SHARING,
    "timeouts_inactivity.translation": SettingUse(
        lambda pool: pool.is_dynamic, "only dynamic pools assign blocks for a time"
    ),
    "timeouts_inactivity.icmp": SettingUse(
        lambda pool: not pool.keeps_mapping_entries, "in pools with mapping entries 'icmp_session' applies"
    ),
    "timeouts_inactivity.special": SettingUse(
        lambda pool: bool(pool.timeouts.special_tcp_ports), "special_tcp_ports is empty"
    ),
    **dict.fromkeys(
        (f"timeouts_inactivity.{key}" for key in ("tcp_session_active", "udp_session", "icmp_session")),
        ENTRIES,
    ),
    **dict.fromkeys(
        (
            f"timeouts_inactivity.{key}"
            for key in (
                "udp",
                "tcp_handshake",
                "tcp_active",
                "tcp_final",
                "tcp_reset",
                "other",
                "special_tcp_ports",
            )
        ),
        ANY_POOL,
    ),
}
"""Settings that a pool has or inherits."""
HOST_SETTINGS = frozenset(
    f"timeouts_inactivity.{key}"
    for key in ("udp", "icmp", "tcp_handshake", "tcp_active", "tcp_final", "tcp_reset", "other")
)
"""Timeouts that sysctls of the host hold for what only dnat and snat rules translate."""


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each setting that differs from its default without an effect."""
    if not checked.knows(("pools",), DEFAULTS):
        return
    for pool in checked.site.active_pools:
        # A key that pools of this type do not have is an error already.
        own = {key for key in pool.differing & POOL_SETTINGS.keys() if not key.startswith(CGNAT_KEYS)}
        for key in sorted(own):
            if not POOL_SETTINGS[key].uses(pool):
                yield _warning(
                    (*pool.path, *key.split(".")), key, f"in pool '{pool.name}'", POOL_SETTINGS[key].reason
                )
    has_rules = bool(checked.site.dnat or checked.site.snat)
    yield from _inherited(checked.site.active_pools, checked.site.defaults, has_rules)
    for key, reason in _device_settings(checked.site.active_pools, checked.site.defaults):
        yield _warning((*DEFAULTS, *key.split(".")), key, "here", reason)
    if checked.site.defaults.timeouts_by == "host" and not held_by_host(checked.site):
        reason = "the pools' timeouts differ" if checked.site.active_pools else ANY_POOL.reason
        yield _warning((*DEFAULTS, "timeouts_by"), "timeouts_by", "here", reason)
    if checked.site.defaults.strict_sources and EVERYWHERE in named_sources(checked.site):
        reason = "an acl names every source"
        yield _warning((*DEFAULTS, "strict_sources"), "strict_sources", "here", reason)
    interfaces = checked.site.interfaces
    if interfaces.inside_networks is not None and not interfaces.shared:
        reason = "no interface is inside and outside"
        yield _warning(("interfaces", "inside_networks"), "inside_networks", "here", reason)


def _inherited(pools: tuple[Pool, ...], defaults: Defaults, has_rules: bool) -> Iterator[Diagnostic]:
    """Settings of nat_defaults that no pool uses, whether inherited or replaced, and no dnat or snat rule."""
    for key in sorted(defaults.differing & POOL_SETTINGS.keys()):
        if any(POOL_SETTINGS[key].uses(pool) for pool in pools) or (has_rules and key in HOST_SETTINGS):
            continue
        reason = POOL_SETTINGS[key].reason.replace("the pool keeps no", "no pool keeps")
        if not pools:
            reason = ANY_POOL.reason
        yield _warning((*DEFAULTS, *key.split(".")), key, "here", reason)


def _device_settings(pools: tuple[Pool, ...], defaults: Defaults) -> Iterator[tuple[str, str]]:
    """Settings of the whole gateway without an effect, each with the reason."""
    sharing = [pool for pool in pools if pool.shares_addresses]
    if defaults.portlimit_low is not None and not sharing:
        yield "portlimit_low", "only cgnat pools have ports below 1024"
    if defaults.low_to_all_udp and defaults.portlimit_low is None:
        yield "low_to_all_udp", "portlimit_low is nolimit"
    if not defaults.udp_inbound_refresh and not any(pool.renews for pool in pools):
        yield "udp_inbound_refresh", "no pool keeps mapping entries, or is dynamic"
    if "assignment_trial" in defaults.differing and not any(pool.is_dynamic for pool in pools):
        yield "assignment_trial", "no pool is dynamic"
    if defaults.sessions_per_translation is not None and not any(pool.translates for pool in pools):
        yield "sessions_per_translation", "no pool translates"
    yield from _algs(pools, defaults.alg)


def _algs(pools: tuple[Pool, ...], alg: Alg) -> Iterator[tuple[str, str]]:
    on = [key for key in alg._fields if key != "alg_on_bnat" and getattr(alg, key)]
    whole = [pool for pool in pools if pool.translates and not pool.shares_addresses]
    if alg.alg_on_bnat and not (on and whole):
        yield "alg.alg_on_bnat", "no ALG is on" if not on else "no nat or static pool is enabled"
    if any(pool.shares_addresses for pool in pools) or (alg.alg_on_bnat and whole):
        return
    for key in on:
        reason = "nat and static pools need alg_on_bnat" if whole else "no pool uses ALGs"
        yield f"alg.{key}", reason


def _warning(path: Path, key: str, where: str, reason: str) -> Diagnostic:
    message = f"'{key.rpartition('.')[2]}' has no effect {where}: {reason}"
    return Diagnostic("no-effect", message, path, key=True, hint="remove it", severity="warning")
