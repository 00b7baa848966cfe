"""A pair with real keepalived and conntrackd and the bundle's files: a power cut, with all kinds of pools."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.lab import cannot
from support.pair_lab import ALL_KINDS, BIN, NODES, PairLab, in_namespace, inside, socket_of
from support.pair_traffic import TCP, UDP, TalkingFlow, Traffic, of_all_kinds

NEW, OLD = range(9, 13), range(1, 5)
"""Last octets of subscribers that come after the failover, and of those before it."""
BLOCK = 64


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PairLab]:
    if missing := [name for name in ("keepalived", "conntrackd") if shutil.which(name) is None]:
        cannot(f"not installed: {', '.join(missing)}")
    if "gw1" in in_namespace("", "ip", "netns", "list").split():
        cannot("another pair's lab is up")
    with PairLab(tmp_path, ALL_KINDS).up() as made:
        yield made


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    made = Traffic()
    yield made
    made.stop()


def block_of(end: tuple[str, int]) -> tuple[str, int]:
    return end[0], end[1] // BLOCK


def ends(flows: list[TalkingFlow]) -> set[tuple[str, int]]:
    return {end for flow in flows for end in flow.ends}


def test_a_power_cut_of_the_master(lab: PairLab, traffic: Traffic) -> None:
    of_all_kinds(traffic)
    traffic.start()
    before = list(traffic.flows)
    assert len(before) == 200
    assert traffic.say_until_answered(before, 10) == []
    known = {flow: set(flow.ends) for flow in before}
    lab.wait(lambda: lab.status("gw2")["ready"], "the pair is ready")
    assert lab.gate("gw2") == "closed"

    cut = time.monotonic()
    lab.power_cut("gw1")
    new = [traffic.open(UDP, f"100.64.{net}.{host}", 31000) for net in (3, 4) for host in NEW]
    lab.wait(lambda: lab.gate("gw2") == "open", "gw2 forwards")
    time.sleep(1)

    assert traffic.say_until_answered(before, 10) == [], "sessions are lost"
    assert {flow: flow.ends for flow in before} == known, "mappings have moved"
    assert max(flow.longest_gap(cut) for flow in before if flow.busy) < 3
    assert traffic.say_until_answered(new, 10) == [], "new subscribers are not served"
    by_network = {
        net: [flow for flow in before if flow.source.startswith(f"100.64.{net}.")] for net in (3, 4)
    }
    for flow in new:
        old = by_network[int(flow.source.split(".")[2])]
        if flow.source.startswith("100.64.3."):
            assert {block_of(end) for end in flow.ends}.isdisjoint(block_of(end) for end in ends(old))
        else:
            assert {end[0] for end in flow.ends}.isdisjoint(end[0] for end in ends(old))
    check_mappings(traffic, before)


def check_mappings(traffic: Traffic, before: list[TalkingFlow]) -> None:
    """A known socket keeps its global one towards other ports, and lets in whom its pool lets in."""
    mapped = [
        flow for flow in before if flow.kind == UDP and flow.source.startswith(("100.64.2.", "100.64.3."))
    ]
    for flow in mapped:
        flow.to_port = 7002
    assert traffic.say_until_answered(mapped, 5) == []
    assert all(len(flow.ends) == 1 for flow in mapped), "another destination, another mapping"
    for flow in mapped:
        flow.say(b"other")
    time.sleep(0.5)
    assert all(flow.inbound for flow in mapped), "endpoint-independent filtering lets nothing in"
    assert len(ends(mapped)) == len(mapped), "two sockets share a global one"


def test_a_closed_gate_spares_the_node_and_stays_in_an_apply(lab: PairLab) -> None:
    assert not lab.is_master("gw2")
    lab.nfcompile("gw2", "standby")
    with socket_of("inner", TCP) as link:
        link.settimeout(5)
        with pytest.raises(ConnectionRefusedError):
            link.connect(("198.18.1.2", 9))

    lab.site.write_text(lab.site.read_text().replace("priority: 50", "priority: 51"))
    for node in NODES:
        lab.nfcompile(node, "apply", str(lab.site), "--node", node, "--yes")

    assert (lab.gate("gw1"), lab.gate("gw2")) == ("open", "closed")
    assert "is open already" in lab.nfcompile("gw1", "takeover")
    inside("gw1", "nft flush ruleset")
    again = subprocess.run(
        lab.of_node("gw1", str(BIN / "nfcompile"), "apply", str(lab.site), "--node", "gw1", "--yes"),
        capture_output=True, text=True, env=lab.environment("gw1"), check=True,
    )  # fmt: skip
    assert "'nfcompile takeover' opens it" in again.stderr
    assert lab.gate("gw1") == "closed"
    lab.nfcompile("gw1", "takeover")
    assert lab.gate("gw1") == "open"
    refused = lab.nfcompile("gw2", "takeover", "--format", "json", check=False)
    assert "not the master of its pair" in refused
    assert lab.gate("gw2") == "closed"
    assert lab.status("gw2")["ready"]
