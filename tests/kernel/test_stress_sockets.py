"""First packets on two processors at once: a socket gets one port, and a port one socket.

The checker is tried too: with each claim of the ruleset replaced by what one would write first, a look-up
and then an add, the same storm has to end in a fault.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from support.contended_pools import (
    ADDRESSES,
    BLOCKS_EACH,
    SERVERS,
    SUBSCRIBERS,
    connections,
    counted,
    dynamic,
    elements,
    homes,
    replaced,
)
from support.frames import ICMP, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.two_processors import TURNS, Meeting, Processors, storm, summary

STATIC = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {port_block_size: 128}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [203.0.113.0/29]
    limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}
    hairpin: on
"""


def asked_first(text: str) -> str:
    """A port is claimed by a look-up and then an add, candidate by candidate."""
    rule = re.search(r"\t\tmeta l4proto \{ tcp, udp \} add @eif_homes \{.* return\n", text)
    assert rule is not None
    claim = r"(?:th sport set (th sport \^ \w+) )?add @eif_homes \{ (.*?) limit [^:]*: (.*?) \}"
    lines = []
    for turned, port, socket in re.findall(claim, rule[0]):
        lines += [f"th sport set {turned}"] if turned else []
        entry = f"add @seen {{ {port} }} add @eif_homes {{ {port} : {socket} }}"
        lines.append(f"meta l4proto {{ tcp, udp }} {port} != @seen {entry} goto found")
    chain = re.search(r"\tchain candidates_homes_\d+ \{\n.*?\n\t\}\n", text, re.DOTALL)
    assert chain is not None
    found = re.sub(r"chain \w+", "chain found", chain[0]).replace(rule[0], "")
    tried = "".join(f"\t\t{line}\n" for line in [*lines, "return"])
    rest = chain[0][: chain[0].index(rule[0])] + tried + "\t}\n"
    seen = "\tset seen { type inet_proto . ipv4_addr . inet_service; flags dynamic; size 65536; }\n"
    return text.replace(chain[0], seen + found + rest)


def written_again(text: str) -> str:
    """A socket's computed port is written down, whatever its entry says."""
    return replaced(text, r"add (@eim_homes \{[^}]*\})", r"delete \1 add \1")


def without_sockets(text: str) -> str:
    """A new socket's port that the kernel chose is written down, even if another CPU has done so."""
    claim = r"(add @asking_homes \{ meta l4proto \. ct original [^}]*?) limit [^}]*\} .* drop"
    return replaced(text, claim, r"\1 }")


def without_ports(text: str) -> str:
    """The owner of a port that the kernel chose is written down, even if another socket owns the port."""
    text = re.sub(r"\t\tmeta l4proto [^@]* add @asking_\w+ \{ meta l4proto \. ct reply .* drop.*\n", "", text)
    return replaced(text, r"(add @eif_\w+ \{[^}]*?) limit rate over [^}:]*?packets([^}]*\}) .* drop", r"\1\2")


class SocketFaults(NamedTuple):
    """What must not be in mapping entries; the first two are zero where both claims hold."""

    sockets_of_two: int
    shared_ports: int
    entries_apart: int


NO_SOCKET_FAULTS = SocketFaults(0, 0, 0)
HOMES, SOCKETS, ROUNDS_OF_SOCKETS = 60, 16, 3
ON_DEMAND = 16, 8, 128
"""Addresses, blocks on each and ports of a block."""
PAIRS = ADDRESSES, BLOCKS_EACH, 2
MOST_APART = SUBSCRIBERS // 8
"""Of two sockets of one subscriber that claim one port within some 50 ns the entry of one may have the name
of the other: about four pairs of 512, where both processors claim the same port at the same time."""


def static() -> str:
    return site(STATIC).text.text


def by_address() -> str:
    """Eight blocks on each address, one address filled before the next."""
    return site(f"{STATIC}    fill: address\n    port_range: 1024-2047\n").text.text


def on_demand() -> str:
    return dynamic(*ON_DEMAND, hairpin="on")


def chosen() -> str:
    """A pool that leaves the port to the kernel."""
    return dynamic(*ON_DEMAND, hairpin="on", kernel_chooses=True)


