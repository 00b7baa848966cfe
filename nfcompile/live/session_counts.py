"""The use of pools: sessions, subscribers and global addresses, counted in one pass over the connections."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tallies
from collections import defaultdict
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.kernel.conntrack import Flow
from nfcompile.live.sessions import reader
from nfcompile.model.protocols import ICMP, TCP, UDP
from nfcompile.pipeline import Compiled

# Four counts in one number: a tuple or list for each subscriber would take three times the memory.
_BITS = 32
_OTHER_UNIT = 1 << 3 * _BITS
_UNIT = {TCP: 1, UDP: 1 << _BITS, ICMP: 1 << 2 * _BITS}


SESSION_STEPS = 10, 30, 100, 300, 1000, 3000
"""Bounds of the classes of subscribers by the number of their sessions; the last class has no bound."""
NO_SPREAD = (0,) * (len(SESSION_STEPS) + 1)


class TopSubscriber(NamedTuple):
    """A subscriber of a pool (None: of an snat rule) and its sessions, all and by protocol."""

    pool: str | None
    path: Path
    subscriber: int
    sessions: int
    tcp: int
    udp: int
    icmp: int


class SessionCounts(NamedTuple):
    """What a walk through the connections has counted, by path of a pool or rule."""

    sessions: Tallies[Path]
    active: Tallies[Path]
    addresses: Tallies[Path]
    top: tuple[TopSubscriber, ...]
    spread: dict[Path, tuple[int, ...]]
    """Active subscribers by the number of their sessions, as SESSION_STEPS has the classes."""


def count_sessions(compiled: Compiled, flows: Iterable[Flow], top: int = 0) -> SessionCounts:
    """Count sessions by pool and subscriber; memory for each subscriber with a session, none for sessions."""
    session_of = reader(compiled)
    counts: defaultdict[Path, Tallies[int]] = defaultdict(Tallies)
    addresses: defaultdict[Path, set[int]] = defaultdict(set)
    pools: dict[Path, str | None] = {}
    for flow in flows:
        session = session_of(flow)
        if session is None:
            continue
        pools[session.path] = session.pool
        counts[session.path][session.subscriber[0]] += _UNIT.get(flow.protocol, _OTHER_UNIT)
        addresses[session.path].add(session.translated[0])
    every = (
        (sum(_unpacked(packed)), -subscriber, path, packed)
        for path, packed_by_subscriber in counts.items()
        for subscriber, packed in packed_by_subscriber.items()
    )
    return SessionCounts(
        Tallies(
            {path: sum(sum(_unpacked(packed)) for packed in one.values()) for path, one in counts.items()}
        ),
        Tallies({path: len(one) for path, one in counts.items()}),
        Tallies({path: len(one) for path, one in addresses.items()}),
        tuple(
            TopSubscriber(pools[path], path, -negative, total, *_unpacked(packed)[:3])
            for total, negative, path, packed in nlargest(top, every)
        ),
        {path: _spread(one.values()) for path, one in counts.items()},
    )


def _spread(packed: Iterable[int]) -> tuple[int, ...]:
    found = Tallies(bisect_left(SESSION_STEPS, sum(_unpacked(one))) for one in packed)
    return tuple(found[step] for step in range(len(NO_SPREAD)))


def _unpacked(packed: int) -> tuple[int, int, int, int]:
    """Sessions by protocol: tcp, udp, icmp, others."""
    mask = (1 << _BITS) - 1
    return packed & mask, packed >> _BITS & mask, packed >> 2 * _BITS & mask, packed >> 3 * _BITS
