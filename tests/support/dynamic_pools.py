"""A dynamic pool of 64 blocks on four addresses, what is sent through it, and what its elements hold."""

from __future__ import annotations

import json
import re

from nfcompile.model.parse import address
from support.frames import ECHO, ICMP, SYN, TCP, Packet
from support.lab import Lab
from support.sites import site
from support.wires import route

BLOCKS = """
nat_defaults: {port_block_size: 8, assignment_trial: 86400}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.1, 203.0.113.8/31, 203.0.113.4]
    port_range: 1024-1151
    hairpin: HAIRPIN
    limits_peruser: {portlimit_tcp: TCP, portlimit_udp: 8, portlimit_icmp: 8}
"""
SHORT = ", ".join(
    f"{word}: 2"
    for word in (
        *("translation", "udp", "icmp", "tcp_handshake", "tcp_active", "tcp_final", "tcp_reset"),
        *("tcp_session_active", "udp_session", "icmp_session", "other", "special"),
    )
)
"""Every timeout is two seconds."""
FAR, FAR2 = address("198.18.0.1"), address("198.18.0.2")


def send(
    lab: Lab, protocol: int, sources: list[tuple[int, int]], far: int = FAR
) -> list[tuple[int, int] | None]:
    """What a server sees of each source, None for a packet that was dropped."""
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    port = 0 if protocol == ICMP else 443
    packets = [(route(a), Packet(protocol, a, p, far, port, flags)) for a, p in sources]
    outs = [[seen.packet for seen in o.out if seen.wire == "wan0"] for o in lab.exchange(packets)]
    return [(out[0].source, out[0].source_port) if out else None for out in outs]


def home(number: int) -> int:
    return address("100.64.0.0") + number


def dynamic(tcp: int = 8, hairpin: str = "off") -> str:
    return site(BLOCKS.replace("TCP", str(tcp)).replace("HAIRPIN", hairpin)).text.text


def block(end: tuple[int, int] | None) -> tuple[int, int]:
    assert end is not None
    return end[0], (end[1] - 1024) // 8


def expires(lab: Lab, kind: str, name: str) -> int:
    """Seconds until the only element of a set or map goes."""
    listed = json.loads(lab.must("nft", "-j", "list", kind, "ip", "nfcompile", name))
    return int(re.findall(r'"expires": (\d+)', json.dumps(listed))[0])
