"""Helpers for protocols that carry addresses: PPTP, FTP and SIP rewritten on the way, RTSP refused.

PPTP is shown up to its tunnel: the control connection with its call ids, and GRE packets of the call both
ways. There is no PPP behind them: neither end has a daemon, and nothing is tunnelled.
"""

from __future__ import annotations

import re
import socket
import struct

import pytest

from nfcompile.diagnostics import SiteError
from nfcompile.kernel import apply
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled
from support.frames import GRE, SYN, TCP, UDP, Packet, frame
from support.lab import Lab
from support.peers import HOME, SERVER, called, hosts
from support.sites import site
from support.wires import INSIDE, OUTSIDE, WIRE

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


def tunnelled(source: str, destination: str, number: int) -> Packet:
    """A GRE packet of a call: its id and a sequence number are where other packets have their token."""
    return Packet(GRE, address(source), 0, address(destination), 0, token=number << 32 | 1)


def tunnel(lab: Lab, wire: str, packet: Packet) -> list[tuple[str, str, str, int]]:
    """Send a GRE packet as PPTP has it (version 1); wire, ends and call id of those that come out."""
    plain = bytearray(frame(packet, WIRE[wire].mac(1), WIRE[wire].mac(2)))
    plain[34:38] = b"\x30\x01\x88\x0b"
    lab.drain()
    lab.put(wire, bytes(plain))
    return [
        (out, address_text(p.source), address_text(p.destination), p.token >> 32 & 0xFFFF)
        for out, p in lab.drain()
        if p.protocol == GRE
    ]


@pytest.mark.parametrize("hairpin", ["on", "off"])
def test_pptp_calls(lab: Lab, hairpin: str) -> None:
    """The server learns of a call id that is free at the global address; GRE of the call passes both ways."""
    lab.load(shared("pptp: on", hairpin).text.text)
    with called(lab, 1723) as (near, far, (seen, port)):
        assert seen == "203.0.113.5"
        near.send(start(reply=False))
        received(far, 156)
        far.send(start(reply=True))
        received(near, 156)
        assert helpers(lab) == ["pptp"]

        near.send(call(NEAR_CALL))
        (told,) = struct.unpack_from("!H", received(far, 168), 12)
        assert told == port  # the id that no other connection from this address has
        far.send(call_answer(FAR_CALL, told))
        number, mine = struct.unpack_from("!HH", received(near, 32), 12)
        assert (number, mine) == (FAR_CALL, NEAR_CALL)

        out = tunnel(lab, "lan0", tunnelled(HOME, SERVER, FAR_CALL))
        assert out == [("wan0", seen, SERVER, FAR_CALL)]
        back = tunnel(lab, "wan0", tunnelled(SERVER, seen, told))
        assert back == [("lan0", SERVER, HOME, NEAR_CALL)]
        assert tunnel(lab, "wan0", tunnelled(SERVER, seen, told ^ 1)) == []  # of no call


def test_pptp_off(lab: Lab) -> None:
    """Without the helper the call id stays, and nobody expects the server's GRE packets."""
    lab.load(shared("pptp: off").text.text)
    with called(lab, 1723) as (near, far, (seen, _)):
        near.send(start(reply=False) + call(NEAR_CALL))
        (told,) = struct.unpack_from("!H", received(far, 324), 156 + 12)
        assert told == NEAR_CALL
        far.send(start(reply=True) + call_answer(FAR_CALL, told))
        received(near, 156 + 32)
        assert helpers(lab) == []
        assert tunnel(lab, "wan0", tunnelled(SERVER, seen, told)) == []
    assert "alg_pptp_tcp" not in defined(lab)


# ---- static pools


