"""Turns of packets through a gateway: new connections, and packets of established ones."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from frames import Batch
from lab import SERVER_MAC, WAN_MAC, Flow, Gateway, cpu

WORKING_SHARE = 0.99
LONG_LIVED = 4096
ESTABLISHED_PACKETS = 15 * LONG_LIVED

Broken = dict[str, str]
"""Case -> what it did not do."""


def new_flows(gateway: Gateway, batch: Batch, broken: Broken) -> float:
    """One turn: CPU nanoseconds a packet; notes a case that did not do its work."""
    before = gateway.left()
    spent = cpu(partial(batch.send, gateway.socket))
    share = (gateway.left() - before) / batch.count
    tracked = gateway.tracked() / batch.count
    if share < WORKING_SHARE or (tracked < WORKING_SHARE if gateway.tracks else tracked > 0):
        broken[gateway.name] = f"{share:.1%} of the flows arrived, {tracked:.1%} are tracked"
    gateway.forget()
    return spent / batch.count * 1e9


def establish(gateway: Gateway, some: Sequence[Flow]) -> str:
    """Let the server answer each flow, so that the connections are established; what went wrong."""
    there = arrived(gateway, Batch([flow.frame() for flow in some]))
    answers = [_answer(frame) for frame in there if frame[12:14] == b"\x08\x00" and frame[:6] == SERVER_MAC]
    if len(answers) < len(some) * WORKING_SHARE:
        return f"{len(answers)} of {len(some)} first packets arrived"
    for frame in answers:
        gateway.far_socket.send(frame)
    if not gateway.tracks:
        return ""
    lines = gateway.namespace.do("conntrack", "-L", "-p", "udp").splitlines()
    answered = sum("UNREPLIED" not in line for line in lines)
    return "" if answered >= len(some) * WORKING_SHARE else f"{answered} of {len(some)} are established"


def arrived(gateway: Gateway, batch: Batch) -> list[bytes]:
    """Send frames; those that the server gets."""
    with gateway.receiver() as far:
        far.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        batch.send(gateway.socket)
        return _frames(far)


def established(gateway: Gateway, batch: Batch, broken: Broken) -> float:
    """One turn: CPU nanoseconds a packet of connections that are already there."""
    before = gateway.left()
    spent = cpu(partial(batch.send, gateway.socket))
    share = (gateway.left() - before) / batch.count
    if share < WORKING_SHARE or gateway.tracked() > LONG_LIVED:
        broken[gateway.name] = f"{share:.1%} of the packets arrived, {gateway.tracked()} connections"
    return spent / batch.count * 1e9


def _frames(far: socket.socket) -> list[bytes]:
    """All frames that wait."""
    found: list[bytes] = []
    far.setblocking(False)
    try:
        while True:
            found.append(far.recv(2048))
    except BlockingIOError:
        return found
    finally:
        far.setblocking(True)


def _answer(frame: bytes) -> bytes:
    """The frame back to where it came from. (Swapping addresses changes no checksum.)"""
    ports = frame[36:38] + frame[34:36]
    return WAN_MAC + SERVER_MAC + frame[12:26] + frame[30:34] + frame[26:30] + ports + frame[38:]
