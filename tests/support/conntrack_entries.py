"""Entries of conntrack: how long one still lives, and thousands that no packet ever made."""

from __future__ import annotations

import re
import struct

from nfcompile.kernel import netlink
from nfcompile.kernel.netlink import NESTED, attribute
from support.lab import Lab

NEW, CREATE = 0x100, 0x400
SEEN_REPLY_AND_CONFIRMED = 0xA
IN_ONE_MESSAGE = 500
FAR = 0xC6120001
SLOW_SECONDS = 300
"""So long may pass between a packet and a look at its connection."""


def seconds(lab: Lab, protocol: str, port: int) -> int:
    """The remaining seconds of a connection."""
    listing = lab.must("conntrack", "-L", "-p", protocol, "--orig-port-src", str(port))
    found = re.search(r"^\S+\s+\d+ (\d+) ", listing, re.M)
    assert found, listing
    return int(found[1])


def is_timeout(left: int, seconds: int) -> bool:
    """Whether a connection that has just had a packet has that timeout, within SLOW_SECONDS."""
    return seconds - SLOW_SECONDS <= left <= seconds


def _tuple(source: int, sport: int, destination: int, dport: int) -> bytes:
    addresses = attribute(1, struct.pack(">I", source)) + attribute(2, struct.pack(">I", destination))
    ports = attribute(2, struct.pack(">H", sport)) + attribute(3, struct.pack(">H", dport))
    return attribute(1 | NESTED, addresses) + attribute(2 | NESTED, attribute(1, b"\x11") + ports)


def entry(source: int, sport: int, global_: int, port: int) -> bytes:
    """A message that makes a translated UDP connection to FAR:53."""
    there, here = _tuple(source, sport, FAR, 53), _tuple(FAR, 53, source, sport)
    translated = attribute(1, struct.pack(">I", global_)) + attribute(2, struct.pack(">I", global_))
    wanted = attribute(1, struct.pack(">H", port)) + attribute(2, struct.pack(">H", port))
    return netlink.message(
        NEW,
        netlink.REQUEST | CREATE,
        attribute(1 | NESTED, there)
        + attribute(2 | NESTED, here)
        + attribute(6 | NESTED, translated + attribute(3 | NESTED, wanted))
        + attribute(3, struct.pack(">I", SEEN_REPLY_AND_CONFIRMED))
        + attribute(7, struct.pack(">I", 3600)),
    )


def fill(number: int, first: int = 0x64400000, global_: int = 0xCB007100) -> None:
    """Make `number` connections, 64 for each subscriber from `first` on, one block of 64 ports each."""
    waiting = []
    with netlink.opened(None) as link:
        for n in range(number):
            subscriber, socket = divmod(n, 64)
            address, block = divmod(subscriber, 1000)
            waiting.append(
                entry(first + subscriber, 1024 + socket, global_ + address, 1024 + block * 64 + socket)
            )
            if len(waiting) == IN_ONE_MESSAGE or n == number - 1:
                link.send(b"".join(waiting))
                waiting.clear()