PORT = "PORT {},200,10\r\n"
SPOKEN = {
    "ftp": (TCP, 21, PORT.format(HOME.replace(".", ",")), PORT.format(GLOBAL.replace(".", ","))),
    "sip": (
        UDP,
        5060,
        f"OPTIONS sip:b@{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP {HOME}:5060;branch=z9hG4bK1\r\n"
        f"From: <sip:a@{HOME}>;tag=1\r\nTo: <sip:b@{SERVER}>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
        f"Contact: <sip:a@{HOME}:5060>\r\nContent-Length: 0\r\n\r\n",
        f"Contact: <sip:a@{GLOBAL}:5060>\r\n",
    ),
}
"""What a client says on the control connection, and what the server has to hear of it with the helper."""


def heard(lab: Lab, protocol: int, port: int, said: str) -> str:
    """What the server hears of what the subscriber says."""
    if protocol == TCP:
        with called(lab, port) as (near, far, (seen, _)):
            assert seen == GLOBAL
            log_in(near, far)
            near.send(said.encode())
            return far.recv(4096).decode()
    with hosts(lab), lab.socket(OUTSIDE, socket.SOCK_DGRAM, (SERVER, port)) as far:
        with lab.socket(INSIDE, socket.SOCK_DGRAM, (HOME, port)) as near:
            near.sendto(said.encode(), (SERVER, port))
        data, (seen, _) = far.recvfrom(4096)
        assert seen == GLOBAL
        return data.decode()


def log_in(near: socket.socket, far: socket.socket) -> None:
    """A first line: the FTP helper reads none before it has seen the end of another."""
    near.send(b"USER ftp\r\n")
    assert far.recv(100) == b"USER ftp\r\n"


@pytest.mark.parametrize("key", ["ftp", "sip"])
@pytest.mark.parametrize("bnat", ["on", "off"])
def test_static_pools_use_helpers_only_when_told(lab: Lab, key: str, bnat: str) -> None:
    """`alg_on_bnat`: addresses in the protocol are rewritten with it, and stay without."""
    lab.load(static(f"{key}: on, alg_on_bnat: {bnat}").text.text)
    protocol, port, said, rewritten = SPOKEN[key]
    found = heard(lab, protocol, port, said)
    if bnat == "on":
        assert rewritten in found
        assert HOME not in found.partition("From:")[0]
        assert set(helpers(lab)) == {key}
        assert {name for name in defined(lab) if key in name}
    else:
        assert found == said
        assert helpers(lab) == []
        assert defined(lab) == set()


def test_active_ftp_reaches_a_static_subscriber(lab: Lab) -> None:
    """The server's connection back passes where no other one from outside does."""
    text = STATIC.replace("type: static,", "type: static, allow_external_connect: off,")
    lab.load(site(text.replace("ALG", "ftp: on, alg_on_bnat: on")).text.text)
    back = Packet(TCP, address(SERVER), 20, address(GLOBAL), 51210, SYN)
    with called(lab, 21) as (near, far, _):
        assert not lab.flight([("wan0", back)])[0]
        log_in(near, far)
        near.send(SPOKEN["ftp"][2].encode())
        assert far.recv(100)
        (seen,) = lab.flight([("wan0", back)])
    assert [(place.wire, *place.packet[3:5]) for place in seen] == [("lan0", address(HOME), 51210)]


def test_all_helpers_off(lab: Lab) -> None:
    for compiled in (
        shared("ftp: off, sip: off, pptp: off"),
        static("ftp: off, sip: off, pptp: off, alg_on_bnat: on"),
    ):
        lab.load(compiled.text.text)
        assert defined(lab) == set()


# ---- rtsp


def test_the_kernel_refuses_rtsp_at_its_line(lab: Lab) -> None:
    """No mainline kernel has a helper for it. (`lab` says whether there can be namespaces here.)"""
    for compiled in (shared("rtsp: on"), static("rtsp: on, alg_on_bnat: on")):
        assert "alg-unavailable" in {found.code for found in compiled.warnings}
        with pytest.raises(SiteError) as refused:
            apply.check(compiled.text.text, compiled.text.origin)
        assert refused.value.diagnostics[0].code == "helper-missing"
        assert {found.path for found in refused.value.diagnostics} == {("nat_defaults", "alg", "rtsp")}
    unused = static("rtsp: on")
    apply.check(unused.text.text, unused.text.origin)
