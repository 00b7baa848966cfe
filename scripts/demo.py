"""Real packets through a gateway made from a site, beside what `nfcompile lookup` foretells.

Makes three network namespaces (client - gateway - server), applies the site in the gateway, sends UDP,
TCP and ICMP from a few subscribers and shows what the server saw. Run by `make demo`; by hand:

    scripts/in-namespaces .venv/bin/python scripts/demo.py [SITE]
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nfcompile import pipeline
from nfcompile.allocation.mappings import mappings
from nfcompile.model.site import Interfaces

ROOT = Path(__file__).resolve().parent.parent
NAMESPACES = ("client", "gateway", "server")
SERVER, PORT, SOURCE_PORT = "192.0.2.80", 7777, 40000
LAN_GATEWAY, WAN_GATEWAY = "169.254.1.1", "169.254.2.1"
SHOWN_WITH_PORTS, SHOWN_WITHOUT = 2, 1
PATIENCE_SECONDS = 3
ECHO_REQUEST = 8

Seen = tuple[str, int | None]
"""Source address and port (for ICMP, the id) as the server saw them."""


class Probe(NamedTuple):
    """A protocol and how one packet of it is sent by a subscriber and seen by the server."""

    protocol: str
    send: Callable[[str], Seen]


def main() -> int:
    """Build the network, send, compare, and take everything away again."""
    site = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "examples/isp/site.yaml")
    compiled = pipeline.compile_site(pipeline.parse(Path(site).read_bytes(), site))
    subscribers = chosen(compiled)
    try:
        build_network(compiled.site.interfaces, subscribers)
        with tempfile.TemporaryDirectory() as state:
            run("nfcompile", "apply", site, "--netns", "gateway", "--yes", "--quiet", "--state-dir", state)
        wrong = show(site, subscribers)
        print("\nwhat conntrack keeps (sent / expected back):")
        run("nsenter", "--net=/run/netns/gateway", "conntrack", "-L")
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
    print("\nall as foretold" if not wrong else f"\n{wrong} not as foretold")
    return 1 if wrong else 0


def chosen(compiled: pipeline.Compiled) -> list[str]:
    """The first subscribers of every pool; those in VLANs are left out, there are none here."""
    shown: dict[str, list[str]] = {}
    for row in mappings(compiled.allocations):
        listed = shown.setdefault(row.pool, [])
        enough = SHOWN_WITHOUT if row.port_first == "" else SHOWN_WITH_PORTS
        if len(listed) < enough and "~" not in row.subscriber and row.subscriber not in listed:
            listed.append(row.subscriber)
    return [subscriber for listed in shown.values() for subscriber in listed]


def build_network(interfaces: Interfaces, subscribers: list[str]) -> None:
    """Two veth pairs, addresses and routes; the gateway's ends are named as the site names them."""
    lan, wan = interfaces.inside[0], interfaces.outside[0]
    for name in NAMESPACES:
        run("ip", "netns", "add", name)
    commands = [
        f"link add {lan} netns gateway type veth peer eth0 netns client",
        f"link add {wan} netns gateway type veth peer eth0 netns server",
        f"-n gateway address add {LAN_GATEWAY}/32 dev {lan}",
        f"-n gateway address add {WAN_GATEWAY}/32 dev {wan}",
        f"-n server address add {SERVER}/32 dev eth0",
        *(f"-n client address add {address}/32 dev eth0" for address in subscribers),
        *(f"-n {name} link set lo up" for name in NAMESPACES),
        "-n client link set eth0 up",
        "-n server link set eth0 up",
        f"-n gateway link set {lan} up",
        f"-n gateway link set {wan} up",
        f"-n client route add default via {LAN_GATEWAY} dev eth0 onlink",
        f"-n server route add default via {WAN_GATEWAY} dev eth0 onlink",
        f"-n gateway route add {SERVER}/32 dev {wan}",
        *(f"-n gateway route add {address}/32 dev {lan}" for address in subscribers),
    ]
    for command in commands:
        run("ip", *command.split(), quiet=True)
    with namespace("gateway"):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
        Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0\n")