def learn(
    lab: Lab, processors: Processors, halves: Sequence[Sequence[Packet]], tries: int = 30
) -> SocketFaults:
    """What is wrong with the mapping entries of sockets that are new to both processors at once."""
    processors.met = Meeting()
    seen = storm(processors, halves, tries)
    ends_of, sockets_of = defaultdict(set), defaultdict(set)
    for packet in (p for half in halves for p in half if p.token in seen.ends):
        ends_of[packet[1:3]].add(seen.ends[packet.token])
        sockets_of[seen.ends[packet.token]].add(packet[1:3])
    word = {TCP: "tcp", UDP: "udp"}[halves[0][0].protocol]
    outside = {(key[1:], end) for key, end in elements(lab, "map", "eim_homes") if key[0] == word}
    inside = {(socket, key[1:]) for key, socket in elements(lab, "map", "eif_homes") if key[0] == word}
    # Of two packets of one socket that claim a port each, the second uses the first one's; the other port is
    # the socket's too, for the life of its entry.
    spare = {(socket, end) for socket, end in inside - outside if socket in dict(outside)}
    found = SocketFaults(
        sum(len(found) > 1 for found in ends_of.values()),
        sum(len(found) > 1 for found in sockets_of.values()),
        len(outside ^ (inside - spare)),
    )
    print(f"{summary(seen, halves)}, {found}, conflicts: {counted(lab, 'conflict')}, {processors.met}")
    if not any(found[:2]):
        assert seen.lost == 0
        assert len(outside) == len({p[1:3] for half in halves for p in half})
    return found


def same_sockets(lab: Lab, seed: int, protocol: int = UDP) -> list[list[Packet]]:
    """Each socket on both processors, towards a server each."""
    return [connections(lab, homes(HOMES, seed), SOCKETS, 5000, far, protocol) for far in SERVERS]


def other_sockets(lab: Lab, processors: Processors, seed: int, protocol: int) -> list[list[Packet]]:
    """Two sockets of each subscriber, one on each processor, and a block that has just as many ports.

    The block is assigned before, by a packet of a protocol that has no mapping entries.
    """
    everybody = homes(SUBSCRIBERS, seed)
    first = [connections(lab, everybody[side::2], 1, 9000, protocol=ICMP) for side in (0, 1)]
    assert storm(processors, first).lost == 0
    return [
        connections(lab, everybody, 1, port, far, protocol)
        for port, far in zip((5000, 6000), SERVERS, strict=True)
    ]


@pytest.mark.parametrize("protocol", [UDP, TCP])
@pytest.mark.parametrize("pool", [static, by_address, on_demand, chosen])
def test_every_socket_one_port(
    lab: Lab, processors: Processors, pool: Callable[[], str], protocol: int
) -> None:
    """RFC 4787 REQ-1 for a socket's first two packets at once: one port for it, and for nobody else."""
    for seed in range(ROUNDS_OF_SOCKETS):
        lab.load(pool())
        assert learn(lab, processors, same_sockets(lab, seed, protocol)) == NO_SOCKET_FAULTS


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_every_port_one_socket(lab: Lab, processors: Processors, protocol: int) -> None:
    """Two sockets that choose between the same two ports at once: each leaves with one of its own."""
    for seed in range(ROUNDS_OF_SOCKETS):
        lab.load(dynamic(*PAIRS, "on"))
        found = learn(lab, processors, other_sockets(lab, processors, seed, protocol), 1)
        assert (found.sockets_of_two, found.shared_ports) == (0, 0)
        assert found.entries_apart <= MOST_APART


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_every_port_that_the_kernel_chose_one_socket(lab: Lab, processors: Processors, protocol: int) -> None:
    """One owner of each, in both directions; a packet that is too late is sent again."""
    for seed in range(ROUNDS_OF_SOCKETS):
        lab.load(dynamic(*PAIRS, "on", kernel_chooses=True))
        assert learn(lab, processors, other_sockets(lab, processors, seed, protocol), 60) == NO_SOCKET_FAULTS


@pytest.mark.parametrize(("fault", "pool"), [(without_sockets, chosen), (written_again, on_demand)])
def test_the_storm_finds_two_ports_of_a_socket(
    lab: Lab, processors: Processors, fault: Callable[[str], str], pool: Callable[[], str]
) -> None:
    """Without the claim of the socket, both processors give it a port."""

    def found(seed: int) -> int:
        lab.load(fault(pool()))
        return learn(lab, processors, same_sockets(lab, seed), 3).sockets_of_two

    assert any(map(found, range(TURNS)))


@pytest.mark.parametrize("fault", [without_ports, asked_first])
def test_the_storm_finds_a_shared_port(lab: Lab, processors: Processors, fault: Callable[[str], str]) -> None:
    """Without the claim of the port, two sockets that go to two servers share it."""

    def found(seed: int) -> int:
        lab.load(fault(dynamic(*PAIRS, "on", kernel_chooses=fault is without_ports)))
        return learn(lab, processors, other_sockets(lab, processors, seed, UDP), 3).shared_ports

    assert any(map(found, range(TURNS)))
