"""What a new connection and an established packet cost, against one plain `masquerade`.

One client namespace (this process), a gateway namespace for each case, one server namespace:

    client c<n> -- lan0 gateway n wan0 -- s<n> server

The client is pinned to one CPU and sends whole frames by `sendmmsg`, so the time of its system calls is
the time of the whole way: client -> gateway -> server, where the frames end. Each case gets the same
frames. Connection tracking is emptied after each turn. Before its time counts, each case shows that it
does its work: all flows arrive, and those looked at have the global address and ports that `lookup` says.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import measure
import sites
import vyos_shape
from measure import Batch, Failed, Namespace, ratio, verdict

SUBSCRIBERS = 1 << 16
FLOWS = 30_000
LONG_LIVED = 4096
ESTABLISHED_PACKETS = 15 * LONG_LIVED
ROUNDS = 5
SAMPLE = 2000
WORKING_SHARE = 0.99
TARGET = 1.05

MASQUERADE = """\
table ip plain {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wan0" masquerade
	}
}
"""

SMALL = "port_block_size: 16"
SITES: dict[str, str] = {
    "bare: hairpin off, connection_logging off": sites.aligned(SUBSCRIBERS),
    "bare, without its timeouts and event mask": sites.aligned(SUBSCRIBERS),
    "bare, 1,048,576 subscribers": sites.aligned(1 << 20),
    "bare, permit_invalid_flow on": sites.aligned(SUBSCRIBERS, defaults=f"{SMALL}, permit_invalid_flow: on"),
    "bare, sessions_per_translation 100": sites.aligned(
        SUBSCRIBERS, defaults=f"{SMALL}, sessions_per_translation: 100"
    ),
    "bare, allocation dynamic": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "bare, allocation dynamic, known subscribers": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "connection_logging on": sites.aligned(SUBSCRIBERS, "hairpin: off"),
    "filtering endpoint_independent": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, filtering: endpoint_independent"
    ),
    "hairpin on": sites.aligned(SUBSCRIBERS, "connection_logging: off"),
    "hairpin on, known sockets": sites.aligned(SUBSCRIBERS, "connection_logging: off"),
    "randomize_ports on": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, randomize_ports: on"),
    "randomize_ports off": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, randomize_ports: off"),
    "all defaults": sites.aligned(SUBSCRIBERS, ""),
}
"""Name -> site. To see what one more feature costs, add a line with that feature alone."""

LISTENED = (
    "masquerade",
    "bare: hairpin off, connection_logging off",
    "connection_logging on",
    "all defaults",
)
"""Cases that are measured once more while a program reads the connection events of the gateway."""

KNOWN = "known"
"""Cases with this word keep what the ruleset learns; the others are loaded anew before each turn."""

BASE = "masquerade"
AGAIN = "masquerade, a second gateway"
VYOS = f"VyOS shape, {SUBSCRIBERS:,} subscribers"
JUDGED = ("bare: hairpin off, connection_logging off", "bare, without its timeouts and event mask")
POLICY_RULE = re.compile("ct timeout set|ct event set")
TRANSLATION_ALONE = "bare, without its timeouts and event mask"
"""The translation with ACL and guards, but without what each connection is given for its life: the rules that
do that are taken out of the ruleset, to show what they cost."""

CLIENT_MAC, LAN_MAC, WAN_MAC, SERVER_MAC = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3, 4))
WAN_ADDRESS = "203.0.113.1"
ENTRY = re.compile(r"src=(\S+) dst=\S+ sport=(\d+) dport=\d+ .*?src=\S+ dst=(\S+) sport=\d+ dport=(\d+)")

Verify = Callable[[str, str, int], str]
"""(subscriber, global address, global port) -> what is wrong with it, or nothing."""


class Flow(NamedTuple):
    """What makes a UDP flow."""

    source: int
    source_port: int
    destination: int
    destination_port: int

    def frame(self) -> bytes:
        """60 bytes; no UDP checksum."""
        header = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0x4000, 64, 17, 0, self.source, self.destination)
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        header = header[:10] + struct.pack("!H", total ^ 0xFFFF) + header[12:]
        ports = struct.pack("!HHHH", self.source_port, self.destination_port, 26, 0)
        return LAN_MAC + CLIENT_MAC + b"\x08\x00" + header + ports + bytes(18)


def flows(count: int, seed: int) -> list[Flow]:
    """As many subscribers, each with one flow, in random order, to 254 servers."""
    rng = random.Random(seed)
    sources = rng.sample(range(SUBSCRIBERS), count)
    return [
        Flow(
            sites.FIRST_SUBSCRIBER + number,
            rng.randrange(32768, 61000),
            (192 << 24) + (2 << 8) + rng.randrange(1, 255),
            rng.choice((53, 123, 443, 3478, 5060, 8801)),
        )
        for number in sources
    ]


class Gateway:
    """A gateway between this process and the server."""

    def __init__(self, name: str, number: int, server: Namespace, verify: Verify) -> None:
        self.name, self.verify = name, verify
        self.namespace = Namespace()
        self.ruleset: Path | None = None
        self._listener: subprocess.Popen[bytes] | None = None
        pid = str(self.namespace.pid)
        _link(f"c{number}", CLIENT_MAC, "lan0", LAN_MAC, pid)
        inside = self.namespace.do
        inside("ip", "link", "add", "wan0", "address", _mac(WAN_MAC), "type", "veth", "peer", "name",
               f"s{number}", "address", _mac(SERVER_MAC), "netns", str(server.pid))  # fmt: skip
        server.do("ip", "link", "set", f"s{number}", "up")
        for link, address in (("lan0", "10.255.0.1/30"), ("wan0", f"{WAN_ADDRESS}/30")):
            inside("ip", "address", "add", address, "dev", link)
            inside("ip", "link", "set", link, "up")
        for link, peer, mac, to in (
            ("lan0", "10.255.0.2", CLIENT_MAC, "100.64.0.0/10"),
            ("wan0", "203.0.113.2", SERVER_MAC, "default"),
        ):
            inside("ip", "neighbour", "add", peer, "lladdr", _mac(mac), "dev", link, "nud", "permanent")
            inside("ip", "route", "add", to, "via", peer, "dev", link)
        inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.socket = measure.packet_socket(f"c{number}")
        with server.entered():
            self.far_socket = measure.packet_socket(f"s{number}")

    def load(self, ruleset: Path) -> None:
        """Load a ruleset, and again before each turn if it learns from packets."""
        self.namespace.do("nft", "-f", str(ruleset))
        self.ruleset = ruleset if KNOWN not in self.name and "dynamic" in ruleset.read_text() else None

    def forget(self) -> None:
        """Back to the state after loading: no connections, nothing learnt."""
        self.namespace.do("conntrack", "-F")
        if self.ruleset:
            self.namespace.do("nft", "-f", str(self.ruleset))

    def listen(self) -> None:
        """Start a program that reads all connection events, on another CPU than the sender's."""
        command = self.namespace.command("conntrack", "-E", "-e", "NEW,DESTROY", "-b", "8388608")
        self._listener = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        others = os.sched_getaffinity(0) if os.cpu_count() == 1 else set(range(os.cpu_count() or 1)) - {CPU}
        os.sched_setaffinity(self._listener.pid, others)
        time.sleep(0.2)

    def tracked(self) -> int:
        """Connections that the gateway knows."""
        return int(self.namespace.do("conntrack", "-C"))

    def left(self) -> int:
        """Packets that have left for the server."""
        statistics = self.namespace.do("ip", "-s", "link", "show", "wan0").splitlines()
        return int(statistics[-1].split()[1])

    def faults(self) -> list[str]:
        """What is wrong with a sample of the connections that the gateway has now."""
        lines = self.namespace.do("conntrack", "-L", "-p", "udp").splitlines()
        found = [match.groups() for line in lines if (match := ENTRY.search(line))]
        sample = random.Random(2).sample(found, min(SAMPLE, len(found)))
        if not sample:
            return ["no connections"]
        return [
            fault for local, _, address, port in sample if (fault := self.verify(local, address, int(port)))
        ]

    def close(self) -> None:
        """Let it vanish."""
        if self._listener:
            self._listener.kill()
            self._listener.wait()
        self.socket.close()
        self.far_socket.close()
        self.namespace.close()


