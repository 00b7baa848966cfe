"""The way of a packet: a client, gateways to choose from, a server; each a namespace.

    client c<n> -- lan0 gateway n wan0 -- s<n> server

The client is this process, pinned to one CPU. It sends whole frames, so the time of its system calls is the
time of the whole way: client -> gateway -> server, where the frames end.
"""

from __future__ import annotations

import os
import random
import re
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import measure
import sites
from frames import Batch, packet_socket
from measure import Namespace

CLIENT_MAC, LAN_MAC, WAN_MAC, SERVER_MAC = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3, 4))
WAN_ADDRESS = "203.0.113.1"
ENTRY = re.compile(r"src=(\S+) dst=\S+ sport=(\d+) dport=\d+ .*?src=\S+ dst=(\S+) sport=\d+ dport=(\d+)")
SAMPLE = 2000
SYN = 2
EVERY_PROTOCOL = 3
UDP, TCP = 17, 6
KNOWN = "known"
"""Cases with this word keep what the ruleset learns; the others are loaded anew before each turn."""

MASQUERADE = """\
table ip plain {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wan0" masquerade
	}
}
"""

NFT = ("nft", "-f")
CPU = max(os.sched_getaffinity(0))
"""The CPU of the sender."""

Verify = Callable[[str, str, int], str]
"""(subscriber, global address, global port) -> what is wrong with it, or nothing."""


# Packets


class Flow(NamedTuple):
    """What makes a flow."""

    source: int
    source_port: int
    destination: int
    destination_port: int

    def frame(self, protocol: int = UDP) -> bytes:
        """60 bytes: UDP without checksum, or the SYN of a TCP connection."""
        header = struct.pack(
            "!BBHHHBBHII", 0x45, 0, 46, 0, 0x4000, 64, protocol, 0, self.source, self.destination
        )
        header = header[:10] + _checksum(header) + header[12:]
        return LAN_MAC + CLIENT_MAC + b"\x08\x00" + header + (self._tcp() if protocol == TCP else self._udp())

    def _udp(self) -> bytes:
        return struct.pack("!HHHH", self.source_port, self.destination_port, 26, 0) + bytes(18)

    def _tcp(self) -> bytes:
        segment = struct.pack(
            "!HHIIBBHHH", self.source_port, self.destination_port, 1, 0, 0x50, SYN, 8192, 0, 0
        ) + bytes(6)
        pseudo = struct.pack("!IIBBH", self.source, self.destination, 0, TCP, len(segment))
        return segment[:16] + _checksum(pseudo + segment) + segment[18:]


def _checksum(words: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)


def flows(count: int, seed: int, subscribers: int) -> list[Flow]:
    """As many of the subscribers, each with one flow, in random order, to 254 servers."""
    rng = random.Random(seed)
    return [
        Flow(
            sites.FIRST_SUBSCRIBER + number,
            rng.randrange(32768, 61000),
            (192 << 24) + (2 << 8) + rng.randrange(1, 255),
            rng.choice((53, 123, 443, 3478, 5060, 8801)),
        )
        for number in rng.sample(range(subscribers), count)
    ]


# Gateways


class Gateway:
    """A gateway between this process and the server."""

    def __init__(self, name: str, number: int, server: Namespace, verify: Verify) -> None:
        self.name, self.verify = name, verify
        self.tracks = True
        self.namespace = Namespace()
        self._again: Sequence[str] = ()
        self._listener: subprocess.Popen[bytes] | None = None
        pid = str(self.namespace.pid)
        _link(f"c{number}", CLIENT_MAC, "lan0", LAN_MAC, pid)
        inside = self.namespace.do
        inside("ip", "link", "add", "wan0", "address", mac(WAN_MAC), "type", "veth", "peer", "name",
               f"s{number}", "address", mac(SERVER_MAC), "netns", str(server.pid))  # fmt: skip
        server.do("ip", "link", "set", f"s{number}", "up")
        for link, address in (("lan0", "10.255.0.1/30"), ("wan0", f"{WAN_ADDRESS}/30")):
            inside("ip", "address", "add", address, "dev", link)
            inside("ip", "link", "set", link, "up")
        for link, peer, hardware, to in (
            ("lan0", "10.255.0.2", CLIENT_MAC, "100.64.0.0/10"),
            ("wan0", "203.0.113.2", SERVER_MAC, "default"),
        ):
            inside("ip", "neighbour", "add", peer, "lladdr", mac(hardware), "dev", link, "nud", "permanent")
            inside("ip", "route", "add", to, "via", peer, "dev", link)
        inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        # No connection may end while a turn takes its time.
        for timeout in ("udp_timeout", "udp_timeout_stream"):
            inside("sysctl", "-qw", f"net.netfilter.nf_conntrack_{timeout}=3600")
        self.socket = packet_socket(f"c{number}")
        self._server, self._far = server, f"s{number}"
        with server.entered():
            self.far_socket = packet_socket(self._far)

    def load(self, ruleset: Path, loader: Sequence[str] = NFT, limit: int = 0, memory: int = 0) -> None:
        """Load a ruleset, and again before each turn if it learns from packets. Failed beyond `limit` seconds
        of CPU or `memory` MB."""
        with self.namespace.entered():
            measure.run([*loader, str(ruleset)], limit=limit, memory=memory)
        learns = KNOWN not in self.name and loader == NFT and "dynamic" in ruleset.read_text()
        self._again = (*loader, str(ruleset)) if learns else ()

    def forget(self) -> None:
        """Back to the state after loading: no connections, nothing learnt."""
        self.namespace.do("conntrack", "-F")
        if self._again:
            self.namespace.do(*self._again)

    def receiver(self) -> socket.socket:
        """A socket of its own that gets what arrives at the server; each frame costs more until it is closed.
        (One that has received once goes on: binding it to no protocol changes nothing.)"""
        with self._server.entered():
            made = packet_socket(self._far)
            made.bind((self._far, EVERY_PROTOCOL))
        return made

    def keep(self) -> None:
        """Do not load anew before a turn: what the ruleset learns from one counts in the next."""
        self._again = ()

    def flush(self, *objects: str) -> None:
        """Before a turn, forget what these sets and maps have learnt, and nothing else."""
        self._again = ("nft", "; ".join(f"flush {one}" for one in objects))

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

    def faults(self, protocol: str = "udp") -> list[str]:
        """What is wrong with a sample of the connections that the gateway has now."""
        lines = self.namespace.do("conntrack", "-L", "-p", protocol).splitlines()
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


