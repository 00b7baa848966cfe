"""Subscribers of the pair's lab: many flows that talk or stay silent, and what became of each."""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from threading import Event, Thread
from typing import NamedTuple

from support.pair_lab import SERVER, socket_of

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
TICK = 0.05
Ends = tuple[str, int]


class TalkingFlow:
    """One connection of a subscriber: the global ends that the server has seen, and when it last answered."""

    def __init__(self, kind: socket.SocketKind, source: str, port: int, to_port: int, busy: bool) -> None:
        self.kind, self.source, self.port, self.to_port, self.busy = kind, source, port, to_port, busy
        self.link = socket_of("inner", kind)
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.link.bind((source, port))
        self.ends: set[Ends] = set()
        self.answers: list[float] = []
        self.inbound = 0
        self.error = ""
        if kind == TCP:
            self.link.settimeout(5)
            self.link.connect((SERVER, to_port))
        self.link.setblocking(False)

    def __repr__(self) -> str:
        kind = "tcp" if self.kind == TCP else "udp"
        heard = f"{len(self.answers)} answers at {sorted(self.ends)}"
        return f"{kind} {self.source}:{self.port} to {self.to_port}: {heard} {self.error}".rstrip()

    def say(self, what: bytes = b"hello\n") -> None:
        try:
            if self.kind == TCP:
                self.link.send(what)
            else:
                self.link.sendto(what, (SERVER, self.to_port))
        except BlockingIOError:
            pass
        except OSError as error:
            self.error = str(error)

    def hear(self) -> None:
        data = self.link.recv(65536)
        if not data:
            raise ConnectionError("closed")
        if data == b"inbound":
            self.inbound += 1
            return
        address, port = data.strip().split(b"\n")[-1].split()
        self.ends.add((address.decode(), int(port)))
        self.answers.append(time.monotonic())

    def longest_gap(self, since: float) -> float:
        """The longest time without an answer."""
        times = [one for one in self.answers if one >= since - 1]
        return max((b - a for a, b in itertools.pairwise(times)), default=99.0)


class KindOfPool(NamedTuple):
    """Subscribers of one kind of pool: their network, and the port of the server that they talk to."""

    name: str
    network: str
    to_port: int = 7000


KINDS = (
    KindOfPool("deterministic", "100.64.1"),
    KindOfPool("deterministic, EIM/EIF", "100.64.2"),
    KindOfPool("dynamic blocks", "100.64.3"),
    KindOfPool("whole addresses", "100.64.4"),
    KindOfPool("static", "100.64.5"),
    KindOfPool("snat and dnat", "100.64.6", 7001),
)
"""Of the site pair_lab.ALL_KINDS."""
SUBSCRIBERS, SOCKETS = 4, 4


def of_all_kinds(traffic: Traffic) -> None:
    """32 flows of each pool and 40 of the rules, half of each over UDP; every second one stays silent."""
    for kind in KINDS:
        for host in range(1, SUBSCRIBERS + 1 + (kind.to_port != 7000)):
            for number in range(SOCKETS):
                for protocol in (UDP, TCP):
                    port, busy = 30000 + number, number % 2 == 0
                    traffic.open(protocol, f"{kind.network}.{host}", port, kind.to_port, busy)


class Traffic:
    """All flows; a thread keeps the busy ones talking."""

    def __init__(self) -> None:
        self.flows: list[TalkingFlow] = []
        self._selector = selectors.DefaultSelector()
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def open(
        self, kind: socket.SocketKind, source: str, port: int, to_port: int = 7000, busy: bool = True
    ) -> TalkingFlow:
        flow = TalkingFlow(kind, source, port, to_port, busy)
        self.flows.append(flow)
        self._selector.register(flow.link, selectors.EVENT_READ, flow)
        flow.say()
        return flow

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for flow in self.flows:
            flow.link.close()

    def say_until_answered(self, flows: list[TalkingFlow], seconds: float) -> list[TalkingFlow]:
        """Speak on each; those that nobody answered."""
        begun = time.monotonic()
        waiting = list(flows)
        while waiting and time.monotonic() - begun < seconds:
            for flow in waiting:
                flow.say()
            time.sleep(0.25)
            waiting = [one for one in waiting if not one.answers or one.answers[-1] < begun]
        return waiting

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + TICK
                for flow in list(self.flows):
                    if flow.busy and not flow.error:
                        flow.say()
            for key, _ in self._selector.select(max(0.0, due - time.monotonic())):
                try:
                    key.data.hear()
                except BlockingIOError:
                    continue
                except OSError as error:
                    key.data.error = str(error)
                    self._selector.unregister(key.fileobj)
