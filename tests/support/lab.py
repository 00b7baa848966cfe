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

import ctypes
import itertools
import multiprocessing
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple, NoReturn

import pytest

from nfcompile.model.parse import addresses
from nfcompile.model.ranges import Range
from support.frames import Packet, frame, marker, read_frame, read_marker

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SOL_PACKET, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 23, 3
SO_ATTACH_FILTER, SKF_AD_VLAN_TAG_PRESENT = 26, 0xFFFFF030
UNTAGGED = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, SKF_AD_VLAN_TAG_PRESENT),
        (0x15, 0, 1, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    )
)
"""A classic BPF program: frames without a VLAN tag. Those with one come out of the VLAN's interface too."""

GATEWAY, INSIDE, OUTSIDE = "gateway", "inside", "outside"
PATIENCE = 20.0
"""Seconds until a marker that does not arrive is an error of the lab."""
ANSWER = 60.0
"""Seconds that the holder of the namespaces has for one answer."""
BATCH = 100
"""Packets between two markers: far less than what a queue of the kernel holds."""


class Wire(NamedTuple):
    """One interface of the gateway: the side it is on, its subnet and the prefixes routed to it."""

    name: str
    side: str
    subnet: str
    routes: tuple[str, ...]

    @property
    def number(self) -> int:
        return WIRES.index(self) + 1

    def mac(self, end: int) -> bytes:
        """The address of the gateway's end (1) or the far end (2)."""
        return bytes((2, 0, 0, 0, self.number, end))

    def ipv6(self, end: int) -> IPv6Address:
        return IPv6Address(f"2001:db8:{self.number}::{end}")


WIRES = (
    Wire("lan0", INSIDE, "172.31.0", ("100.64.0.0/10", "10.0.0.0/8", "192.168.0.0/16")),
    Wire("lan1", INSIDE, "172.31.1", ("10.1.0.0/16", "100.127.0.0/16")),
    Wire("lan0.102", INSIDE, "172.31.102", ("10.102.0.0/16", "192.168.1.0/24")),
    Wire("wan0", OUTSIDE, "172.31.9", ("default",)),
    Wire("wan1", OUTSIDE, "172.31.10", ("198.18.1.0/24",)),
)
WIRE = {wire.name: wire for wire in WIRES}
GATEWAY_ADDRESS = "172.31.9.1"
VLANS = {"lan1": 101, "lan0.102": 102}
"""The VLANs of sites that have some."""


def route(address: int) -> str:
    """The interface behind which the gateway's routes see an address."""
    found = max(
        (entry for entry in _ROUTES if entry[0].first <= address <= entry[0].last),
        key=lambda entry: entry[0].first - entry[0].last,
    )
    return found[1]


_ROUTES: tuple[tuple[Range, str], ...] = tuple(
    (addresses(text.replace("default", "0.0.0.0/0")), wire.name)
    for wire in WIRES
    for text in (*wire.routes, f"{wire.subnet}.0/24")
)


class Unavailable(Exception):
    """This machine does not let us build the lab; the message says why."""


def cannot(why: str) -> NoReturn:
    """Skip a test; with CI or NFCOMPILE_REQUIRE_KERNEL set that is a failure."""
    reason = f"kernel tests cannot run here: {why}"
    if os.environ.get("CI") or os.environ.get("NFCOMPILE_REQUIRE_KERNEL"):
        pytest.fail(reason)
    pytest.skip(reason)


def lacking(feature: str) -> NoReturn:
    """Skip a test of something that this kernel does not have, on a machine that is allowed to lack it: all
    but those of `make matrix`, which set NFCOMPILE_REQUIRE_FEATURES."""
    reason = f"this kernel has no {feature}; `make matrix` runs this test on kernels that have"
    if os.environ.get("NFCOMPILE_REQUIRE_FEATURES"):
        pytest.fail(reason)
    pytest.skip(reason)


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
            target=_hold, args=(theirs, self._pipe), daemon=True
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
        return self.ask(side, _run, command, stdin)  # type: ignore[no-any-return]

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
        if "Message too long" in done.stderr and os.geteuid():
            cannot("an ordinary user's batch to nf_tables may not be as large as this ruleset")
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
        return self.ask(side, _bound_socket, kind, address)  # type: ignore[no-any-return]

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

    def route_by_mark(self) -> None:
        """The host's part for sites with VLANs: what goes back to one is routed by its mark."""
        for wire, vid in VLANS.items():
            gateway = f"{WIRE[wire].subnet}.2"
            self.must("ip", "route", "replace", "default", "via", gateway, "dev", wire, "table", str(vid))
            if f"lookup {vid}" not in self.must("ip", "rule"):
                self.must("ip", "rule", "add", "fwmark", str(vid), "lookup", str(vid))

    @contextmanager
    def sysctl(self, name: str, value: str) -> Iterator[None]:
        """Another value of one of the gateway's sysctls, for a while."""
        before = self.ask(GATEWAY, _sysctls, [(name, value)])
        try:
            yield
        finally:
            self.ask(GATEWAY, _sysctls, before)

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
        except TimeoutError:
            # What comes later would be taken for the answer to the next question: begin anew.
            if self.ends:
                self.__exit__()
                self._prepare()
                self.__enter__()
            raise

    def _answer(self) -> Any:
        if not self._pipe.poll(ANSWER):
            raise TimeoutError("the holder of the namespaces does not answer")
        kind, value = self._pipe.recv()
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
                self.ask(GATEWAY, _link, side, [wire for wire in WIRES if wire.side == side])
            self.ask(GATEWAY, _sysctls, GATEWAY_SYSCTLS)
            for side in (INSIDE, OUTSIDE):
                lines = [f"link set {w.name} up" for w in WIRES if w.side == side]
                self.must("ip", "-batch", "-", stdin="\n".join(["link set lo up", *lines]), side=side)
            self.must("ip", "-batch", "-", stdin="\n".join(_gateway_lines()))
            self.must("ip", "-6", "-batch", "-", stdin="\n".join(_marker_lines()))
            self.must("nft", "-f", "-", stdin="table ip probe\ndelete table ip probe\n")
            self.forget()
        except (OSError, AssertionError) as error:
            raise Unavailable(str(error).strip()) from error
        for wire in WIRES:
            end = self.ask(wire.side, _far_end, wire.name)
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