CPU = max(os.sched_getaffinity(0))
"""The CPU of the sender."""


def _link(near: str, near_mac: bytes, far: str, far_mac: bytes, pid: str) -> None:
    command = ["ip", "link", "add", near, "address", _mac(near_mac), "type", "veth", "peer", "name", far]
    subprocess.run([*command, "address", _mac(far_mac), "netns", pid], check=True)
    subprocess.run(["ip", "link", "set", near, "up"], check=True)


def _mac(address: bytes) -> str:
    return address.hex(":")


def _cpu(work: Callable[[], None]) -> float:
    """Seconds of CPU that this process spends on a piece of work."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_stime - before.ru_stime + after.ru_utime - before.ru_utime


# Cases


def _masquerades(_: str, address: str, __: int) -> str:
    return "" if address == WAN_ADDRESS else f"global address {address}"


def _of_site(text: str) -> Verify:
    """What `lookup` answers for a subscriber; for dynamic pools, that the address is one of the pool's."""
    from nfcompile import answers, pipeline

    compiled = pipeline.compile_site(pipeline.parse(text.encode(), "bench"))
    pool = compiled.site.pools[0]
    owners: dict[tuple[str, int], str] = {}

    def dynamic(local: str, address: str, port: int) -> str:
        number = _number(address)
        if not any(one.first <= number <= one.last for one in pool.global_ip) or port < 1024:
            return f"{local} has {address}:{port}, which is not the pool's"
        block = (port - 1024) // sites.BLOCK
        owner = owners.setdefault((address, block), local)
        return "" if owner == local else f"{local} and {owner} share block {block} of {address}"

    def deterministic(local: str, address: str, port: int) -> str:
        (answer,) = answers.lookups(compiled, _number(local), None, "udp")
        first, last = answer.port_first or 0, answer.port_last or 0
        if answer.global_ip == address and first <= port <= last:
            return ""
        return f"{local} has {address}:{port} instead of {answer.global_ip}:{first}-{last}"

    return dynamic if pool.allocation == "dynamic" else deterministic


