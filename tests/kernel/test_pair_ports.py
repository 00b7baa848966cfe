"""Ports that subscribers have opened, through a failover of a pair with real keepalived and conntrackd."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.lab import cannot
from support.pair_lab import BIN, NODES, PairLab, in_namespace, socket_of
from support.pcp import NETWORK_FAILURE, NOT_AUTHORIZED, SUCCESS, UDP, Answer, map_request, read
from support.waiting import until

SITE = """\
nat_defaults: {port_block_size: 64}
acls:
  fixed: {10: allow ip 100.64.2.0/28}
  blocks: {10: allow ip 100.64.3.0/28}
pools:
  fixed: {type: cgnat, acl: fixed, priority: 110, global_ip: [203.0.113.20/30], port_forwarding: on}
  blocks:
    type: cgnat
    acl: blocks
    priority: 120
    global_ip: [203.0.113.24/31]
    allocation: dynamic
    port_forwarding: on
    port_range: 1024-3071
    limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 64}
"""
VIRTUAL, NODE2 = "198.18.1.254", "198.18.1.2"
SUBSCRIBERS = "100.64.2.1", "100.64.3.1"
PCP_PORT, CLIENT_PORT = 5351, 5350


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PairLab]:
    if missing := [name for name in ("keepalived", "conntrackd") if shutil.which(name) is None]:
        cannot(f"not installed: {', '.join(missing)}")
    if "gw1" in in_namespace("", "ip", "netns", "list").split():
        cannot("another pair's lab is up")
    with PairLab(tmp_path, SITE).up() as made:
        for node in NODES:
            made.spawn(node, "pcp", str(BIN / "nfcompile"), "pcp", str(made.site), "--node", node)
        made.wait(lambda: all("answering on" in said(made, node) for node in NODES), "pcp answers")
        yield made


def said(lab: PairLab, node: str) -> str:
    log = lab.folder / node / "pcp.log"
    return log.read_text() if log.exists() else ""


def ask(source: str, server: str, data: bytes) -> Answer:
    """Ask until there is an answer: what is lost while roles change is sent again."""
    with socket_of("inner", socket.SOCK_DGRAM) as link:
        link.bind((source, 0))
        link.settimeout(1)
        told: list[Answer] = []

        def answered() -> bool:
            link.sendto(data, (server, PCP_PORT))
            try:
                told.append(read(link.recv(2048)))
            except TimeoutError:
                return False
            return True

        until(answered, lambda: f"{server} does not answer")
        return told[0]


def opened(source: str, inside: int, nonce: bytes = b"twelve bytes") -> Answer:
    return ask(source, VIRTUAL, map_request(source, UDP, inside, nonce=nonce))


def arrives(outside: socket.socket, host: socket.socket, told: Answer) -> bool:
    """Whether the host gets a datagram that is sent to the global socket; once."""
    text = b"%f" % time.monotonic()
    outside.sendto(text, (told.address, told.port))
    try:
        while host.recv(100) != text:
            pass
    except TimeoutError:
        return False
    return True


def test_open_ports_survive_a_power_cut_of_the_master(lab: PairLab) -> None:
    hosts = [socket_of("inner", socket.SOCK_DGRAM) for _ in SUBSCRIBERS]
    for host, source in zip(hosts, SUBSCRIBERS, strict=True):
        host.bind((source, 6000))
        host.settimeout(0.5)
        # A subscriber of a dynamic pool has a block with its first packet.
        until(lambda host=host: answered(host), lambda: "the server does not answer")
    outside = socket_of("world", socket.SOCK_DGRAM)
    heard = socket_of("inner", socket.SOCK_DGRAM)
    heard.bind(("0.0.0.0", CLIENT_PORT))
    before = [opened(source, 6000) for source in SUBSCRIBERS]
    refused = ask(SUBSCRIBERS[0], NODE2, map_request(SUBSCRIBERS[0], UDP, 6001))
    ends = list(zip(hosts, before, strict=True))
    assert [told.result for told in before] == [SUCCESS, SUCCESS]
    assert all(arrives(outside, host, told) for host, told in ends)
    assert refused.result == NETWORK_FAILURE
    lab.nfcompile("gw2", "ha", "copy")
    lab.wait(lambda: copied(lab, 2), "gw2 has a copy of both ports", 60)
    lab.wait(lambda: lab.status("gw2")["ready"], "the pair is ready", 60)

    drained(heard)
    lab.power_cut("gw1")
    lab.wait(lambda: "the gate is open: 2 of the peer's 2 open ports" in said(lab, "gw2"), "gw2 opens", 60)

    for host, told in ends:
        until(lambda host=host, told=told: arrives(outside, host, told), lambda: lab.logs())
    heard.settimeout(60)
    announced, (server, _) = heard.recvfrom(2048)
    assert (server, read(announced).epoch) == (VIRTUAL, 0)
    again = [opened(source, 6000) for source in SUBSCRIBERS]
    assert [(one.port, one.address) for one in again] == [(one.port, one.address) for one in before]
    assert opened(SUBSCRIBERS[0], 6000, nonce=b"another nonc").result == NOT_AUTHORIZED
    words = ("status", str(lab.site), "--node", "gw2", "--full", "--format", "json")
    listed = json.loads(lab.nfcompile("gw2", *words))
    assert [pool["open_ports"] for pool in listed["pools"]] == [1, 1]


def answered(host: socket.socket) -> bool:
    host.sendto(b"hello", ("192.0.2.10", 7000))
    try:
        return bool(host.recv(100))
    except TimeoutError:
        return False


def copied(lab: PairLab, wanted: int) -> bool:
    """Whether the standby has a copy of so many ports; SIGHUP makes its daemon say it."""
    lab.daemons["gw2", "pcp"].send_signal(signal.SIGHUP)
    time.sleep(0.2)
    found = [line for line in said(lab, "gw2").splitlines() if "of the peer are copied" in line]
    return bool(found) and f", {wanted} of the peer" in found[-1]


def drained(link: socket.socket) -> None:
    """Forget what has come."""
    link.setblocking(False)
    try:
        while link.recv(2048):
            pass
    except BlockingIOError:
        return