def _gateway_lines() -> Iterator[str]:
    yield "link set lo up"
    for wire in WIRES:
        yield f"link set {wire.name} up"
        yield f"address add {wire.subnet}.1/24 dev {wire.name}"
        yield f"neighbour add {wire.subnet}.2 lladdr {_mac(wire.mac(2))} dev {wire.name} nud permanent"
        for prefix in wire.routes:
            yield f"route add {prefix} via {wire.subnet}.2 dev {wire.name}"


def host_lines(address: str, wire: Wire) -> Iterator[str]:
    gateway = f"{wire.subnet}.1"
    yield f"address replace {address}/32 dev lo"
    yield f"neighbour replace {gateway} lladdr {_mac(wire.mac(1))} dev {wire.name} nud permanent"
    yield f"route replace {gateway} dev {wire.name} scope link"
    yield f"route replace default via {gateway} dev {wire.name} src {address}"


def _marker_lines() -> Iterator[str]:
    for wire in WIRES:
        yield f"route add {wire.ipv6(0)}/64 dev {wire.name}"
        yield f"neighbour add {wire.ipv6(2)} lladdr {_mac(wire.mac(2))} dev {wire.name} nud permanent"


def _mac(address: bytes) -> str:
    return address.hex(":")


@contextmanager
def _one_processor() -> Iterator[None]:
    """Packets of one processor stay in order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# ---- what the holder does


def _hold(pipe: Connection, other_end: Connection) -> None:
    """The holder's whole life: make the namespaces, then work in them until nobody asks any more."""
    other_end.close()
    _system("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        _make_namespaces()
    except OSError as error:
        pipe.send(("error", Unavailable(f"no network namespaces: {error}")))
        return
    pipe.send(("value", None))
    while True:
        try:
            side, work, arguments = pipe.recv()
        except EOFError:
            return
        try:
            _system("setns", _NAMESPACES[side], CLONE_NEWNET)
            answer = work(*arguments)
        except Exception as error:
            pipe.send(("error", error))
            continue
        if isinstance(answer, socket.socket):
            pipe.send(("socket", None))
            send_handle(pipe, answer.fileno(), os.getppid())
            answer.close()
        else:
            pipe.send(("value", answer))


_NAMESPACES: dict[str, int] = {}


def _make_namespaces() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        _system("unshare", CLONE_NEWNET)
    except PermissionError:
        _system("unshare", CLONE_NEWUSER | CLONE_NEWNET)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    for side in (GATEWAY, INSIDE, OUTSIDE):
        _system("unshare", CLONE_NEWNET)
        _NAMESPACES[side] = os.open("/proc/self/ns/net", os.O_RDONLY)


def _system(name: str, *arguments: int) -> None:
    """Call the C library. (os.setns and os.unshare came with Python 3.12.)"""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _run(command: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        pass_fds=tuple(_NAMESPACES.values()),
    )


def _link(side: str, wires: Sequence[Wire]) -> None:
    """Lay the wires between the gateway, where we are, and one side."""
    for wire in wires:
        if not _link_tagged(wire, side):
            _link_plain(wire, side)


def _link_plain(wire: Wire, side: str) -> None:
    near, far = _mac(wire.mac(1)), _mac(wire.mac(2))
    peer = ("peer", "name", wire.name, "address", far, "netns", f"/proc/self/fd/{_NAMESPACES[side]}")
    done = _run(("ip", "link", "add", wire.name, "address", near, "type", "veth", *peer), "")
    if done.returncode:
        raise OSError(done.stderr.strip())


def _link_tagged(wire: Wire, side: str) -> bool:
    """A VLAN on the wire whose name it begins with; False where it is none, or the kernel has no VLANs."""
    parent, _, vid = wire.name.partition(".")
    if not vid:
        return False
    for where, end in ((GATEWAY, 1), (side, 2)):
        _system("setns", _NAMESPACES[where], CLONE_NEWNET)
        add = ("ip", "link", "add", "link", parent, "name", wire.name, "address", _mac(wire.mac(end)))
        done = _run((*add, "type", "vlan", "id", vid), "")
        if done.returncode:
            _system("setns", _NAMESPACES[GATEWAY], CLONE_NEWNET)
            return False
    _system("setns", _NAMESPACES[GATEWAY], CLONE_NEWNET)
    return True


def _sysctls(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Write sysctls; what was there before."""
    before = []
    for name, value in values:
        with open(f"/proc/sys/{name}") as file:
            before.append((name, file.read().strip()))
        with open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
    return before


def _far_end(name: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    program = ctypes.create_string_buffer(UNTAGGED)
    filter_ = struct.pack("HL", len(UNTAGGED) // 8, ctypes.addressof(program))
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
    end.bind((name, 0))
    return end


def _bound_socket(kind: int, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    return made
