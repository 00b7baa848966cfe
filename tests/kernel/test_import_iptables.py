"""A nat table in the kernel by iptables-restore, and its import in the same kernel: the same packets.

Probes are drawn from the constants of the rules and their neighbours, listed and unlisted hosts, all wires.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator

import pytest

from nfcompile.importers.importing import Imported
from nfcompile.model.ranges import Range
from nfcompile.model.sources import own_sources
from support.frames import ICMP, SYN, TCP, UDP, Packet
from support.imported import compiled, imported, site_of
from support.imported_site import Probe, outcome
from support.lab import Lab, Seen, cannot
from support.wires import route

SIDES = {"inside": ("lan0", "lan1"), "outside": ("wan0", "wan1")}
PROBES = 200

PLAIN = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:web - [0:0]
:rest - [0:0]
-A PREROUTING -d 203.0.113.1/32 -i wan0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.7:80
-A PREROUTING -d 203.0.113.1/32 -i wan0 -p udp -m udp --dport 5000:5010 -j DNAT --to-destination 10.0.0.8
-A PREROUTING -d 198.18.0.9/32 -i lan0 -j DNAT --to-destination 198.18.0.10
-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j web
-A POSTROUTING -s 10.0.0.0/16 -o wan0 -j rest
-A POSTROUTING -o wan1 -j SNAT --to-source 203.0.113.9
-A rest -d 198.18.0.0/28 -j SNAT --to-source 203.0.113.5
-A rest -p udp -j SNAT --to-source 203.0.113.2-203.0.113.3
-A rest -s 10.0.0.0/25 -j SNAT --to-source 203.0.113.4
-A web -p tcp -m tcp --dport 80 -j SNAT --to-source 203.0.113.1:5000-6000
-A web -p tcp -m tcp --dport 81:90 -j SNAT --to-source 203.0.113.6
COMMIT
"""

WHOLE = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:users - [0:0]
-A PREROUTING -d 203.0.113.1/32 -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.0.0.7
-A PREROUTING ! -s 198.18.0.0/24 -d 203.0.113.16/28 -i wan0 -j NETMAP --to 10.0.5.16/28
-A POSTROUTING -d 198.18.0.128/25 -o wan0 -j ACCEPT
-A POSTROUTING -s 10.0.0.0/8 -j users
-A POSTROUTING -s 100.64.0.0/10 -o wan0 -j MASQUERADE
-A users -d 10.0.0.0/8 -j RETURN
-A users -s 10.0.5.16/28 -o wan0 -j NETMAP --to 203.0.113.16/28
-A users ! -p tcp -o wan0 -j SNAT --to-source 203.0.113.2
-A users -o wan1 -j MASQUERADE
COMMIT
"""

FAMILY = "".join(
    f"-A POSTROUTING -s 100.64.0.{n}/32 -o wan0 -p {protocol} "
    f"-j SNAT --to-source 203.0.113.{1 + n // 4}:{first}-{first + 1999}\n"
    for n in range(16)
    for protocol, first in (("tcp", 1024 + n % 4 * 2000), ("udp", 1024 + n % 4 * 2000))
)
POOL = f"*nat\n:POSTROUTING ACCEPT [0:0]\n{FAMILY}COMMIT\n"


@pytest.mark.parametrize("text", [PLAIN, WHOLE, POOL], ids=["plain", "whole language", "pool"])
def test_the_same_packets_come_out(lab: Lab, text: str) -> None:
    if shutil.which("iptables-restore") is None:
        cannot("iptables-restore is not installed")
    found = imported("iptables", text, **SIDES)
    assert found.account.complete
    made = compiled(found)
    ruleset, own = made.text.text, own_sources(made.site)
    probes = list(drawn(found))

    lab.load("")
    lab.must("iptables-restore", stdin=text)
    original = lab.flight(probes)
    lab.load(ruleset)
    ours = lab.flight(probes)

    for (wire, packet), before, after in zip(probes, original, ours, strict=True):
        if not after and any(has_address(own, end) for end in (packet.source, packet.destination)):
            continue  # announced: no mapping leads on from the gateway's own address, and no host has it
        assert same(found, wire, packet, before, after), (wire, packet, before, after)


def has_address(ranges: tuple[Range, ...], value: int) -> bool:
    return any(one.first <= value <= one.last for one in ranges)


def drawn(found: Imported) -> Iterator[tuple[str, Packet]]:
    """Probes from the constants of the rules and pools; each its own source port, so that none stands in the
    way of another."""
    chance = random.Random(1)
    addresses, ports = constants(found)
    for number in range(PROBES):
        protocol = chance.choice([TCP, UDP, ICMP, 47])
        source, destination = chance.choice(addresses), chance.choice(addresses)
        if source == destination or route(source) == route(destination) == "wan0":
            continue
        flags = SYN if protocol == TCP else 8 if protocol == ICMP else 0
        source_port = 20000 + number if protocol in (TCP, UDP, ICMP) else 0
        destination_port = chance.choice(ports) if protocol in (TCP, UDP) else 0
        yield route(source), Packet(protocol, source, source_port, destination, destination_port, flags)


def constants(found: Imported) -> tuple[list[int], list[int]]:
    edges = {0x0A090909, 0xC6120001, 0xC6120101, 0x64410001}  # hosts that no rule lists, behind each wire
    ports = {1, 9999}
    for rule in found.rules:
        for one in (*rule.match.source, *rule.match.destination):
            edges |= set(itertools.chain.from_iterable((at - 1, at, at + 1) for at in one))
        for one in rule.match.destination_port:
            ports |= {one.first - 1, one.first, one.last, one.last + 1}
    for pool in found.pools:
        edges |= {run.first + n for run in pool.subscribers for n in range(-1, run.size + 1)}
    usable = [one for one in edges if 0x01000000 < one < 0xDF000000 and one >> 24 != 127]
    return sorted(usable), sorted(port for port in ports if 0 < port < 65536)


def same(
    found: Imported, wire: str, packet: Packet, before: tuple[Seen, ...], after: tuple[Seen, ...]
) -> bool:
    """Whether both kernels did the same, apart from what is announced: sources of what comes from outside,
    what is unsolicited for a pool's address, and which of several right ports it is."""
    if not after:
        return not before or wire.startswith("wan")
    if not before or before[0].wire != after[0].wire:
        return False
    one, other = before[0].packet, after[0].packet
    if (one.destination, one.destination_port) != (other.destination, other.destination_port):
        return False
    if wire.startswith("wan"):
        return True
    probe = Probe(wire, after[0].wire, *packet[:5])
    wanted = outcome(site_of(found), probe)
    ports = wanted.source_ports
    right = other.source_port if ports is None else min(max(other.source_port, ports.first), ports.last)
    if isinstance(wanted.source, Range) and wanted.source.size > 1:
        return all(wanted.source.first <= end.source <= wanted.source.last for end in (one, other))
    return one.source == other.source and other.source_port == right
