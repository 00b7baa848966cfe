"""What a pool's first packet gets for the life of its connection: timeouts, helper, events.

Set inside the translate chain, before the translation, so only new connections of this pool pay for it.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import Chain, CtHelper, CtTimeout, Rule
from nfcompile.emit.objects import Object
from nfcompile.emit.words import one_of
from nfcompile.lower.gate import Gate
from nfcompile.lower.names import LOG_GROUP
from nfcompile.model.site import Pool, Site

ALGS = {
    "ftp": (("ftp", "tcp", 21),),
    "pptp": (("pptp", "tcp", 1723),),
    "rtsp": (("rtsp", "tcp", 554),),
    "sip": (("sip", "udp", 5060), ("sip", "tcp", 5060)),
}
"""Key of `alg` -> (name in the kernel, protocol, server port). Mainline kernels have no rtsp helper."""

EXPECTED = "expected_flows"


def policy(gate: Gate, allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The timeout objects and the rules of one pool."""
    pool = allocation.pool
    timeouts, set_timeouts = _timeouts(pool)
    rules = (*set_timeouts, *_helpers(gate.site, pool), _events(pool))
    return timeouts, rules


def expected_flows(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """Connections that a helper expects get their ports from the helper, not from the block: log them.

    They meet no nat chain, so their events are set here: as pools do that log, or silent if none does.
    """
    if not helper_objects(gate.site):
        return (), ()
    path: Path = ("nat_defaults", "alg")
    logging = any(p.connection_logging and _uses_algs(gate.site, p) for p in gate.site.active_pools)
    phrases = [f'log prefix "nfcompile alg " group {LOG_GROUP}', "ct event set new,destroy"]
    lines = phrases if logging else ["ct event set 0"]
    rules = tuple(Rule((line,), path, dotted(path)) for line in lines)
    jump = Rule((f"ct state related ct status expected jump {EXPECTED}",), path, dotted(path))
    return (Chain(EXPECTED, rules, path, None, dotted(path)),), (jump,)


def helper_objects(site: Site) -> tuple[CtHelper, ...]:
    """One object for each helper that the site switches on and some pool uses."""
    if not any(_uses_algs(site, pool) for pool in site.active_pools):
        return ()
    return tuple(
        CtHelper(_helper_name(kind, protocol), kind, protocol, _alg_path(key))
        for key, helpers in ALGS.items()
        if getattr(site.defaults.alg, key)
        for kind, protocol, _ in helpers
    )


def _uses_algs(site: Site, pool: Pool) -> bool:
    """cgnat pools use what is on; address-only pools need `alg_on_bnat` as well."""
    if pool.type == "cgnat":
        return True
    return pool.type in ("nat", "static") and site.defaults.alg.alg_on_bnat


def _alg_path(key: str) -> Path:
    return ("nat_defaults", "alg", key)


def _helper_name(kind: str, protocol: str) -> str:
    return f"alg_{kind}_{protocol}"


def _helpers(site: Site, pool: Pool) -> tuple[Rule, ...]:
    if not _uses_algs(site, pool):
        return ()
    return tuple(
        Rule(
            (f'{protocol} dport {port} ct helper set "{_helper_name(kind, protocol)}"',),
            _alg_path(key),
            dotted(_alg_path(key)),
        )
        for key, helpers in ALGS.items()
        if getattr(site.defaults.alg, key)
        for kind, protocol, port in helpers
    )


def _events(pool: Pool) -> Rule:
    """A pool that logs tells conntrack listeners of new and ended connections; others stay silent."""
    path = (*pool.path, "connection_logging") if "connection_logging" in pool.given else pool.path
    event = "new,destroy" if pool.connection_logging else "0"
    return Rule((f"ct event set {event}",), path, f"{dotted(pool.path)}.connection_logging")


def _timeouts(pool: Pool) -> tuple[tuple[CtTimeout, ...], tuple[Rule, ...]]:
    """tcp and udp are all that nft's grammar has; icmp and other protocols: see docs/behaviour.md."""
    times, path = pool.timeouts, (*pool.path, "timeouts_inactivity")
    session = pool.keeps_mapping_entries
    established = times.tcp_session_active if session else times.tcp_active
    udp = times.udp_session if session else times.udp
    comment = dotted(path)
    tcp_name, udp_name, special_name = (f"{word}_{pool.name}" for word in ("tcp", "udp", "special"))
    objects = [
        CtTimeout(tcp_name, "tcp", _tcp_policy(pool, established), path),
        CtTimeout(udp_name, "udp", (("unreplied", udp), ("replied", udp)), path),
    ]
    rules = [
        Rule((f'meta l4proto tcp ct timeout set "{tcp_name}"',), path, comment),
        Rule((f'meta l4proto udp ct timeout set "{udp_name}"',), path, comment),
    ]
    if times.special_tcp_ports:
        objects.append(CtTimeout(special_name, "tcp", _tcp_policy(pool, times.special), path))
        ports = one_of([str(port) for port in times.special_tcp_ports])
        rules.append(Rule((f'tcp dport {ports} ct timeout set "{special_name}"',), path, comment))
    return tuple(objects), tuple(rules)


def _tcp_policy(pool: Pool, established: int) -> tuple[tuple[str, int], ...]:
    times = pool.timeouts
    return (
        ("syn_sent", times.tcp_handshake),
        ("syn_recv", times.tcp_handshake),
        ("established", established),
        ("fin_wait", times.tcp_final),
        ("close_wait", times.tcp_final),
        ("last_ack", times.tcp_final),
        ("time_wait", times.tcp_final),
        ("close", times.tcp_reset),
    )
