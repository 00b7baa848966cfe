"""Random sites and random packets: nfcompile/verify/reference.py says what the
kernel does. NFCOMPILE_RANDOM_SITES=1000 looks at a thousand other sites, NFCOMPILE_RANDOM_SEED=7 always at
the same ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from nfcompile.lower.vlans import pool_vid, shared_vids
from nfcompile.model.ranges import PORT_LAST, Range
from nfcompile.model.site import Site
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference_site
from support.disagreement import agree
from support.frames import ICMP, TCP, UDP, Packet
from support.lab import Lab, Outcome
from support.packet_table import Expectation, Wires, compare, expected_by_reference
from support.random_packets import edges, packets
from support.random_sites import random_sites
from support.wires import route

SITES = int(os.environ.get("NFCOMPILE_RANDOM_SITES", "0"))
SEED = os.environ.get("NFCOMPILE_RANDOM_SEED", "")


def disagreement(lab: Lab, compiled: Compiled, dice: Random, met: Counter[str]) -> str:
    """'' or the packets of which the kernel makes something else than the contract says; `met` counts what
    was said of all."""
    sent, expected = expectations(compiled, dice)
    lab.load(compiled.text.text)
    outcomes = lab.exchange(sent)
    again(lab, sent, expected, outcomes)
    faults = []
    for (wire, packet), (ends, why), outcome in zip(sent, expected, outcomes, strict=True):
        if fault := compare(packet, ends, outcome, wires(compiled.site, wire, packet, outcome)):
            faults.append(f"{packet} at {wire} flags {packet.flags}: {why}\n    {fault}")
        met.update(words(compiled, packet, ends, why))
    return "\n".join(faults)


@pytest.mark.usefixtures("routed_by_mark")
def test_the_kernel_does_what_the_contract_says(lab: Lab) -> None:
    met: Counter[str] = Counter()
    agree(random_sites(SITES or 100, SEED), lambda compiled, dice: disagreement(lab, compiled, dice, met))

    print(dict(met))
    rare = {} if SITES else {word: met[word] for word, often in OFTEN.items() if met[word] < often}
    assert not rare, f"seldom met, of {met['packet']} packets: {rare}"


OFTEN = {
    "packet": 5000,
    "pool": 700,
    "cgnat deterministic": 200,
    "cgnat dynamic": 30,
    "nat deterministic": 40,
    "nat dynamic": 3,
    "static deterministic": 60,
    "snat": 100,
    "another destination": 60,
    "unsolicited": 200,
    "no connection starts without SYN": 40,
    "equal addresses in VLANs": 40,
    "source port 0": 20,
    "source port 65535": 20,
    "destination port 0": 100,
    "destination port 65535": 100,
}
"""How many packets of the fixed sites are at least such: so a generator that misses its aim is noticed."""
Expected = tuple[Expectation | None, str]


def expectations(compiled: Compiled, dice: Random) -> tuple[list[tuple[str, Packet]], list[Expected]]:
    """Packets, and what has to become of each."""
    sent, expected = [], []
    taken: list[tuple[int, Range, Range]] = []
    for wire, packet in packets(dice, edges(compiled)):
        ends, why = expected_by_reference(compiled, wire, packet)
        if packet.protocol not in (TCP, UDP, ICMP):
            # Without ports two sessions between the same two addresses are one to the kernel.
            pairs = [(Range(packet.source, packet.source), Range(packet.destination, packet.destination))]
            if ends:
                pairs.append((ends.source.addresses, ends.destination.addresses))
            both = [(packet.protocol, *one) for pair in pairs for one in (pair, pair[::-1])]
            if any(a[0] == b[0] and meet(a[1], b[1]) and meet(a[2], b[2]) for a in taken for b in both):
                continue
            taken += both
        sent.append((wire, packet))
        expected.append((ends, why))
    return sent, expected


def words(compiled: Compiled, packet: Packet, ends: Expectation | None, why: str) -> set[str]:
    """What is to be counted of a packet."""
    reason = why.partition("(")[2].rstrip(")")
    kind, _, name = reason.partition(" ")
    found = {"packet", reason if ends is None and kind != "nothing" else kind}
    for pool in compiled.site.active_pools:
        if kind == "pool" and pool.name == name:
            found |= {f"{pool.type} {pool.allocation}"}
    if ends and ends.destination.addresses.first != packet.destination:
        found.add("another destination")
    if ends and kind in ("pool", "snat") and packet.protocol in (TCP, UDP):
        found |= {f"source port {port}" for port in (0, PORT_LAST) if packet.source_port == port}
        found |= {f"destination port {port}" for port in (0, PORT_LAST) if packet.destination_port == port}
    if ends and kind == "pool" and shared_vids(compiled.site):
        found.add("equal addresses in VLANs")
    return found


def wires(site: Site, wire: str, packet: Packet, outcome: Outcome) -> Wires | None:
    """Where VLANs share addresses the mark says where packets from outside go: to the VLAN of their session,
    or to the one behind the global address."""
    vids = {site.interfaces.vlan(vid): vid for vid in shared_vids(site)}
    if not vids or not outcome.out:
        return None
    _, outside = reference_site.sides(site)
    out, home = route(outcome.out[0].packet.destination), route(packet.source)
    if wire in outside:
        out = next((vlan for one, vlan in behind(site) if one.first <= packet.destination <= one.last), out)
    elif wire in vids and out in outside:
        home = wire
    return Wires(out, home)


def behind(site: Site) -> list[tuple[Range, str]]:
    """Global addresses behind which one VLAN stands."""
    found = []
    for pool in site.active_pools:
        vid = pool_vid(pool)
        found += [(one, site.interfaces.vlan(vid)) for one in pool.global_ip if vid is not None]
        found += [(e.globals, site.interfaces.vlan(e.vid)) for e in pool.global_map if e.vid is not None]
    return found


def again(
    lab: Lab,
    sent: Sequence[tuple[str, Packet]],
    expected: Sequence[Expected],
    outcomes: list[Outcome],
) -> None:
    """Retransmit: a pool with mapping entries refuses a first packet that drew somebody's port."""
    for _ in range(4):
        lost = [n for n, (ends, _) in enumerate(expected) if ends and not outcomes[n].out]
        for n, outcome in zip(lost, lab.exchange([sent[n] for n in lost]), strict=True):
            outcomes[n] = outcome


def meet(one: Range, other: Range) -> bool:
    return one.first <= other.last and other.first <= one.last
