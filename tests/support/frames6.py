"""IPv6 packets as frames, through the lab's gateway and back."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from typing import NamedTuple

from support.frames import SYN, TCP, UDP, marker, read_marker
from support.lab import Lab
from support.wires import WIRE

ICMP6, ECHO6 = 58, 128
PATIENCE = 5


class Packet6(NamedTuple):
    """One packet; of ICMPv6 the source port is the id of an echo request."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: int = SYN


class Seen6(NamedTuple):
    """Where a packet came out, and as what; `sound` is its checksum."""

    wire: str
    packet: Packet6
    sound: bool


def flight(lab: Lab, packets: Iterable[tuple[str, Packet6]]) -> list[Seen6]:
    """Send packets into wires; what comes out of all wires until a marker has passed."""
    for wire, packet in packets:
        lab.put(wire, _frame(packet, WIRE[wire].mac(1), WIRE[wire].mac(2)))
    token = lab.token()
    ends = WIRE["lan0"].ipv6(2).packed, WIRE["wan0"].ipv6(2).packed
    lab.put("lan0", marker(token, *ends, WIRE["lan0"].mac(1), WIRE["lan0"].mac(2)))
    seen: list[Seen6] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for wire, data in _arrived(lab):
            if read_marker(data) == token:
                return seen
            if (found := _read(wire, data)) is not None:
                seen.append(found)
        time.sleep(0.002)
    raise TimeoutError("the marker did not pass the gateway")


def _arrived(lab: Lab) -> Iterator[tuple[str, bytes]]:
    for wire, end in lab.ends.items():
        while True:
            try:
                yield wire, end.recv(4096)
            except BlockingIOError:
                break


def _frame(packet: Packet6, to: bytes, sender: bytes) -> bytes:
    ends = IPv6Address(packet.source).packed + IPv6Address(packet.destination).packed
    if packet.protocol == TCP:
        ports = packet.source_port, packet.destination_port
        body, at = struct.pack("!HHIIBBHHH", *ports, 1, 0, 0x50, packet.flags, 1024, 0, 0), 16
    elif packet.protocol == UDP:
        body, at = struct.pack("!HHHH", packet.source_port, packet.destination_port, 8, 0), 6
    else:
        body, at = struct.pack("!BBHHH", ECHO6, 0, 0, packet.source_port, 1), 2
    body = body[:at] + _checksum(ends, packet.protocol, body) + body[at + 2 :]
    head = struct.pack("!IHBB", 0x60000000, len(body), packet.protocol, 64) + ends
    return to + sender + b"\x86\xdd" + head + body


def _checksum(ends: bytes, protocol: int, body: bytes) -> bytes:
    data = ends + struct.pack("!IBBBB", len(body), 0, 0, 0, protocol) + body + bytes(len(body) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _read(wire: str, data: bytes) -> Seen6 | None:
    protocol = data[20] if data[12:14] == b"\x86\xdd" else 0
    if protocol not in (TCP, UDP, ICMP6):
        return None
    ends, body = data[22:54], data[54 : 54 + int.from_bytes(data[18:20], "big")]
    if protocol == ICMP6 and body[0] != ECHO6:
        return None
    sport, dport = struct.unpack_from("!HH", body)
    if protocol == ICMP6:
        sport, dport = int.from_bytes(body[4:6], "big"), 0
    flags = body[13] if protocol == TCP else SYN
    packet = Packet6(protocol, str(IPv6Address(ends[:16])), sport, str(IPv6Address(ends[16:])), dport, flags)
    return Seen6(wire, packet, _checksum(ends, protocol, body) == b"\0\0")
