"""Tables of packets: one line a packet, and what has to become of it.

    udp 100.64.0.1:5000 > 198.18.0.1:53         -> pool residential
    tcp 10.0.0.1:5000 > 198.18.0.1:8001         -> from 172.32.0.201 to 198.18.0.1:8080
    icmp 10.9.9.9 > 198.18.0.1                  -> untranslated
    tcp@wan0 198.18.0.1:99 > 203.0.113.1:2000   -> drop

    left    protocol (a name or a number, `ack` is TCP without SYN), the interface where it arrives if
            routes do not say it, source and destination
    right   pool P: the source becomes what `lookup` says of it in pool P, in its block of ports
            untranslated: both ends stay; drop
            from A, to B: what the ends become, addresses or ranges, or the gateway's address on a wire
            (`from wan0`); without ports `from` means any, `to` the same as before; an end that is not
            named stays

Every packet that comes out is answered, and the answer has to reach the sender as if nothing had been
translated. Comments begin with a #. A packet with no source port gets one of its own, one with no
destination port goes to 443.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from nfcompile.allocation.lookup import lookups
from nfcompile.model import parse
from nfcompile.model.ranges import PORT_LAST, Range, address_text, port_text, range_text
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site, walk
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS
from support.frames import ACK, ECHO, ICMP, NAMES, SYN, TCP, UDP, Packet
from support.lab import Lab, Outcome
from support.wires import WIRE, gateway_address, route

PROTOCOLS = {name: number for number, name in NAMES.items()} | {"ack": TCP}
ANY_PORT = Range(0, PORT_LAST)
_spare_ports = itertools.cycle(range(20_000, 60_000))


class End(NamedTuple):
    """An address and a port, or the ranges in which they have to be."""

    addresses: Range
    ports: Range

    def holds(self, address: int, port: int) -> bool:
        return (
            self.addresses.first <= address <= self.addresses.last
            and self.ports.first <= port <= self.ports.last
        )

    def __str__(self) -> str:
        ports = "" if self.ports == ANY_PORT else f":{port_text(self.ports)}"
        return range_text(self.addresses) + ports


class Expectation(NamedTuple):
    """The two ends of a packet that comes out."""

    source: End
    destination: End


class Wires(NamedTuple):
    """Where a packet comes out, and where its answer does."""

    out: str
    home: str


def check(lab: Lab, compiled: Compiled, table: str) -> list[Outcome]:
    """Load a site, send a table of packets, and compare; what became of each, in order."""
    lab.load(compiled.text.text)
    return send(lab, compiled, table)


def send(lab: Lab, compiled: Compiled, table: str) -> list[Outcome]:
    """As `check` with the ruleset and the connections that are there."""
    lines = [line for line in (line.partition("#")[0].strip() for line in table.splitlines()) if line]
    asked = [tuple(part.strip() for part in line.split("->")) for line in lines]
    packets = [read_packet(left) for left, _ in asked]
    outcomes = lab.exchange(packets)
    faults = []
    for line, (_, right), (_, packet), outcome in zip(lines, asked, packets, outcomes, strict=True):
        expected = read_expectation(compiled, right, packet)
        fault = compare(packet, expected, outcome)
        if fault:
            faults.append(f"{line}\n    {fault}")
    assert not faults, "\n".join(faults)
    return outcomes


def compare(
    packet: Packet, expected: Expectation | None, outcome: Outcome, wires: Wires | None = None
) -> str:
    """'' or what is wrong with what became of a packet. `wires`, where the routes do not say them."""
    if expected is None:
        return f"came out: {spelled(outcome)}" if outcome.out else ""
    wanted = f"expected {expected.source} > {expected.destination}"
    if not outcome.out:
        return f"{wanted}, was dropped"
    (out_wire, out), *more = outcome.out
    wires = wires or Wires(route(out.destination), route(packet.source))
    if (
        more
        or out_wire != wires.out
        or not expected.source.holds(out.source, out.source_port)
        or not expected.destination.holds(out.destination, out.destination_port)
    ):
        return f"{wanted}, came out: {spelled(outcome)}"
    answer = packet.reply(0)
    if len(outcome.back) != 1 or outcome.back[0].wire != wires.home:
        return f"the answer did not come back to {wires.home}: {spelled(outcome)}"
    back = outcome.back[0].packet
    if back[1:5] != answer[1:5]:
        return f"the answer came back as {back}"
    return ""


def spelled(outcome: Outcome) -> str:
    out = ", ".join(f"{seen.packet} at {seen.wire}" for seen in outcome.out)
    back = ", ".join(f"{seen.packet} at {seen.wire}" for seen in outcome.back)
    return f"{out or 'nothing'}; answer: {back or 'nothing'}"


def probe(protocol: int, source: int, destination: int, port: int = 0) -> tuple[str, Packet]:
    """A packet from a source port of its own, and the wire that its source is behind."""
    sport = next(_spare_ports) if protocol in (TCP, UDP, ICMP) else 0
    dport = port if protocol in (TCP, UDP) else 0
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    return route(source), Packet(protocol, source, sport, destination, dport, flags)


def read_packet(text: str) -> tuple[str, Packet]:
    """The left side of a line."""
    word, source, _, destination = text.split()
    word, _, wire = word.partition("@")
    protocol = PROTOCOLS[word] if word in PROTOCOLS else int(word)
    left, right = _read_end(source), _read_end(destination)
    port = 443 if right.ports == ANY_PORT else right.ports.first
    home, packet = probe(protocol, left.addresses.first, right.addresses.first, port)
    if left.ports != ANY_PORT:
        packet = packet._replace(source_port=left.ports.first)
    if word == "ack":
        packet = packet._replace(flags=ACK)
    return wire or home, packet


def read_expectation(compiled: Compiled, text: str, packet: Packet) -> Expectation | None:
    """The right side of a line; None is a drop."""
    if text == "drop":
        return None
    source = _exactly(packet.source, packet.source_port)
    destination = _exactly(packet.destination, packet.destination_port)
    if text == "untranslated":
        return Expectation(source, destination)
    words = text.split()
    for word, value in zip(words[::2], words[1::2], strict=True):
        if word == "pool":
            source = predicted(compiled, value, packet)
        elif word == "from":
            source = _read_end(value)
        elif word == "to":
            asked = _read_end(value)
            destination = asked if asked.ports != ANY_PORT else asked._replace(ports=destination.ports)
        else:
            raise ValueError(f"'{word}' in '{text}'")
    return Expectation(source, destination)


def predicted(compiled: Compiled, pool: str, packet: Packet) -> End:
    """What `lookup` says of a packet's source in a pool."""
    word = NAMES.get(packet.protocol)
    found = [one for one in lookups(compiled.allocations, packet.source, None, word) if one.pool == pool]
    assert found, f"lookup knows no {address_text(packet.source)} in pool {pool}"
    assert found[0].action == "translate"
    assert found[0].global_ip is not None
    addresses = parse.addresses(found[0].global_ip)
    if found[0].port_first is None or found[0].port_last is None or packet.protocol not in (TCP, UDP, ICMP):
        return End(addresses, Range(packet.source_port, packet.source_port))
    return End(addresses, Range(found[0].port_first, found[0].port_last))


