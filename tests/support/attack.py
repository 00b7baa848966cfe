"""An attack with raw frames: hosts on both sides that forge sources, answers and ICMP errors, and what leaks.

A leak is a packet outside with the own address of a subscriber that a pool always translates, or with a
global address that it had before; a packet inside that shows such an address to the host behind a global one;
and a packet from outside to a global address that goes out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from nfcompile.model.parse import address
from nfcompile.model.ranges import Range
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site
from nfcompile.verify.reference_site import Gateway
from support.frames import ACK, ECHO, ECHO_REPLY, FIN, GRE, ICMP, RST, SYN, TCP, UDP, Packet, datagram
from support.lab import Lab, Seen
from support.sites import site

ACLS = """
acls:
  homes: {10: allow ip 100.64.0.0/27}
  office: {10: deny ip 10.0.0.9, 20: allow ip 10.0.0.0/28}
  mail: {10: deny tcp any dst any dport 25}
"""
POOLS = {
    "defaults": "homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/29]}",
    "hairpin off": "homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/29], hairpin: off}",
    "open": "homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/29],"
    " filtering: endpoint_independent}",
    "dynamic": "homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/29],"
    " allocation: dynamic, limits_peruser: {portlimit_tcp: 256, portlimit_udp: 256}}",
    "addresses": "homes: {type: nat, acl: homes, priority: 3, global_ip: [203.0.113.0/27]}",
    "passed": "own: {type: fake, acl: mail, priority: 1}\n"
    "  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/29]}",
}
MORE = """
  office: {type: nat, acl: office, priority: 5, allocation: deterministic, global_ip: [203.0.114.0/28]}
  servers: {type: static, acl: mail, priority: 2,
            global_map: {192.168.0.5: 200.0.0.3, 192.168.8.0/28: 200.0.8.0/28}}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_ip: 198.18.0.200, dnat_port: 80, mark: 10}}
snat: {web: {mark: 10, snat_ip: 172.32.0.201}}
gateway: {secondary_ips: [172.32.0.203]}
"""
NEAR = ("100.64.0.", "10.0.0.", "192.168.0.", "192.168.8.", "10.9.9.")
GLOBAL = ("203.0.113.", "203.0.114.", "200.0.0.", "200.0.8.", "172.32.0.20")
FAR = ("198.18.0.", "198.18.1.")
PORTS = (0, 22, 25, 53, 80, 123, 443, 1024, 1025, 1030, 4444, 5000, 8001, 65535)
FLAGS = (SYN, SYN, ACK, RST, FIN | ACK, SYN | ACK, 0)
BATCH = 100


class Leak(NamedTuple):
    """A frame that leaked: the site, what was sent where, and what came out."""

    site: str
    why: str
    wire: str
    sent: Packet
    seen: Seen

    def __str__(self) -> str:
        out = f"{self.seen.packet} at {self.seen.wire}"
        return f"{self.site}: {self.why}: {self.sent} at {self.wire} came out as {out}"


def attack(lab: Lab, frames: int, seed: str) -> Iterator[Leak]:
    """Send so many frames, spread over the sites of POOLS; the leaks among them."""
    for name, pools in POOLS.items():
        dice = Random(f"{seed}/{name}")
        compiled = site(f"{ACLS}pools:\n  {pools}{MORE}")
        lab.load(compiled.text.text)
        gate = reference_site.gateway(compiled.site, compiled.allocations)
        quotes: list[Packet] = []
        for _ in range(max(1, frames // len(POOLS) // BATCH)):
            sent = [_frame(dice, quotes) for _ in range(BATCH)]
            # Two errors about one packet could not be told apart.
            tokened = list({one.token: (wire, one) for wire, one in _tokened(lab, sent)}.values())
            for (wire, packet), places in zip(tokened, lab.flight(tokened), strict=True):
                for seen in places:
                    if why := _leak(gate, compiled, wire, packet, seen):
                        yield Leak(name, why, wire, packet, seen)
                    quotes.append(seen.packet)
            del quotes[:-200]


def _tokened(lab: Lab, packets: list[tuple[str, Packet]]) -> Iterator[tuple[str, Packet]]:
    """An ICMP error is recognised by what it quotes; everything else gets a token."""
    for wire, packet in packets:
        yield wire, packet if packet.quoted else packet._replace(token=lab.token())


def _frame(dice: Random, quotes: list[Packet]) -> tuple[str, Packet]:
    """A frame into one of the wires: alone, an answer to something that came out, or an error about it."""
    wire = dice.choice(("lan0", "lan0", "wan0"))
    about = dice.choice(quotes) if quotes and dice.randrange(3) == 0 else None
    if about is not None and dice.randrange(2):
        back = about.reply(0)
        return wire, back if dice.randrange(2) else back._replace(source=_address(dice))
    if about is not None and about.protocol in (TCP, UDP):
        kind = dice.choice((3, 4, 5, 11, 12))
        target = dice.choice((about.source, about.source, _address(dice)))
        error = Packet(ICMP, _address(dice), 0, target, 0, kind, about.token, quoted=datagram(about))
        return wire, error
    protocol = dice.choice((TCP, TCP, UDP, UDP, ICMP, GRE))
    ported = protocol in (TCP, UDP)
    flags = {TCP: dice.choice(FLAGS), ICMP: dice.choice((ECHO, ECHO, ECHO_REPLY))}.get(protocol, 0)
    source_port = dice.choice(PORTS) if ported or protocol == ICMP else 0
    destination_port = dice.choice(PORTS) if ported else 0
    return wire, Packet(protocol, _address(dice), source_port, _address(dice), destination_port, flags)


def _address(dice: Random) -> int:
    start = dice.choice(dice.choice((NEAR, NEAR, GLOBAL, FAR)))
    return address(f"{start}{dice.randrange(10 if start == GLOBAL[-1] else 16)}")


def _leak(gate: Gateway, compiled: Compiled, wire: str, sent: Packet, seen: Seen) -> str:
    """Why a packet must not have come out so; '' where it may."""
    source = Range(seen.packet.source, seen.packet.source)
    target = Range(sent.destination, sent.destination)
    outside = seen.wire in compiled.site.interfaces.outside
    private, same = gate.sources.closed.holds(source), seen.packet.source == sent.source
    # What the outside itself has forged, and conntrack calls invalid, may turn round: it leaves no trace.
    if outside and private and wire == "lan0":
        return "a private source outside"
    # Of an error about a connection that the outside opened, NAT writes the outer source whatever it was.
    by_nat = sent.quoted != seen.packet.quoted
    if outside and same and wire == "lan0" and not by_nat and reference.is_own(gate, source):
        return "a forged global source outside"
    if not outside and wire == "lan0" and same and private and reference.is_own(gate, target):
        return "a private source behind a global address"
    if (
        outside
        and wire == "wan0"
        and reference.is_own(gate, Range(seen.packet.destination, seen.packet.destination))
    ):
        return "a loop"
    return ""