def _link(near: str, near_mac: bytes, far: str, far_mac: bytes, pid: str) -> None:
    command = ["ip", "link", "add", near, "address", mac(near_mac), "type", "veth", "peer", "name", far]
    subprocess.run([*command, "address", mac(far_mac), "netns", pid], check=True)
    subprocess.run(["ip", "link", "set", near, "up"], check=True)


def mac(address: bytes) -> str:
    """A hardware address as `ip` writes it."""
    return address.hex(":")


def cpu(work: Callable[[], None]) -> float:
    """Seconds of CPU that this process spends on a piece of work."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_stime - before.ru_stime + after.ru_utime - before.ru_utime


def shown(gateway: Gateway, some: Sequence[Flow]) -> str:
    """Send a UDP and a TCP packet of each flow, and look at what the gateway made of them; what is wrong."""
    fault = ""
    for protocol, word in ((UDP, "udp"), (TCP, "tcp")):
        before = gateway.left()
        Batch([flow.frame(protocol) for flow in some]).send(gateway.socket)
        faults = gateway.faults(word) if gateway.tracks else []
        arrived = gateway.left() - before
        if faults:
            fault = f"{len(faults)} of {len(some)} ({word}), e.g. {faults[0]}"
        elif arrived < len(some):
            fault = f"{arrived} of {len(some)} packets ({word}) arrived"
    if not gateway.tracks and gateway.tracked():
        fault = f"{gateway.tracked()} connections are tracked"
    gateway.forget()
    return fault


# What is right


def masquerades(_: str, address: str, __: int) -> str:
    """Everybody has the gateway's address."""
    return "" if address == WAN_ADDRESS else f"global address {address}"


def one_to_one(local: str, address: str, _: int) -> str:
    """Everybody has the address with the same host number in 198.18.0.0/16."""
    wanted = "198.18." + local.split(".", 2)[2]
    return "" if address == wanted else f"{local} became {address}, not {wanted}"


def untouched(local: str, address: str, _: int) -> str:
    """Nobody is translated."""
    return "" if address == local else f"{local} became {address}"


def of_site(text: str) -> Verify:
    """What `lookup` answers for a subscriber; for dynamic pools, that the address is one of the pool's."""
    from nfcompile import pipeline
    from nfcompile.allocation import lookup

    compiled = pipeline.compile_site(pipeline.parse(text.encode(), "bench"))
    pool = compiled.site.pools[0]
    owners: dict[tuple[str, int], str] = {}

    def dynamic(local: str, address: str, port: int) -> str:
        number = sites.number(address)
        if not any(one.first <= number <= one.last for one in pool.global_ip) or port < 1024:
            return f"{local} has {address}:{port}, which is not the pool's"
        block = (port - 1024) // sites.BLOCK
        owner = owners.setdefault((address, block), local)
        return "" if owner == local else f"{local} and {owner} share block {block} of {address}"

    def deterministic(local: str, address: str, port: int) -> str:
        (answer,) = lookup.lookups(compiled.allocations, sites.number(local), None, "udp")
        first, last = answer.port_first or 0, answer.port_last or 0
        if answer.global_ip == address and first <= port <= last:
            return ""
        return f"{local} has {address}:{port} instead of {answer.global_ip}:{first}-{last}"

    return dynamic if pool.allocation == "dynamic" else deterministic
