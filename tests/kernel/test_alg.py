"""Helpers for protocols that carry addresses: PPTP, FTP and SIP rewritten on the way, RTSP refused.

PPTP is shown up to its tunnel: the control connection with its call ids, and GRE packets of the call both
ways. There is no PPP behind them: neither end has a daemon, and nothing is tunnelled.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from frames import GRE, SYN, TCP, UDP, Packet
from lab import INSIDE, OUTSIDE, PATIENCE, WIRE, Lab
from table import site
from test_peers import HOME, SERVER, hosts

from nfcompile.diagnostics import SiteError
from nfcompile.kernel import apply
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled

SHARED = """
nat_defaults: {alg: {ALG}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/28], hairpin: HAIRPIN}
"""
STATIC = """
nat_defaults: {alg: {ALG}}
pools:
  servers: {type: static, priority: 100, global_map: {100.64.0.5: 203.0.113.77}}
"""
GLOBAL = "203.0.113.77"
"""Of the subscriber in the static pool."""


def shared(alg: str, hairpin: str = "on") -> Compiled:
    return site(SHARED.replace("ALG", alg).replace("HAIRPIN", hairpin))


def static(alg: str) -> Compiled:
    return site(STATIC.replace("ALG", alg))


@contextmanager
def called(lab: Lab, port: int) -> Iterator[tuple[socket.socket, socket.socket, tuple[str, int]]]:
    """A TCP connection from the subscriber to a server's port: both ends, and what the server sees."""
    with hosts(lab), lab.socket(OUTSIDE, socket.SOCK_STREAM, (SERVER, port)) as server:
        server.listen()
        with lab.socket(INSIDE, socket.SOCK_STREAM, (HOME, 0)) as near:
            near.connect((SERVER, port))
            far, seen = server.accept()
            with far:
                far.settimeout(PATIENCE)
                yield near, far, seen


def helpers(lab: Lab) -> list[str]:
    """The helpers of the connections that are there."""
    return re.findall(r"helper=(\S+)", lab.must("conntrack", "-L"))


def defined(lab: Lab) -> set[str]:
    """The helper objects that are loaded."""
    return set(re.findall(r"ct helper (\S+) \{", lab.must("nft", "list", "ruleset")))


# ---- pptp

MAGIC = 0x1A2B3C4D
START, STARTED, CALL, CALLED = 1, 2, 7, 8
NEAR_CALL, FAR_CALL = 0x0101, 0x0202


def control(kind: int, body: bytes) -> bytes:
    """A message of PPTP's control connection (RFC 2637)."""
    return struct.pack("!HHIHH", 12 + len(body), 1, MAGIC, kind, 0) + body


def start(reply: bool) -> bytes:
    result = struct.pack("!HBB", 0x100, 1, 0) if reply else struct.pack("!HH", 0x100, 0)
    return control(STARTED if reply else START, result + struct.pack("!IIHH", 3, 3, 1, 1) + bytes(128))


def call(number: int) -> bytes:
    head = struct.pack("!HHIIIIHHHH", number, 1, 300, 100_000_000, 3, 3, 64, 0, 0, 0)
    return control(CALL, head + bytes(128))


def call_answer(number: int, peer: int) -> bytes:
    return control(CALLED, struct.pack("!HHBBHIHHI", number, peer, 1, 0, 0, 100_000_000, 64, 0, 0))


def received(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        assert more, f"closed after {len(data)} of {size} bytes"
        data += more
    return data


def tunnelled(source: str, destination: str, number: int, to: bytes, sender: bytes) -> bytes:
    """A frame with a GRE packet of a call (version 1, as PPTP has it) without a payload."""
    body = struct.pack("!HHHHI", 0x3001, 0x880B, 0, number, 1)
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, GRE, 0) + ends
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return to + sender + b"\x08\x00" + head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + body


def tunnel(lab: Lab, way_in: str, source: str, destination: str, number: int, way_out: str) -> list[tuple]:
    """Send a GRE packet; source, destination and call id of those that come out."""
    wire, end = WIRE[way_in], lab.ends[way_out]
    lab.drain()
    seen = []
    lab.put(way_in, tunnelled(source, destination, number, wire.mac(1), wire.mac(2)))
    lab.drain_raw = None
    return seen
