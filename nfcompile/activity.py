"""Who uses the pools: sessions, subscribers and global addresses, counted in one walk through connections."""

from __future__ import annotations

from collections import Counter as Tallies
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.kernel import conntrack
from nfcompile.kernel.conntrack import Flow
from nfcompile.pipeline import Compiled
from nfcompile.sessions import reader

# Four counts in one number: a tuple or list for each subscriber would take three times the memory.
_BITS = 32
_OTHER_UNIT = 1 << 3 * _BITS
_UNIT = {conntrack.TCP: 1, conntrack.UDP: 1 << _BITS, conntrack.ICMP: 1 << 2 * _BITS}


class Busy(NamedTuple):
    """A subscriber of a pool (None: of an snat rule) and its sessions, all and by protocol."""

    pool: str | None
    path: Path
    subscriber: int
    sessions: int
    tcp: int
    udp: int
    icmp: int


class Walk(NamedTuple):
    """What a walk through the connections has counted, by path of a pool or rule."""

    sessions: Tallies[Path]
    active: Tallies[Path]
    addresses: Tallies[Path]
    top: tuple[Busy, ...]


def walked(compiled: Compiled, flows: Iterable[Flow], top: int = 0) -> Walk:
    """Count sessions by pool and subscriber; memory for each subscriber with a session, none for sessions."""
    session_of = reader(compiled)
    counts: Tallies[tuple[Path, int]] = Tallies()
    pools: dict[Path, str | None] = {}
    addresses: set[tuple[Path, int]] = set()
    for flow in flows:
        session = session_of(flow)
        if session is None:
            continue
        path = session.path
        pools[path] = session.pool
        counts[path, session.subscriber[0]] += _UNIT.get(flow.protocol, _OTHER_UNIT)
        addresses.add((path, session.translated[0]))
    sessions: Tallies[Path] = Tallies()
    for (path, _), packed in counts.items():
        sessions[path] += sum(_unpacked(packed))
    busiest = nlargest(top, counts.items(), key=lambda item: (sum(_unpacked(item[1])), -item[0][1]))
    return Walk(
        sessions,
        Tallies(path for path, _ in counts),
        Tallies(path for path, _ in addresses),
        tuple(
            Busy(pools[path], path, subscriber, sum(_unpacked(packed)), *_unpacked(packed)[:3])
            for (path, subscriber), packed in busiest
        ),
    )


def _unpacked(packed: int) -> tuple[int, int, int, int]:
    """Sessions by protocol: tcp, udp, icmp, others."""
    mask = (1 << _BITS) - 1
    return packed & mask, packed >> _BITS & mask, packed >> 2 * _BITS & mask, packed >> 3 * _BITS
