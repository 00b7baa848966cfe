"""A gateway between subscribers and the Internet, in network namespaces of its own.

    inside                 gateway                  outside
    lan0      ------------ lan0         wan0 ------ wan0
    lan1      ------------ lan1         wan1 ------ wan1
    lan0.102  ------------ lan0.102    tagged, on lan0; a wire of its own where the kernel has no 8021q

The test itself is every host on both sides: it writes frames to the far ends of the wires and reads what
comes out there, so a subscriber can have any address and nothing but the gateway ever answers. The
gateway is a real kernel with real routes; the global addresses have none but the default route, as on a
host that only got its ruleset, so an unsolicited packet would loop.

Nothing waits for a time to pass to learn that a packet was dropped: after the packets goes a marker in
IPv6, which no table of family ip touches. The kernel handles what one processor sends in order, so when
the marker has come out, everything before it has come out or was dropped.

The namespaces belong to a child process without names anywhere, and vanish with it however it ends. As an
ordinary user they are made inside a user namespace.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.reduction import recv_handle
from typing import Any, NamedTuple, NoReturn

import pytest

from support import holder
from support.frames import Packet, frame, marker, read_frame, read_marker
from support.holder import Unavailable
from support.waiting import PATIENCE
from support.wires import (
    GATEWAY,
    INSIDE,
    OUTSIDE,
    VLANS,
    WIRE,
    WIRES,
    gateway_lines,
    host_lines,
    marker_lines,
)

ANSWER = 240.0
"""Seconds that the holder of the namespaces has for one answer: more than all that waits inside it."""
CANNOT = "kernel tests cannot run here"
BATCH = 100
"""Packets between two markers: far less than what a queue of the kernel holds."""


def cannot(why: str) -> NoReturn:
    """Skip a test; with CI or NFCOMPILE_REQUIRE_KERNEL set that is a failure."""
    reason = f"{CANNOT}: {why}"
    if is_required():
        pytest.fail(reason)
    pytest.skip(reason)


def is_required() -> bool:
    """Whether a kernel test that cannot run is a failure."""
    return bool(os.environ.get("CI") or os.environ.get("NFCOMPILE_REQUIRE_KERNEL"))


def lacking(feature: str) -> NoReturn:
    """Skip a test of something that this kernel does not have, on a machine that is allowed to lack it: all
    but those of `make matrix`, which set NFCOMPILE_REQUIRE_FEATURES."""
    reason = f"this kernel has no {feature}; `make matrix` runs this test on kernels that have"
    if os.environ.get("NFCOMPILE_REQUIRE_FEATURES"):
        pytest.fail(reason)
    pytest.skip(reason)


class _NoAnswer(TimeoutError):
    """The lab cannot be asked any more."""


class Seen(NamedTuple):
    """A packet that came out, and on which wire."""

    wire: str
    packet: Packet


class Outcome(NamedTuple):
    """What became of a probe: all places where it came out, and those where its answer did."""

    out: tuple[Seen, ...]
    back: tuple[Seen, ...]


class Lab:
    """The namespaces, from `with` to its end."""

    def __init__(self) -> None:
        self._prepare()

    def _prepare(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._holder = multiprocessing.get_context("fork").Process(
            target=holder.hold, args=(theirs, self._pipe), daemon=True
        )
        self._tokens = itertools.count(1_000_000)
        self.ends: dict[str, socket.socket] = {}

    def __enter__(self) -> Lab:
        try:
            self._holder.start()
            self._answer()
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for end in self.ends.values():
            end.close()
        self._pipe.close()
        if self._holder.pid is not None:
            self._holder.kill()
            self._holder.join()

    # ---- the gateway

    def run(self, *command: str, stdin: str = "", side: str = GATEWAY) -> subprocess.CompletedProcess[str]:
        """Run a command in a namespace."""
        return self.ask(side, holder.run, command, stdin)  # type: ignore[no-any-return]

    def must(self, *command: str, stdin: str = "", side: str = GATEWAY) -> str:
        """Run a command that has to succeed; what it printed."""
        done = self.run(*command, stdin=stdin, side=side)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def load(self, text: str) -> None:
        """Load a ruleset in the place of all that was there, with no connection known."""
        self.reload("flush ruleset\n" + text)
        self.forget()

    def reload(self, text: str) -> None:
        """Load a ruleset as it is; connections stay."""
        done = self.run("nft", "-f", "-", stdin=text)
        assert done.returncode == 0, done.stderr

    def listing(self) -> str:
        """The ruleset as the kernel has it, without the values of counters."""
        return self.must("nft", "-s", "list", "ruleset")

    def has_flowtable(self) -> bool:
        """Whether the kernel knows flowtables: one without interfaces asks for nothing else."""
        done = self.run(
            "nft", "-c", "add table ip probe; add flowtable ip probe f { hook ingress priority filter; }"
        )
        assert not done.returncode or "No such file or directory" in done.stderr, done.stderr
        return not done.returncode

    def has_tags(self) -> bool:
        """Whether lan0.102 is a real VLAN of lan0."""
        return " vlan " in self.must("ip", "-d", "link", "show", "dev", "lan0.102")

    def forget(self) -> None:
        """Forget all connections."""
        self.must("conntrack", "-F")

    def socket(self, side: str, kind: int, address: tuple[str, int]) -> socket.socket:
        """A real socket in a namespace, bound to an address that it has."""
        return self.ask(side, holder.bound_socket, kind, address)  # type: ignore[no-any-return]

    @contextmanager
    def connection(
        self, near: str, far: str, asked: int = 8080
    ) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A real TCP connection from a subscriber behind lan0 to a server behind wan0: both ends.

        The server listens on port 8080, `asked` is the one that the subscriber connects to. While it lasts
        the kernels of the two sides are these two hosts.
        """
        hosts = ((INSIDE, near, WIRE["lan0"]), (OUTSIDE, far, WIRE["wan0"]))
        with ExitStack() as stack:
            for side, address, wire in hosts:
                self.must("ip", "-batch", "-", stdin="\n".join(host_lines(address, wire)), side=side)
                stack.callback(self.must, "ip", "address", "flush", "dev", "lo", side=side)
            server = stack.enter_context(self.socket(OUTSIDE, socket.SOCK_STREAM, (far, 8080)))
            server.listen()
            here = stack.enter_context(self.socket(INSIDE, socket.SOCK_STREAM, (near, 0)))
            here.connect((far, asked))
            there, _ = server.accept()
            there.settimeout(PATIENCE)
            yield here, stack.enter_context(there)

    @contextmanager
    def routed_by_mark(self) -> Iterator[None]:
        """The host's part for sites with VLANs, for a while: what goes back to one is routed by its mark."""
        for wire, vid in VLANS.items():
            gateway = f"{WIRE[wire].subnet}.2"
            self.must("ip", "route", "replace", "default", "via", gateway, "dev", wire, "table", str(vid))
            self.must("ip", "rule", "add", "fwmark", str(vid), "lookup", str(vid))
        try:
            yield
        finally:
            for vid in VLANS.values():
                self.must("ip", "rule", "del", "fwmark", str(vid), "lookup", str(vid))

    @contextmanager
    def sysctl(self, name: str, value: str) -> Iterator[None]:
        """Another value of one of the gateway's sysctls, for a while."""
        before = self.ask(GATEWAY, holder.sysctls, [(name, value)])
        try:
            yield
        finally:
            self.ask(GATEWAY, holder.sysctls, before)

    # ---- packets

    def token(self) -> int:
        return next(self._tokens)

    def flight(self, packets: Iterable[tuple[str, Packet]]) -> list[tuple[Seen, ...]]:
        """Send packets into wires; for each, where it came out (nowhere: it was dropped)."""
        sent = [
            (wire, packet if packet.token else packet._replace(token=self.token()))
            for wire, packet in packets
        ]
        arrived: dict[int, list[Seen]] = {packet.token: [] for _, packet in sent}
        for _ in self._arrived():
            pass  # A full receive buffer, left by a test that floods, would drop what comes now.
        with _one_processor():
            for start in range(0, len(sent), BATCH):
                for wire, packet in sent[start : start + BATCH]:
                    self.put(wire, frame(packet, WIRE[wire].mac(1), WIRE[wire].mac(2)))
                for seen in self.drain():
                    if seen.packet.token in arrived:
                        assert seen.packet.sound, f"wrong checksum: {seen.packet} at {seen.wire}"
                        arrived[seen.packet.token].append(seen)
        return [tuple(arrived[packet.token]) for _, packet in sent]

    def exchange(self, packets: Iterable[tuple[str, Packet]]) -> list[Outcome]:
        """Send packets; whoever gets one answers it. Where did both come out?"""
        out = self.flight(packets)
        answers = [(seen.wire, seen.packet.reply(self.token())) for places in out for seen in places[:1]]
        back = iter(self.flight(answers))
        return [Outcome(places, next(back) if places else ()) for places in out]

    def put(self, wire: str, data: bytes) -> None:
        """Send a frame."""
        self.ends[wire].send(data)

    def drain(self) -> list[Seen]:
        """Everything that comes out until the gateway has nothing more to do."""
        token = self.token()
        way_in, way_out = WIRE["lan0"], WIRE["wan0"]
        ends = way_in.ipv6(2).packed, way_out.ipv6(2).packed
        self.put("lan0", marker(token, *ends, way_in.mac(1), way_in.mac(2)))
        until = time.monotonic() + PATIENCE
        seen: list[Seen] = []
        while time.monotonic() < until:
            seen += self._arrived()
            if self._marked >= token:
                return seen + list(self._arrived())
            self._poll.poll(100)
        self._begin_anew()
        raise TimeoutError(f"the marker did not pass the gateway within {PATIENCE} s")

    def _arrived(self) -> Iterator[Seen]:
        for name, end in self.ends.items():
            while True:
                try:
                    data = end.recv(4096)
                except BlockingIOError:
                    break
                token = read_marker(data)
                if token is not None:
                    self._marked = max(self._marked, token)
                    continue
                packet = read_frame(data)
                if packet is not None:
                    yield Seen(name, packet)

    # ---- building

    def ask(self, side: str, work: Callable[..., Any], *arguments: object) -> Any:
        """Let the holder do something in a namespace."""
        self._pipe.send((side, work, arguments))
        try:
            return self._answer()
        except _NoAnswer:
            # What comes later would be taken for the answer to the next question.
            if self.ends:
                self._begin_anew()
            raise

    def _begin_anew(self) -> None:
        """Throw away the namespaces and all that is in them, and make others."""
        self.__exit__()
        self._prepare()
        self.__enter__()

    def _answer(self) -> Any:
        if not self._pipe.poll(ANSWER):
            raise _NoAnswer(f"the holder of the namespaces did not answer within {ANSWER} s")
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            raise _NoAnswer("the holder of the namespaces has died") from None
        if kind == "error":
            raise value
        if kind != "socket":
            return value
        made = socket.socket(fileno=recv_handle(self._pipe))
        made.settimeout(PATIENCE)
        return made

    def _build(self) -> None:
        self._marked = 0
        self._poll = select.poll()
        try:
            for side in (INSIDE, OUTSIDE):
                self.ask(GATEWAY, holder.link, side, [wire for wire in WIRES if wire.side == side])
            self.ask(GATEWAY, holder.sysctls, GATEWAY_SYSCTLS)
            for side in (INSIDE, OUTSIDE):
                lines = [f"link set {w.name} up" for w in WIRES if w.side == side]
                self.must("ip", "-batch", "-", stdin="\n".join(["link set lo up", *lines]), side=side)
            self.must("ip", "-batch", "-", stdin="\n".join(gateway_lines()))
            self.must("ip", "-6", "-batch", "-", stdin="\n".join(marker_lines()))
            self.must("nft", "-f", "-", stdin="table ip probe\ndelete table ip probe\n")
            self.forget()
        except (OSError, AssertionError) as error:
            raise Unavailable(str(error).strip()) from error
        for wire in WIRES:
            end = self.ask(wire.side, holder.far_end, wire.name)
            end.setblocking(False)
            self.ends[wire.name] = end
            self._poll.register(end, select.POLLIN)


GATEWAY_SYSCTLS = (
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/all/forwarding", "1"),
)


@contextmanager
def _one_processor() -> Iterator[None]:
    """Packets of one processor stay in order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