def _number(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), "big")


def _gateways(folder: Path, wanted: Sequence[str], server: Namespace) -> list[Gateway]:
    """A loaded gateway for each case; what cannot be built or loaded is said and left out."""
    found: list[Gateway] = []
    for name in (BASE, AGAIN, VYOS, *SITES):
        needed = name in (BASE, AGAIN) or not wanted or any(word in name for word in wanted)
        if not needed:
            continue
        text = folder / f"{len(found)}.nft"
        verify: Verify = _masquerades
        try:
            if name in SITES:
                site = folder / "site.yaml"
                site.write_text(SITES[name])
                measure.run(measure.nfcompile("build", str(site)), text)
                if name == TRANSLATION_ALONE:
                    lines = text.read_text().splitlines(keepends=True)
                    text.write_text("".join(one for one in lines if not POLICY_RULE.search(one)))
                verify = _of_site(SITES[name])
            elif name == VYOS:
                measure.run([sys.executable, vyos_shape.__file__, str(SUBSCRIBERS), str(text)])
                verify = _of_site(sites.aligned(SUBSCRIBERS))
            else:
                text.write_text(MASQUERADE)
            gateway = Gateway(name, len(found), server, verify)
            try:
                gateway.load(text)
            except Failed:
                gateway.close()
                raise
            found.append(gateway)
        except Failed as problem:
            if name == BASE:
                raise
            print(f"*** LEFT OUT: {name}: {problem}", file=sys.stderr, flush=True)
    return found


# New connections


def _new_flows(gateway: Gateway, batch: Batch, broken: dict[str, str]) -> float:
    """One turn: CPU nanoseconds a packet; notes a case that did not do its work."""
    before = gateway.left()
    spent = _cpu(partial(batch.send, gateway.socket))
    share = (gateway.left() - before) / batch.count
    tracked = gateway.tracked() / batch.count
    if min(share, tracked) < WORKING_SHARE:
        broken[gateway.name] = f"{share:.1%} of the flows arrived, {tracked:.1%} are tracked"
    gateway.forget()
    return spent / batch.count * 1e9


def _check(gateway: Gateway, batch: Batch) -> str:
    """Send once, and look at what the gateway made of it."""
    batch.send(gateway.socket)
    faults = gateway.faults()
    gateway.forget()
    return f"{len(faults)} of {SAMPLE} wrong, e.g. {faults[0]}" if faults else ""


# Established packets


def _establish(gateway: Gateway, some: Sequence[Flow]) -> str:
    """Let the server answer each flow, so that the connections are established; what went wrong."""
    gateway.far_socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    with _receiving(gateway.far_socket):
        Batch([flow.frame() for flow in some]).send(gateway.socket)
        arrived = list(_frames(gateway.far_socket))
    answers = [_answer(frame) for frame in arrived if frame[12:14] == b"\x08\x00" and frame[:6] == SERVER_MAC]
    if len(answers) < len(some) * WORKING_SHARE:
        return f"{len(answers)} of {len(some)} first packets arrived"
    for frame in answers:
        gateway.far_socket.send(frame)
    lines = gateway.namespace.do("conntrack", "-L", "-p", "udp").splitlines()
    answered = sum("UNREPLIED" not in line for line in lines)
    return "" if answered >= len(some) * WORKING_SHARE else f"{answered} of {len(some)} are established"


