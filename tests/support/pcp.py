"""`nfcompile pcp` in the lab's gateway, and a client of PCP that is written from the RFC alone: it shares no
line with the daemon's own codec."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NamedTuple

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.frames import SYN, Packet
from support.lab import Lab
from support.log_command import LogCommand
from support.sites import HEAD
from support.wires import INSIDE, WIRE, gateway_address, host_lines

SERVER = gateway_address("lan0")
TCP, UDP = 6, 17
MAP, PEER = 1, 2
THIRD_PARTY, PREFER_FAILURE, FILTER = 1, 2, 3
NONCE = b"twelve bytes"
(
    SUCCESS,
    UNSUPP_VERSION,
    NOT_AUTHORIZED,
    MALFORMED_REQUEST,
    UNSUPP_OPCODE,
    UNSUPP_OPTION,
    MALFORMED_OPTION,
    NETWORK_FAILURE,
    NO_RESOURCES,
    UNSUPP_PROTOCOL,
    USER_EX_QUOTA,
    CANNOT_PROVIDE_EXTERNAL,
    ADDRESS_MISMATCH,
) = range(13)


FAR, FURTHER = address("198.18.0.1"), address("198.18.0.77")
POOLS = """
acls:
  homes:
    10: deny ip 100.64.0.60
    20: deny tcp 100.64.0.0/26 198.18.0.77
    30: allow ip 100.64.0.0/26
  shops: {10: allow ip 100.64.2.0/26}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [200.0.2.0/30]
    port_range: 1024-17407
    port_forwarding: on
  shops: {type: cgnat, acl: shops, priority: 110, global_ip: [200.0.2.8/30]}
  servers: {type: static, priority: 50, port_forwarding: on, global_map: {192.168.0.5: 200.0.2.20}}
"""


class PcpCommand(LogCommand):
    """The daemon."""

    verb, ready = "pcp", "answering on"

    def start(self, *arguments: str) -> None:
        self.run(*arguments)

    def site(self, text: str) -> None:
        """Another text for the daemon's site."""
        (self.folder / "site.yaml").write_text(HEAD + text)


class Answer(NamedTuple):
    """An answer of PCP: of a MAP request, what was mapped to what, too."""

    version: int
    opcode: int
    result: int
    lifetime: int
    epoch: int
    nonce: bytes = b""
    protocol: int = 0
    inside: int = 0
    port: int = 0
    address: str = ""
    options: bytes = b""


def as_ipv6(address: str) -> bytes:
    return IPv6Address(f"::ffff:{IPv4Address(address)}").packed


def request(opcode: int, client: str, lifetime: int = 3600, rest: bytes = b"", version: int = 2) -> bytes:
    """The 24 octets of figure 2 of RFC 6887, and what follows."""
    return struct.pack("!BBHL", version, opcode, 0, lifetime) + as_ipv6(client) + rest


def map_request(
    client: str,
    protocol: int,
    inside: int,
    wish: int = 0,
    lifetime: int = 3600,
    nonce: bytes = NONCE,
    options: bytes = b"",
    address: str = "0.0.0.0",
) -> bytes:
    """Figure 9 of RFC 6887."""
    body = nonce + struct.pack("!B3xHH", protocol, inside, wish) + as_ipv6(address) + options
    return request(MAP, client, lifetime, body)


def option(code: int, value: bytes = b"") -> bytes:
    """Figure 5 of RFC 6887."""
    return struct.pack("!BBH", code, 0, len(value)) + value + bytes(-len(value) % 4)


def read(data: bytes) -> Answer:
    """Figures 3 and 10 of RFC 6887; every answer is checked for what all must have."""
    assert len(data) >= 24, data
    assert not len(data) % 4, data
    version, opcode, _, result, lifetime, epoch, reserved = struct.unpack("!BBBBLL12s", data[:24])
    assert opcode & 0x80, data
    found = Answer(version, opcode & 0x7F, result, lifetime, epoch)
    if found.opcode != MAP or len(data) < 60:
        return found
    nonce, protocol, inside, port, address = struct.unpack("!12sB3xHH16s", data[24:60])
    if not result:
        assert reserved == bytes(12), data
    mapped = IPv6Address(address).ipv4_mapped
    return found._replace(
        nonce=nonce, protocol=protocol, inside=inside, port=port, address=str(mapped), options=data[60:]
    )


class Client:
    """A subscriber's host with a socket of its own."""

    def __init__(self, lab: Lab, address: str) -> None:
        self.lab, self.address = lab, address
        lab.must("ip", "address", "replace", f"{address}/32", "dev", "lo", side=INSIDE)
        self.link = lab.socket(INSIDE, socket.SOCK_DGRAM, (address, 0))
        self.link.connect((SERVER, 5351))

    def ask(self, data: bytes) -> bytes:
        """Send bytes, and wait for the answer."""
        self.link.send(data)
        return self.link.recv(2048)

    def map(
        self,
        protocol: int,
        inside: int,
        wish: int = 0,
        lifetime: int = 3600,
        nonce: bytes = NONCE,
        options: bytes = b"",
        address: str = "0.0.0.0",
    ) -> Answer:
        """Open a port, or close it with lifetime 0."""
        return read(
            self.ask(map_request(self.address, protocol, inside, wish, lifetime, nonce, options, address))
        )


@contextmanager
def subscribers(lab: Lab) -> Iterator[None]:
    """The kernel inside is the host of all subscribers behind lan0."""
    lines = [*host_lines("100.64.0.1", WIRE["lan0"]), "link set lo up"]
    lab.must("ip", "-batch", "-", stdin="\n".join(lines), side=INSIDE)
    try:
        yield
    finally:
        lab.must("ip", "address", "flush", "dev", "lo", side=INSIDE)


@contextmanager
def answering(lab: Lab, folder: Path, site: str) -> Iterator[PcpCommand]:
    """The daemon on a site, until the end of the block."""
    made = PcpCommand(lab, folder, site)
    with subscribers(lab):
        made.start()
        try:
            yield made
        finally:
            made.stop()


def arrives(lab: Lab, to: str, port: int, protocol: int = UDP, far: int = FAR, sport: int = 9) -> str | None:
    """Where a packet from outside comes out that goes to a global socket; None: it is dropped."""
    flags = SYN if protocol == TCP else 0
    (seen,) = lab.flight([("wan0", Packet(protocol, far, sport, address(to), port, flags))])
    if not seen:
        return None
    assert seen[0].wire == "lan0"
    return f"{address_text(seen[0].packet.destination)}:{seen[0].packet.destination_port}"
