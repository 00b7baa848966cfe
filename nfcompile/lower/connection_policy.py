"""What a pool's first packet gets for the life of its connection: timeouts, helper, events.

Set inside the translate chain, before the translation, so only new connections of this pool pay for it.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import Chain, CtHelper, CtTimeout, Object, Rule
from nfcompile.emit.expressions import Constant, Field, number, symbol
from nfcompile.emit.statements import CT_STATE, CT_STATUS, L4PROTO, Log, Mangle, Use, jump, match
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.model.site import Pool, Site
from nfcompile.model.timeout_policies import policies, tcp_policy

ALGS = {
    "ftp": (("ftp", "tcp", 21),),
    "pptp": (("pptp", "tcp", 1723),),
    "rtsp": (("rtsp", "tcp", 554),),
    "sip": (("sip", "udp", 5060), ("sip", "tcp", 5060)),
}
"""Key of `alg` -> (name in the kernel, protocol, server port). Mainline kernels have no rtsp helper."""

CT_EVENT = Field("ct event")


def _events_of(*words: str) -> Mangle:
    return Mangle(CT_EVENT, Constant(number(sum(symbol("ct_event", word) for word in words))))


SILENT = _events_of()
LOGGED = _events_of("new", "destroy")
SYNCED = _events_of("new", "related", "destroy", "reply", "assured", "protoinfo", "seqadj")
"""What conntrackd lives from: without the changes of state the peer's copy stays that of the first packet."""


def policy(context: Context, allocation: PoolAllocation) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The timeout objects and the rules of one pool."""
    pool = allocation.pool
    timeouts, set_timeouts = _timeouts(context, pool)
    rules = (*set_timeouts, *_helpers(context.site, pool), _events(context.site, pool))
    return timeouts, rules


def helpers(context: Context) -> Contribution:
    """The helpers, and the connections that they expect: those get their ports from the helper, not from the
    block, so they are logged.

    They meet no nat chain, so their events are set here: as pools do that log, or silent if none does.
    """
    objects = helper_objects(context.site)
    if not objects:
        return Contribution()
    path: Path = ("nat_defaults", "alg")
    logging = any(p.connection_logging and _uses_algs(context.site, p) for p in context.site.active_pools)
    event = _event(context.site, logging)
    statements = (Log("nfcompile alg ", names.LOG_GROUP), event) if logging else (event,)
    rules = tuple(Rule((statement,), path) for statement in statements)
    expected = match(CT_STATE, "related"), match(CT_STATUS, "expected")
    chain, entry = Chain(names.EXPECTED, rules, path), Rule((*expected, jump(names.EXPECTED)), path)
    return Contribution((*objects, chain), translated=(entry,))


def helper_objects(site: Site) -> tuple[CtHelper, ...]:
    """One object for each helper that the site switches on and some pool uses."""
    if not any(_uses_algs(site, pool) for pool in site.active_pools):
        return ()
    return tuple(
        CtHelper(names.helper(kind, protocol), kind, protocol, _alg_path(key))
        for key, helpers in ALGS.items()
        if getattr(site.defaults.alg, key)
        for kind, protocol, _ in helpers
    )


def _uses_algs(site: Site, pool: Pool) -> bool:
    """cgnat pools use what is on; address-only pools need `alg_on_bnat` as well."""
    if pool.shares_addresses:
        return True
    return pool.owns_addresses and site.defaults.alg.alg_on_bnat


def _alg_path(key: str) -> Path:
    return ("nat_defaults", "alg", key)


def _helpers(site: Site, pool: Pool) -> tuple[Rule, ...]:
    if not _uses_algs(site, pool):
        return ()
    return tuple(
        Rule(
            (match(Field(f"{protocol} dport"), port), Use("ct helper", names.helper(kind, protocol))),
            _alg_path(key),
        )
        for key, helpers in ALGS.items()
        if getattr(site.defaults.alg, key)
        for kind, protocol, port in helpers
    )


def _event(site: Site, logging: bool) -> Mangle:
    if site.pair is not None:
        return SYNCED
    return LOGGED if logging else SILENT


def _events(site: Site, pool: Pool) -> Rule:
    """A pool that logs tells conntrack listeners of new and ended connections; others stay silent, but in a
    pair, where conntrackd listens."""
    path = (*pool.path, "connection_logging") if "connection_logging" in pool.given else pool.path
    return Rule((_event(site, pool.connection_logging),), path, f"{dotted(pool.path)}.connection_logging")


def trial_timeouts(pool: Pool, seconds: int) -> tuple[tuple[CtTimeout, ...], tuple[Rule, ...]]:
    """The policies of a pool's connections that nothing has answered, where they differ."""
    path, objects, rules = (*pool.path, "timeouts_inactivity"), [], []
    wanted = [(match(L4PROTO, protocol), protocol, own) for protocol, own in policies(pool).items()]
    if pool.timeouts.special_tcp_ports:
        ports = match(Field("tcp dport"), *pool.timeouts.special_tcp_ports)
        wanted.append((ports, "tcp", tcp_policy(pool, pool.timeouts.special)))
    for matched, protocol, own in wanted:
        state = next(iter(own))
        if own[state] > seconds:
            one = _policy(protocol, own | {state: _unanswered(state, seconds)}, path)
            objects.append(one)
            rules.append(Rule((matched, Use("ct timeout", one.name)), path))
    return tuple(objects), tuple(rules)


def _timeouts(context: Context, pool: Pool) -> tuple[tuple[CtTimeout, ...], tuple[Rule, ...]]:
    """tcp and udp are all that nft's grammar has; icmp and other protocols: see docs/behaviour.md."""
    path, own = (*pool.path, "timeouts_inactivity"), policies(pool)
    objects = [_policy(one, own[one], path) for one in own if one not in context.held_by_host]
    rules = [Rule((match(L4PROTO, one.protocol), Use("ct timeout", one.name)), path) for one in objects]
    if pool.timeouts.special_tcp_ports:
        special = _policy("tcp", tcp_policy(pool, pool.timeouts.special), path)
        ports = match(Field("tcp dport"), *pool.timeouts.special_tcp_ports)
        objects.append(special)
        rules.append(Rule((ports, Use("ct timeout", special.name)), path))
    return tuple(objects), tuple(rules)


def _unanswered(state: str, seconds: int) -> int:
    """Not the kernel's own value: nft lists a policy of such values as an empty one, which it cannot read."""
    return seconds - (state == "unreplied" and seconds == KERNELS_UNREPLIED)


def _policy(protocol: str, seconds: dict[str, int], path: Path) -> CtTimeout:
    half_open = ("syn_recv",) if seconds.get("syn_recv") != seconds.get("syn_sent") else ()
    states = (*NAMING[:1], *half_open, *NAMING[1:])
    distinct = dict.fromkeys(seconds.values()) if protocol == "udp" else [seconds[s] for s in states]
    return CtTimeout(names.timeout_policy(protocol, distinct), protocol, tuple(seconds.items()), path)


KERNELS_UNREPLIED = 30
"""Seconds of a udp connection without an answer where nothing says otherwise."""
NAMING = ("syn_sent", "established", "fin_wait", "close")
"""States of tcp that have values of their own: a policy is called by them. On trial `syn_recv` is one too."""
