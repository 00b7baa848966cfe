"""Random sites and random packets: the plain reading of the contract (nfcompile/reference.py) says what the
kernel does. NFCOMPILE_RANDOM_SITES=1000 looks at a thousand other sites, NFCOMPILE_RANDOM_SEED=7 always at
the same ones."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from random import Random
from typing import Any

from frames import ICMP, TCP, UDP, Packet
from hypothesis import HealthCheck, assume, given, note, seed, settings
from hypothesis import strategies as st
from lab import Lab, Outcome
from random_sites import edges, packets, sites
from table import Expectation, compare, expected_by_reference

from nfcompile.diagnostics import SiteError
from nfcompile.model.ranges import Range
from nfcompile.pipeline import compile_site, parse

SITES = int(os.environ.get("NFCOMPILE_RANDOM_SITES", "0"))
SEED = os.environ.get("NFCOMPILE_RANDOM_SEED")


@(seed(int(SEED)) if SEED else lambda test: test)
@settings(
    max_examples=SITES or 150,
    derandomize=not SITES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(sites(), st.integers(0, 999))
def test_the_kernel_does_what_the_contract_says(lab: Lab, site: dict[str, Any], dice: int) -> None:
    text = json.dumps(site, indent=1)
    note(text)
    try:
        compiled = compile_site(parse(text.encode(), "site.yaml"))
    except SiteError:
        assume(False)
        raise
    sent, expected = [], []
    taken: list[tuple[int, Range, Range]] = []
    for wire, packet in packets(Random(dice), edges(compiled)):
        ends, why = expected_by_reference(compiled, wire, packet)
        if ends and packet.protocol not in (TCP, UDP, ICMP):
            # Without ports two sessions between the same two addresses are one to the kernel.
            mine = (packet.protocol, ends.source.addresses, ends.destination.addresses)
            if any(one[0] == mine[0] and meet(one[1], mine[1]) and meet(one[2], mine[2]) for one in taken):
                continue
            taken += [mine, (packet.protocol, mine[2], mine[1])]
            alone = (packet.protocol, *(Range(end, end) for end in (packet.source, packet.destination)))
            taken += [alone, (alone[0], alone[2], alone[1])]
        sent.append((wire, packet))
        expected.append((ends, why))
    lab.load(compiled.text.text)
    outcomes = lab.exchange(sent)
    again(lab, sent, expected, outcomes)
    faults = []
    for (wire, packet), (ends, why), outcome in zip(sent, expected, outcomes, strict=True):
        if fault := compare(packet, ends, outcome):
            faults.append(f"{packet} at {wire} flags {packet.flags}: {why}\n    {fault}")
    assert not faults, "\n".join(faults)


def again(
    lab: Lab,
    sent: Sequence[tuple[str, Packet]],
    expected: Sequence[tuple[Expectation | None, str]],
    outcomes: list[Outcome],
) -> None:
    """Retransmit: a pool with mapping entries refuses a first packet that drew somebody's port."""
    for _ in range(4):
        lost = [n for n, (ends, _) in enumerate(expected) if ends and not outcomes[n].out]
        for n, outcome in zip(lost, lab.exchange([sent[n] for n in lost]), strict=True):
            outcomes[n] = outcome


def meet(one: Range, other: Range) -> bool:
    return one.first <= other.last and other.first <= one.last
