"""Packets as values, and as the bytes of an Ethernet frame: what the lab puts on a wire and finds there.

Every frame carries a token that no translation changes: the sequence number of a TCP segment, the first
bytes of the payload of everything else. So a packet is recognised wherever it comes out.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from nfcompile.model.ranges import address_text

ICMP, TCP, UDP, GRE = 1, 6, 17, 47
NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", GRE: "gre"}

FIN, SYN, RST, ACK = 1, 2, 4, 16
ECHO_REPLY, UNREACHABLE, ECHO = 0, 3, 8

IPV4, IPV6 = 0x0800, 0x86DD
NO_NEXT_HEADER = 59

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBHII")
_TCP = struct.Struct("!HHIIBBHHH")
_UDP = struct.Struct("!HHHH")
_ICMP = struct.Struct("!BBHHH")


class Packet(NamedTuple):
    """One IPv4 packet. The ports of ICMP are (id, 0), those of other protocols (0, 0).

    `flags` are those of TCP, the type for ICMP. `quoted` is the packet that an ICMP error is about.
    `sound` is false for one that was read with a wrong checksum: translation has to leave them right.
    """

    protocol: int
    source: int
    source_port: int
    destination: int
    destination_port: int
    flags: int = 0
    token: int = 0
    acknowledged: int = 0
    quoted: bytes = b""
    sound: bool = True

    def __str__(self) -> str:
        ends = [(self.source, self.source_port), (self.destination, self.destination_port)]
        left, right = (address_text(a) + (f":{p}" if p else "") for a, p in ends)
        return f"{NAMES.get(self.protocol, self.protocol)} {left} > {right}"

    def reply(self, token: int) -> Packet:
        """What a willing peer answers: an echo, or the next segment of a handshake."""
        opens = self.flags & SYN
        flags = {ICMP: ECHO_REPLY, TCP: ACK | opens}.get(self.protocol, 0)
        ports = (self.source_port, 0) if self.protocol == ICMP else (self.destination_port, self.source_port)
        acknowledged = self.token + (1 if opens else 0)
        return Packet(
            self.protocol, self.destination, ports[0], self.source, ports[1], flags, token, acknowledged
        )


def frame(packet: Packet, to: bytes, sender: bytes) -> bytes:
    """An Ethernet frame with all its checksums."""
    return _ETHERNET.pack(to, sender, IPV4) + datagram(packet)


def datagram(packet: Packet, ttl: int = 64) -> bytes:
    """An IPv4 packet."""
    body = _transport(packet)
    ends = packet.source, packet.destination
    head = _IPV4.pack(0x45, 0, 20 + len(body), packet.token & 0xFFFF, 0, ttl, packet.protocol, 0, *ends)
    return head[:10] + _checksum(head) + head[12:] + body


def fragments(packet: Packet, to: bytes, sender: bytes, size: int, payload: bytes) -> list[bytes]:
    """A UDP packet with a long payload, in IP fragments of `size` bytes (a multiple of 8)."""
    token = struct.pack("!Q", packet.token)
    length = _UDP.size + len(token) + len(payload)
    body = _UDP.pack(packet.source_port, packet.destination_port, length, 0) + token + payload
    frames = []
    for start in range(0, len(body), size):
        part = body[start : start + size]
        more = 0x2000 if start + size < len(body) else 0
        ends = packet.source, packet.destination
        offset = more | start // 8
        identity = packet.token & 0xFFFF
        head = _IPV4.pack(0x45, 0, 20 + len(part), identity, offset, 64, packet.protocol, 0, *ends)
        head = head[:10] + _checksum(head) + head[12:]
        frames.append(_ETHERNET.pack(to, sender, IPV4) + head + part)
    return frames


def marker(token: int, source: bytes, destination: bytes, to: bytes, sender: bytes) -> bytes:
    """An IPv6 packet, which no table of family ip touches: where it arrives, all before it has."""
    head = struct.pack("!IHBB", 0x60000000, 8, NO_NEXT_HEADER, 64) + source + destination
    return _ETHERNET.pack(to, sender, IPV6) + head + struct.pack("!Q", token)


def read_marker(data: bytes) -> int | None:
    """The token of a marker; None for any other frame."""
    if data[12:14] != b"\x86\xdd" or data[20] != NO_NEXT_HEADER or len(data) < 62:
        return None
    return int(struct.unpack_from("!Q", data, 54)[0])


def read_frame(data: bytes) -> Packet | None:
    """The IPv4 packet of a frame; None for another network protocol or a later fragment."""
    return read_datagram(data[14:]) if data[12:14] == b"\x08\x00" else None


def read_datagram(data: bytes, whole: bool = True) -> Packet | None:
    """An IPv4 packet; not `whole` is one that an ICMP error quotes."""
    _, _, length, _, offset, _, protocol, _, source, destination = _IPV4.unpack_from(data)
    head, body = data[:20], data[20:length]
    if offset & 0x1FFF:
        return None
    first = offset & 0x2000
    sound = not any(_checksum(head))
    sport = dport = flags = acknowledged = 0
    quoted = b""
    if protocol == TCP:
        sport, dport, token, acknowledged, _, flags, _, _, _ = _TCP.unpack_from(body)
    elif protocol == UDP:
        sport, dport, _, _ = _UDP.unpack_from(body)
        token = _token(body[_UDP.size :])
    elif protocol == ICMP:
        flags, _, _, sport, _ = _ICMP.unpack_from(body)
        token = _token(body[_ICMP.size :])
        if flags not in (ECHO, ECHO_REPLY):
            quoted = body[_ICMP.size :]
            about = read_datagram(quoted, False)
            token, sport = about.token if about else 0, 0
    else:
        token = _token(body[4 if protocol == GRE else 0 :])
    if whole and not first and protocol in (TCP, UDP, ICMP) and (protocol != UDP or body[6:8] != b"\0\0"):
        pseudo = b"" if protocol == ICMP else struct.pack("!IIHH", source, destination, protocol, len(body))
        sound = sound and not any(_checksum(pseudo + body))
    return Packet(protocol, source, sport, destination, dport, flags, token, acknowledged, quoted, sound)


def _token(payload: bytes) -> int:
    return int.from_bytes(payload[:8], "big") if len(payload) >= 8 else 0


def _transport(packet: Packet) -> bytes:
    sport, dport = packet.source_port, packet.destination_port
    token = struct.pack("!Q", packet.token)
    if packet.protocol == TCP:
        body = _TCP.pack(sport, dport, packet.token, packet.acknowledged, 0x50, packet.flags, 8192, 0, 0)
        at = 16
    elif packet.protocol == UDP:
        body, at = _UDP.pack(sport, dport, _UDP.size + len(token), 0) + token, 6
    elif packet.protocol == ICMP:
        body = _ICMP.pack(packet.flags, 0, 0, sport, 0) + (packet.quoted or token)
        return body[:2] + _checksum(body) + body[4:]
    elif packet.protocol == GRE:
        return b"\0\0\x08\0" + token
    else:
        return token
    pseudo = struct.pack("!IIHH", packet.source, packet.destination, packet.protocol, len(body))
    return body[:at] + _checksum(pseudo + body) + body[at + 2 :]


def _checksum(data: bytes) -> bytes:
    """The Internet checksum; zero over data that holds a right one."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
