"""The log of a dynamic pool as ulogd2 writes it: one message for each block, which leads to its ports."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from nfcompile.allocation.numbering import Numbering
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled
from support.frames import ECHO, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.log_daemon import listening, wait
from support.peers import HOME, SERVER, called
from support.sites import site
from support.wires import INSIDE, OUTSIDE, route

FAR = address("198.18.0.1")
LOUD, SILENT = address("100.64.0.1"), address("100.65.0.1")
"""The first subscribers of the two pools."""
WITNESS = address("100.64.0.250")
"""Whoever sends last: the log keeps the order, so when he is in it all others are."""

POOLS = """
nat_defaults: {port_block_size: 8}
acls: {loud: {10: allow ip 100.64.0.0/16}, silent: {10: allow ip 100.65.0.0/16}}
pools:
  loud: {type: cgnat, acl: loud, priority: 1, global_ip: [203.0.113.0/30], BLOCKS, LOG: on}
  silent: {type: cgnat, acl: silent, priority: 2, global_ip: [203.0.113.4/30], BLOCKS, LOG: off}
"""
BLOCKS = "allocation: dynamic, port_range: 1024-1151, hairpin: off, LIMITS"
LIMITS = "limits_peruser: {portlimit_tcp: TCP, portlimit_udp: 8, portlimit_icmp: 8}"


class Assignment(NamedTuple):
    """A message: the pool of its prefix, the subscriber, and the number in its mark."""

    pool: str
    subscriber: int
    number: int


def gateway(tcp: int = 8) -> Compiled:
    limits = LIMITS.replace("TCP", str(tcp))
    return site(
        POOLS.replace("LOG", "connection_logging").replace("BLOCKS", BLOCKS).replace("LIMITS", limits)
    )


def ruleset(tcp: int = 8) -> str:
    return gateway(tcp).text.text


def assignments(lab: Lab, written: Path) -> list[Assignment]:
    """All messages so far, once that of a last new subscriber is among them."""
    lab.flight([packet(UDP, WITNESS)])
    mark = f"SRC={address_text(WITNESS)} "

    def complete() -> bool:
        return written.exists() and any(mark in line for line in written.read_text().splitlines(True))

    wait(complete, written.parent)
    lines = written.read_text().splitlines()
    pattern = r"nfcompile assign (\S+) .*SRC=(\S+) .*MARK=(?:0x)?([0-9a-f]+)"
    found = [re.search(pattern, line) for line in lines]
    assert all(found), lines
    return [Assignment(m[1], address(m[2]), int(m[3], 16)) for m in found if m][:-1]


def packet(protocol: int, source: int, port: int = 5000) -> tuple[str, Packet]:
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    return route(source), Packet(protocol, source, port, FAR, 0 if protocol == ICMP else 443, flags)


def blocks(compiled: Compiled, pool: str) -> dict[int, tuple[int, range]]:
    """What each number stands for: address and ports."""
    allocation = next(one for one in compiled.allocations if one.pool.name == pool)
    numbered = Numbering(allocation.stock).blocks()
    return {number: (block.address, range(block.first, block.last + 1)) for number, block in numbered}


def test_one_message_for_each_subscriber(lab: Lab, tmp_path: Path) -> None:
    """Whatever he sends and however often; the number leads to what servers see. The other pool is silent."""
    lab.load(ruleset())
    numbers = blocks(gateway(), "loud")
    everybody = [first + n for n in range(12) for first in (LOUD, SILENT)]
    with listening(lab, tmp_path) as written:
        out = [
            lab.flight([packet(protocol, one, port) for one in everybody])
            for protocol in (UDP, TCP, ICMP)
            for port in range(5000, 5003)
        ]
        found = assignments(lab, written)
    assert [one.subscriber for one in found] == [LOUD + n for n in range(12)]
    assert {one.pool for one in found} == {"loud"}
    assert len({one.number for one in found}) == 12
    promised = {one.subscriber: numbers[one.number] for one in found}
    for flight in out:
        for subscriber, seen in zip(everybody, flight, strict=True):
            assert len(seen) == 1
            if subscriber in promised:
                at, ports = promised[subscriber]
                assert seen[0].packet.source == at
                assert seen[0].packet.source_port in ports


def test_one_message_for_each_block(lab: Lab, tmp_path: Path) -> None:
    """A subscriber with more connections than a block has ports: each further block is logged once."""
    lab.load(ruleset(tcp=24))
    numbers = blocks(gateway(tcp=24), "loud")
    with listening(lab, tmp_path) as written:
        out = lab.flight([packet(TCP, LOUD, 20000 + n) for n in range(30)])
        found = assignments(lab, written)
    ends = {seen[0].packet[1:3] for seen in out if seen}
    assert len(ends) == 24
    assert [one.subscriber for one in found] == [LOUD] * 3
    assert ends == {(at, port) for at, ports in (numbers[one.number] for one in found) for port in ports}


def test_nobody_is_told_of_a_refusal(lab: Lab, tmp_path: Path) -> None:
    """64 blocks: those who get none are counted, not logged."""
    lab.load(ruleset())
    with listening(lab, tmp_path) as written:
        lab.flight([packet(UDP, WITNESS)])
        out = lab.flight([packet(UDP, LOUD + n) for n in range(80)])
        served = [LOUD + n for n, seen in enumerate(out) if seen]
        wait(lambda: written.exists() and written.read_text().count("nfcompile assign") >= 64, tmp_path)
        text = written.read_text()
    assert len(served) == 63
    assert [address(one) for one in re.findall(r"assign loud .*SRC=(\S+)", text)] == [WITNESS, *served]
    assert "packets 17" in lab.must("nft", "list", "counter", "ip", "nfcompile", "exhausted_count_loud")


ACTIVE_FTP = """
nat_defaults: {alg: {ftp: on}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/28], connection_logging: LOG}
"""
ALSO = """table ip also {
	chain c {
		type filter hook forward priority 0
		udp dport 9 log prefix "nfcompile also " group 5
	}
}
"""


@pytest.mark.parametrize("log", ["on", "off"])
def test_a_connection_that_a_helper_expects_is_logged(lab: Lab, tmp_path: Path, log: str) -> None:
    """Its port is the helper's, not the block's: without the message nobody could say whose it was.

    Of a pool that logs nothing there is none. (A message of another table says when all have been written.)
    """
    lab.load(site(ACTIVE_FTP.replace("LOG", log)).text.text + ALSO)
    with (
        listening(lab, tmp_path) as written,
        called(lab, 21) as (near, far, _),
        lab.socket(INSIDE, socket.SOCK_STREAM, (HOME, 0)) as waiting,
    ):
        waiting.listen()
        port = waiting.getsockname()[1]
        near.sendall(b"USER me\r\n")  # the helper reads nothing before it has seen the end of a line
        assert far.recv(100) == b"USER me\r\n"
        near.sendall(f"PORT {HOME.replace('.', ',')},{port // 256},{port % 256}\r\n".encode())
        said = re.fullmatch(r"PORT (\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\r\n", far.recv(100).decode())
        assert said
        at, announced = ".".join(said.groups()[:4]), int(said[5]) * 256 + int(said[6])
        with lab.socket(OUTSIDE, socket.SOCK_STREAM, (SERVER, 0)) as data:
            data.connect((at, announced))
            waiting.accept()[0].close()
        lab.flight([("lan0", Packet(UDP, address(HOME), 5000, address(SERVER), 9))])
        wait(lambda: written.exists() and "nfcompile also" in written.read_text(), tmp_path)
    lines = [line for line in written.read_text().splitlines() if "nfcompile alg" in line]
    assert [f"SRC={SERVER} DST={HOME}" in line for line in lines] == [True] * (log == "on")