def expected_by_reference(compiled: Compiled, wire: str, packet: Packet) -> tuple[Expectation | None, str]:
    """What the plain reading of the contract says of a packet, and how it got there."""
    opens = packet.protocol != TCP or packet.flags == SYN
    asked = walk.Packet(wire, packet.protocol, *(Range(end, end) for end in packet[1:5]), opens)
    gate = reference_site.gateway(compiled.site, compiled.allocations)
    fate = reference.fate(gate, asked, lambda address: route(address.first))
    if fate.action == "drop":
        return None, str(fate)
    left_with = fate.sources
    if left_with == INTERFACE_ADDRESS:
        left_with = parse.addresses(gateway_address(route(fate.destinations.first)))
    source = End(left_with, fate.source_ports)
    return Expectation(source, End(fate.destinations, fate.destination_ports)), str(fate)


def sources(outcomes: Iterable[Outcome]) -> list[tuple[int, int, int]]:
    """Protocol, address and port with which packets came out."""
    return [(seen.packet[0], seen.packet[1], seen.packet[2]) for outcome in outcomes for seen in outcome.out]


def _exactly(address: int, port: int) -> End:
    return End(Range(address, address), Range(port, port))


def _read_end(text: str) -> End:
    host, colon, ports = text.partition(":")
    host = gateway_address(host) if host in WIRE else host
    return End(parse.addresses(host), parse.ports(ports) if colon else ANY_PORT)
