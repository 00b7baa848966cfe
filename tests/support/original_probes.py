"""Probes for a foreign ruleset: drawn from the constants of its text and their neighbours, not from what the
importer has read."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import Range, address_text
from support.frames import ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.wires import WIRE

PROTOCOLS = (TCP, TCP, TCP, UDP, UDP, ICMP, 0)
OTHERS = range(144, 253)
"""Protocols without ports, for 0: one for each probe, since two connections cannot share both addresses."""
NAMED = {"udp": UDP, "tcp": TCP, "esp": 50}
"""Protocols by words of a rule."""
STRANGERS = (0x0A090909, 0xC6120001, 0xC6120101, 0x64410001, 0xC0A86401)
"""Hosts that no rule lists."""
PROBES = 600
WINDOW = 3
"""Lines or elements around one from which a probe takes most of its values: a rule may be several lines."""


class Probe(NamedTuple):
    """A first packet, and the wire that it is put into."""

    wire: str
    packet: Packet


class Stand(NamedTuple):
    """The wires between which probes go, and those behind which the gateway's routes see each address."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    routes: Mapping[int, str] = {}

    @property
    def wires(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.inside, *self.outside)))

    def routed(self, lab: Lab) -> AbstractContextManager[None]:
        """The routes in the gateway, for a while."""
        return _routed(lab, self.routes)


@contextmanager
def _routed(lab: Lab, routes: Mapping[int, str]) -> Iterator[None]:
    hosts = {f"{address_text(host)}/32": wire for host, wire in routes.items()}
    add = [f"route add {host} via {WIRE[wire].subnet}.2" for host, wire in hosts.items()]
    lab.must("ip", "-batch", "-", stdin="\n".join(add))
    try:
        yield
    finally:
        lab.must("ip", "-batch", "-", stdin="\n".join(f"route del {host}" for host in hosts))


def stand_for(text: str, inside: tuple[str, ...], outside: tuple[str, ...], seed: int = 1) -> Stand:
    """A stand whose routes see each host of an original's text behind some wire."""
    dice = random.Random(seed)
    wires = tuple(dict.fromkeys((*inside, *outside)))
    routes = {host: dice.choice((*wires, *outside)) for host in sorted({*hosts_of(text)})}
    strangers = {STRANGERS[0]: inside[0], **dict.fromkeys(STRANGERS[1:], outside[0])}
    return Stand(inside, outside, routes | strangers)


def drawn(text: str, stand: Stand, count: int, seed: int = 1) -> Iterator[Probe]:
    """Probes for an original's text; no two share both ports, so that none stands in another's way."""
    dice = random.Random(seed)
    parts = [part for part in PART.split(text) if not part.lstrip().startswith("#")]
    hosts, ports = [list(hosts_of(part)) for part in parts], [list(_ports_of(part)) for part in parts]
    speaking = [number for number, some in enumerate(hosts) if some or ports[number]] or [0]
    every = sorted({*STRANGERS, *(host for some in hosts for host in some)})
    others, used = iter(OTHERS), set()
    for number in range(count):
        at = dice.choice(speaking)
        near = slice(max(0, at - WINDOW), at + WINDOW + 1)
        listed = hosts[at] or [host for some in hosts[near] for host in some] or every
        edges = [1, 9999, *(port for some in ports[near] for port in some)]
        protocol = dice.choice(PROTOCOLS) or next(others, UDP)
        if dice.random() < 0.5:  # what this line asks for
            edges = ports[at] or edges
            protocol = next((number for word, number in NAMED.items() if word in parts[at]), protocol)
        source = dice.choice(dice.choice((listed, listed, every)))
        destination = dice.choice(dice.choice((listed, STRANGERS, STRANGERS, every)))
        source_port, destination_port = 20000 + number, dice.choice(edges)
        near_port = dice.choice(edges)
        if dice.random() < 0.5 and not {(near_port, destination_port), (destination_port, near_port)} & used:
            source_port = near_port
        used.add((source_port, destination_port))
        if protocol not in (TCP, UDP):
            source_port, destination_port = 20000 + number if protocol == ICMP else 0, 0
        if source == destination:
            continue
        flags = {TCP: SYN, ICMP: 8}.get(protocol, 0)
        wire = dice.choice(dice.choice((stand.inside, stand.inside, stand.wires)))
        yield Probe(wire, Packet(protocol, source, source_port, destination, destination_port, flags))


PART = re.compile(r"\n|, ")
ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}"
CONSTANT = re.compile(rf"{ADDRESS}(?:/{ADDRESS}|/\d+|-{ADDRESS})?")
NUMBER = re.compile(r"(?<![\d./])\d{1,5}(?![\d./])")
LEAST_HOST, LAST_HOST, LOOPBACK = 0x01000000, 0xDF000000, 127


def hosts_of(line: str) -> Iterator[int]:
    """The edges of every address, prefix and range of a line, and their neighbours."""
    for found in CONSTANT.findall(line):
        try:
            base, _, length = found.partition("/")
            one = _masked(base, length) if length else addresses(found)
        except ValueError:
            continue
        for edge in (one.first, one.last):
            for host in (edge - 1, edge, edge + 1):
                if LEAST_HOST < host < LAST_HOST and host >> 24 != LOOPBACK:
                    yield host


def _masked(base: str, length: str) -> Range:
    """A prefix, whatever host bits it has set."""
    size = 1 << (32 - int(length)) if "." not in length else (1 << 32) - address(length)
    first = address(base) & -size
    return Range(first, first + size - 1)


def _ports_of(line: str) -> Iterator[int]:
    for found in NUMBER.findall(CONSTANT.sub(" ", line)):
        for port in (int(found) - 1, int(found), int(found) + 1):
            if 0 < port < 1 << 16:
                yield port