def show(site: str, subscribers: list[str]) -> int:
    """Send every probe from every subscriber; print a line each, and count those that surprise."""
    print(f"\n{'subscriber':<22}{'':<6}{'the server saw':<24}{'nfcompile lookup':<34}and back")
    wrong = 0
    for subscriber in subscribers:
        for probe in PROBES:
            foretold = lookup(site, subscriber, probe.protocol)
            try:
                seen = probe.send(subscriber)
            except TimeoutError:
                seen = ("nothing", None)
            owner = lookup(site, spell(seen), probe.protocol)["subscriber"] if seen[1] else None
            fits = as_foretold(seen, foretold) and owner == subscriber
            wrong += not fits
            print(
                f"{f'{subscriber}:{SOURCE_PORT}':<22}{probe.protocol:<6}{spell(seen):<24}"
                f"{words(foretold):<34}{owner or '-'}{'' if fits else '   <-- NOT AS FORETOLD'}"
            )
    return wrong


def lookup(site: str, asked: str, protocol: str) -> dict[str, str | int | None]:
    """What `nfcompile lookup` answers."""
    command = ["nfcompile", "lookup", site, asked, "--proto", protocol, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    answer: dict[str, str | int | None] = json.loads(done.stdout)
    return answer


def as_foretold(seen: Seen, foretold: dict[str, str | int | None]) -> bool:
    """Whether the address is the one and the port is in the block (where the pool has blocks)."""
    first, last = foretold["port_first"], foretold["port_last"]
    if not isinstance(first, int) or not isinstance(last, int):
        return seen[0] == foretold["global_ip"]
    return seen[0] == foretold["global_ip"] and seen[1] is not None and first <= seen[1] <= last


def spell(seen: Seen) -> str:
    """An address and, where there is one, its port."""
    return seen[0] if seen[1] is None else f"{seen[0]}:{seen[1]}"


def words(foretold: dict[str, str | int | None]) -> str:
    """A foretold binding on one line."""
    if foretold["port_first"] is None:
        return f"{foretold['global_ip']}"
    return f"{foretold['global_ip']} ports {foretold['port_first']}-{foretold['port_last']}"


def send_udp(subscriber: str) -> Seen:
    """One datagram."""
    with (
        bound("server", SERVER, PORT, socket.SOCK_DGRAM) as server,
        bound("client", subscriber, SOURCE_PORT, socket.SOCK_DGRAM) as client,
    ):
        client.sendto(b"hello", (SERVER, PORT))
        _, (address, port) = server.recvfrom(64)
    return address, port


def send_tcp(subscriber: str) -> Seen:
    """One connection."""
    with bound("server", SERVER, PORT, socket.SOCK_STREAM) as server:
        server.listen()
        with bound("client", subscriber, SOURCE_PORT, socket.SOCK_STREAM) as client:
            client.connect((SERVER, PORT))
            connection, (address, port) = server.accept()
            connection.close()
    return address, port


def send_icmp(subscriber: str) -> Seen:
    """One echo request, whose id stands where others have the source port."""
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, SOURCE_PORT, 1)
    checksum = ~(ECHO_REQUEST * 256 + SOURCE_PORT + 1) & 0xFFFF
    with (
        bound("server", "0.0.0.0", 0, socket.SOCK_RAW) as server,
        bound("client", subscriber, 0, socket.SOCK_RAW) as client,
    ):
        client.sendto(header[:2] + struct.pack("!H", checksum) + header[4:], (SERVER, 0))
        while True:
            packet, (address, _) = server.recvfrom(256)
            if packet[20] == ECHO_REQUEST:
                return address, int.from_bytes(packet[24:26], "big")


PROBES = (Probe("udp", send_udp), Probe("tcp", send_tcp), Probe("icmp", send_icmp))


@contextmanager
def bound(where: str, address: str, port: int, kind: socket.SocketKind) -> Iterator[socket.socket]:
    """A socket that lives in a namespace, whoever uses it."""
    with namespace(where):
        made = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP if kind == socket.SOCK_RAW else 0)
    with made:
        made.settimeout(PATIENCE_SECONDS)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        yield made


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """Stand in another network namespace for a moment."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        enter(there)
        yield
    finally:
        enter(home)
        os.close(there)
        os.close(home)


def enter(descriptor: int) -> None:
    """Python has os.setns from 3.12 on only."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(*command: str, quiet: bool = False) -> None:
    """Run a command, shown first; a failure ends the demo."""
    if not quiet:
        print("$", *command, flush=True)
    subprocess.run(command, check=True, env=environment())


def environment() -> dict[str, str]:
    """The environment with the `nfcompile` of this very Python first."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


if __name__ == "__main__":
    sys.exit(main())
