"""`explain` and the walker behind it against real packets, and what `--live` reads from a kernel."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from nfcompile.model.parse import address
from nfcompile.model.ranges import Range, address_text
from nfcompile.pipeline import Compiled
from nfcompile.verify import walk
from support.command import NFCOMPILE
from support.disagreement import agree
from support.frames import ICMP, SYN, TCP, UDP, Packet
from support.holder import place
from support.lab import Lab, Outcome
from support.random_packets import edges, packets
from support.random_sites import random_sites
from support.sites import site
from support.wires import GATEWAY, OUTSIDE, route

HOME, FAR = address("100.64.0.1"), address("198.18.0.1")
DYNAMIC = """
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/30]
    port_range: 1024-2047
    hairpin: on
    filtering: endpoint_independent
    limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 64}
"""
HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"


def disagreement(lab: Lab, compiled: Compiled, dice: Random) -> str:
    """'' or a packet that went another way than the walker says."""
    program = walk.read(compiled.table)
    drawn = packets(dice, edges(compiled))
    # Without ports the next packet between two addresses is the same session to the kernel.
    sent = [(wire, one) for wire, one in drawn if one.protocol in (ICMP, TCP, UDP)]
    lab.load(compiled.text.text)
    outcomes = lab.exchange(sent)
    for _ in range(4):
        # A pool with mapping entries refuses a first packet that drew somebody's port.
        lost = [n for n, outcome in enumerate(outcomes) if not outcome.out]
        for n, outcome in zip(lost, lab.exchange([sent[n] for n in lost]), strict=True):
            outcomes[n] = outcome
    claimed: set[tuple[int, int, int]] = set()
    for (wire, packet), outcome in zip(sent, outcomes, strict=True):
        opens = packet.protocol != TCP or packet.flags == SYN
        asked = walk.Packet(wire, packet.protocol, *(walk.one(value) for value in packet[1:5]), opens)
        walked = walk.walk(program, asked, lambda to: route(to.first))
        if not any(came_true(packet, one, outcome, claimed) for one in walked):
            return f"{packet} at {wire}: {walked} {outcome}"
        claimed.update(
            (one.packet.protocol, one.packet.source, one.packet.source_port) for one in outcome.out
        )
    return ""


def test_packets_go_where_the_walker_says(lab: Lab) -> None:
    """Of sites without a limit of sessions: each packet is walked as if it were the first. A port that one
    before has claimed is not had again."""
    limit = "sessions_per_translation"
    sites = [one for one in random_sites(50, "walked") if limit not in one.data["nat_defaults"]]
    agree(sites, lambda compiled, dice: disagreement(lab, compiled, dice))
    assert len(sites) > 35


def came_true(
    packet: Packet, walked: walk.Outcome, outcome: Outcome, claimed: set[tuple[int, int, int]]
) -> bool:
    """Ports that a statement does not name are kept where they are free, so only named ones are compared."""
    if walked.verdict == "drop":
        return not outcome.out
    if len(outcome.out) != 1:
        return False
    (seen,) = outcome.out
    left = walked.packet
    kept = left.source_port.first == left.source_port.last == packet.source_port
    kept |= (packet.protocol, left.source.first, left.source_port.first) in claimed
    return (
        holds(left.source, seen.packet.source)
        and (kept or holds(left.source_port, seen.packet.source_port))
        and holds(left.destination, seen.packet.destination)
        and holds(left.destination_port, seen.packet.destination_port)
        and seen.wire == walked.out
    )


def holds(part: Range, value: int) -> bool:
    return part.first <= value <= part.last


def explained(lab: Lab, text: str, *arguments: str, side: str = GATEWAY) -> dict[str, Any]:
    """`explain --format json` on the gateway."""
    answer = json.loads(
        lab.must(*NFCOMPILE, "explain", "-", *arguments, "--format", "json", stdin=HEAD + text, side=side)
    )
    assert isinstance(answer, dict)
    return answer


def udp(lab: Lab, port: int) -> Packet:
    (outcome,) = lab.exchange([("lan0", Packet(UDP, HOME, port, FAR, 53))])
    (seen,) = outcome.out
    return seen.packet


def test_live_knows_the_block_the_entry_and_the_connection(lab: Lab) -> None:
    lab.load(site(DYNAMIC).text.text)
    asked = ("--proto", "udp", "--src", "100.64.0.1:5000", "--dst", "198.18.0.1:53")
    before = explained(lab, DYNAMIC, *asked, "--live")
    out = udp(lab, 5000)
    offline = explained(lab, DYNAMIC, *asked)
    known = explained(lab, DYNAMIC, *asked, "--live")
    new = explained(
        lab, DYNAMIC, "--proto", "udp", "--src", "100.64.0.1:5001", "--dst", "198.18.0.1:53", "--live"
    )

    for nobody_knows in (before, offline):
        assert (nobody_knows["action"], nobody_knows["pool"]) == ("translate", "homes")
        assert nobody_knows["global_ip"] is nobody_knows["port_first"] is None
    assert any("has no block yet" in step["text"] for step in before["steps"])
    assert known["global_ip"] == address_text(out.source)
    assert known["port_first"] == known["port_last"] == out.source_port
    texts = [step["text"] for step in known["steps"]]
    mapped = f"{address_text(out.source)}:{out.source_port}"
    assert f"live: 100.64.0.1:5000 has the mapping entry {mapped}" in texts
    assert any(f"goes out as {mapped} > 198.18.0.1:53" in text for text in texts)
    first = 1024 + (out.source_port - 1024) // 64 * 64
    assert first <= new["port_first"] == new["port_last"] <= first + 63
    after = udp(lab, 5001)
    assert (new["global_ip"], new["port_first"]) == (address_text(after.source), after.source_port)


def test_live_lets_in_whom_a_mapping_entry_wants(lab: Lab) -> None:
    lab.load(site(DYNAMIC).text.text)
    out = udp(lab, 5000)
    mapped = f"{address_text(out.source)}:{out.source_port}"
    asked = ("--in", "wan0", "--proto", "udp", "--src", "198.18.0.9:99", "--dst", mapped)

    assert explained(lab, DYNAMIC, *asked)["action"] == "drop"
    answer = explained(lab, DYNAMIC, *asked, "--live")
    assert (answer["action"], answer["subscriber"], answer["to"]) == (
        "translate",
        "100.64.0.1",
        "100.64.0.1:5000",
    )
    assert (answer["global_ip"], answer["port_first"]) == (address_text(out.source), out.source_port)


def test_live_in_another_namespace(lab: Lab) -> None:
    lab.load(site(DYNAMIC).text.text)
    out = udp(lab, 5000)
    there = lab.ask(GATEWAY, place, GATEWAY)
    asked = (
        "--proto",
        "udp",
        "--src",
        "100.64.0.1:5000",
        "--dst",
        "198.18.0.1:53",
        "--live",
        "--netns",
        there,
    )

    assert explained(lab, DYNAMIC, *asked, side=OUTSIDE)["port_first"] == out.source_port


def test_live_needs_a_ruleset(lab: Lab) -> None:
    lab.load("table ip other")
    command = (*NFCOMPILE, "explain", "-", "--live")
    done = lab.run(*command, "--src", "100.64.0.1:1", "--dst", "198.18.0.1:2", stdin=HEAD + DYNAMIC)

    assert done.returncode == 1
    assert done.stderr == "nfcompile: error: no ruleset of nfcompile is loaded here; apply the site first\n"
