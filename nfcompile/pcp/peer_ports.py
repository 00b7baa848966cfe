"""The open ports of a pair's master, as the standby keeps them: it opens them when it takes over.

The standby asks every few seconds, in a thread of its own: an answer that does not come holds up nothing.
Only what was opened since the last answer is lost in a failover; the new epoch makes clients ask for that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any, NamedTuple

from nfcompile.kernel import tally
from nfcompile.kernel.socket_entries import SocketEntries
from nfcompile.lower import names
from nfcompile.model.protocols import TCP, UDP
from nfcompile.pcp.decisions import MOST_SECONDS, Forwarding
from nfcompile.pcp.messages import NONCE_BYTES
from nfcompile.pcp.store import read_forwarding

EVERY, REST = 5.0, 20
"""Seconds between two questions; after an answer that took long, so many times as long as it took."""
QUESTION = "ports"
Ask = Callable[[], dict[str, Any] | None]


class PortsCopy(NamedTuple):
    """What the master had at a moment of our own clock."""

    at: float
    ports: tuple[Forwarding, ...]

    def left(self, now: float) -> list[Forwarding]:
        """Those whose time is not over, each with the seconds that it has left."""
        passed = now - self.at
        return [one._replace(left=one.left - passed) for one in self.ports if one.left - passed >= 1]


class PeerPorts:
    """The last copy, kept while this node is a standby."""

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask, self._clock = ask, clock
        self._wanted = Event()
        self._copy: PortsCopy | None = None
        self._thread: Thread | None = None

    def wanted(self, is_standby: bool) -> None:
        """Begin or end to ask. What was copied in an earlier time as a standby counts no more."""
        if is_standby and not self._wanted.is_set():
            self._copy = None
            self._wanted.set()
            if self._thread is None:
                self._thread = Thread(target=self._keep, daemon=True)
                self._thread.start()
        elif not is_standby:
            self._wanted.clear()

    @property
    def copy(self) -> PortsCopy | None:
        """What the master had when it answered last; None where it never has."""
        return self._copy

    def _keep(self) -> None:
        while self._wanted.wait():
            at = self._clock()
            found = sound(self._ask())
            if found is not None and self._wanted.is_set():
                self._copy = PortsCopy(at, found)
            time.sleep(max(EVERY, REST * (self._clock() - at)))


def told(namespace: str | None) -> dict[str, Any]:
    """What a node says of its open ports: a row for each, or null while its gate is closed."""
    entries = SocketEntries(namespace)
    if not entries.holds_any(str(names.GATE)):
        return {QUESTION: None}
    return {QUESTION: [_row(one) for one in _held(entries, namespace)]}


def sound(answer: dict[str, Any] | None) -> tuple[Forwarding, ...] | None:
    """The ports of an answer that are what they should be; None where it is no master's.

    >>> sound({"ports": [["homes", 17, 1, 6000, 2, 1500, "00" * 12, 60], ["homes", 17, 1], 7]})[0].global_port
    1500
    """
    rows = (answer or {}).get(QUESTION)
    return tuple(one for one in map(_read, rows) if one is not None) if isinstance(rows, list) else None


def _held(entries: SocketEntries, namespace: str | None) -> Iterator[Forwarding]:
    prefix = f"{names.forwarded('')}_"
    for name in tally.read(namespace).elements:
        if name.startswith(prefix):
            for element in entries.every(name):
                found = read_forwarding(name.removeprefix(prefix), element, 0.0)
                if found is not None:
                    yield found


def _row(one: Forwarding) -> list[object]:
    return [*one[:6], one.nonce.hex(), int(one.left)]


def _read(row: object) -> Forwarding | None:
    match row:
        case [
            str(pool),
            int(protocol),
            int(address),
            int(port),
            int(global_address),
            int(global_port),
            str(nonce),
            int(left),
        ]:
            pass
        case _:
            return None
    ports, addresses = (port, global_port), (address, global_address)
    sound = protocol in (TCP, UDP) and all(0 <= one <= 0xFFFF for one in ports)
    sound = sound and all(0 <= one <= 0xFFFFFFFF for one in addresses) and 0 < left <= MOST_SECONDS
    if not sound or not re.fullmatch(f"[0-9a-f]{{{2 * NONCE_BYTES}}}", nonce):
        return None
    key = bytes.fromhex(nonce)
    return Forwarding(pool, protocol, address, port, global_address, global_port, key, float(left))