class _receiving:
    """Let a packet socket receive for a while; otherwise it would cost time in each turn."""

    def __init__(self, socket_: socket.socket) -> None:
        self._socket, self._name = socket_, socket_.getsockname()[0]

    def __enter__(self) -> None:
        self._bind(0x0003)

    def __exit__(self, *_: object) -> None:
        self._bind(0)

    def _bind(self, protocol: int) -> None:
        self._socket.bind((self._name, protocol))


def _frames(far: socket.socket) -> list[bytes]:
    """All frames that wait."""
    found: list[bytes] = []
    far.setblocking(False)
    try:
        while True:
            found.append(far.recv(2048))
    except BlockingIOError:
        return found
    finally:
        far.setblocking(True)


def _answer(frame: bytes) -> bytes:
    """The frame back to where it came from. (Swapping addresses changes no checksum.)"""
    ports = frame[36:38] + frame[34:36]
    return WAN_MAC + SERVER_MAC + frame[12:26] + frame[30:34] + frame[26:30] + ports + frame[38:]


def _established(gateway: Gateway, batch: Batch, broken: dict[str, str]) -> float:
    before = gateway.left()
    spent = _cpu(partial(batch.send, gateway.socket))
    share = (gateway.left() - before) / batch.count
    if share < WORKING_SHARE or gateway.tracked() > LONG_LIVED:
        broken[gateway.name] = f"{share:.1%} of the packets arrived, {gateway.tracked()} connections"
    return spent / batch.count * 1e9


# The report


def _report(
    title: str,
    gateways: Sequence[Gateway],
    costs: dict[str, list[float]],
    broken: dict[str, str],
    judge: bool = False,
) -> None:
    measure.heading(title)
    rows = []
    for gateway in gateways:
        name = gateway.name
        if name in broken:
            rows.append((name, "-", "-", f"DOES NOT WORK: {broken[name]}"))
            continue
        times = ratio(costs[name], costs[BASE])
        target = verdict(times.middle, TARGET) if judge and name in JUDGED else ""
        rows.append((name, f"{median(costs[name]):,.0f}", str(times), target))
    measure.table(["case", "CPU ns a packet", f"against {BASE}", ""], rows)


def main(arguments: Sequence[str] = ()) -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description="Cost of new connections and established packets.")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases with that word")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: connections: {problem}", file=sys.stderr)
        return
    # The limit holds for each namespace; the hash table is the host's.
    limit = measure.get_sysctl("netfilter.nf_conntrack_max")
    buckets = measure.get_sysctl("netfilter.nf_conntrack_buckets")
    count = min(FLOWS, int(limit * 0.9)) if limit else FLOWS
    if count < FLOWS:
        print(f"*** only {count:,} flows: nf_conntrack_max is {limit:,}", file=sys.stderr)
    os.sched_setaffinity(0, {CPU})
    gateways: list[Gateway] = []
    with tempfile.TemporaryDirectory() as folder:
        server = Namespace()
        try:
            gateways += _gateways(Path(folder), wish.only, server)
            _measure(gateways, count, wish.rounds, f"{buckets:,} conntrack buckets")
        finally:
            for gateway in gateways:
                gateway.close()
            server.close()


def _measure(gateways: list[Gateway], count: int, rounds: int, buckets: str) -> None:
    batch = Batch([flow.frame() for flow in flows(count, 1)])
    broken = {gateway.name: fault for gateway in gateways if (fault := _check(gateway, batch))}
    turns = {g.name: partial(_new_flows, g, batch, broken) for g in gateways}
    costs = measure.interleave(turns, rounds)
    title = f"New connections: {count:,} UDP flows a turn, {rounds} rounds, {buckets}"
    _report(title, gateways, costs, broken, judge=True)

    some = flows(LONG_LIVED, 2)
    faults = broken | {g.name: fault for g in gateways if (fault := _establish(g, some))}
    many = Batch([flow.frame() for flow in some], ESTABLISHED_PACKETS // LONG_LIVED)
    turns = {g.name: partial(_established, g, many, faults) for g in gateways}
    costs = measure.interleave(turns, rounds)
    title = f"Packets of {LONG_LIVED:,} established connections: {many.count:,} a turn, {rounds} rounds"
    _report(title, gateways, costs, faults)

    # Last, because one listener makes the kernel keep events for every namespace.
    heard = [g for g in gateways if g.name in LISTENED and g.name not in broken]
    for gateway in heard:
        gateway.forget()
        gateway.listen()
    if not heard:
        return
    turns = {g.name: partial(_new_flows, g, batch, broken) for g in heard}
    costs = measure.interleave(turns, rounds)
    _report("New connections while a program reads the events of each gateway", heard, costs, broken)


if __name__ == "__main__":
    main(sys.argv[1:])
