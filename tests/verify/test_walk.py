"""The walker of compiled rulesets: every golden can be read and walked, and what it says is the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nfcompile.emit import Chain, Hook, Name, Rule, Table
from nfcompile.emit.expressions import FIELDS, Field
from nfcompile.emit.statements import DROP, match
from nfcompile.lower import names
from nfcompile.model.parse import address
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Qualifiers
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site, walk
from nfcompile.verify.proof.agreement import agrees
from nfcompile.verify.value_arithmetic import joined, masked
from support.disagreement import agree
from support.frames import SYN, TCP
from support.random_packets import edges, packets
from support.random_sites import random_sites
from support.sites import RULESETS, site
from support.wires import route

ANY_PORT = reference_site.ANY_PORT
FAR = Range(address("198.18.0.0"), address("198.18.1.63"))
RANDOM_SITES = 30
INSIDE = Range(address("10.0.0.0"), address("10.0.0.63"))
AIMED = 60
AIMED_AT_RULE = 30


def ids(path: Path) -> str:
    return path.parent.name


def compiled_golden(ruleset: Path) -> Any:
    return site((ruleset.parent / "site.yaml").read_text())


def packet(interface: str, protocol: int, source: str, destination: str, *ports: int) -> walk.Packet:
    sport, dport = ports or (40000, 443)
    ends = (address(source), sport, address(destination), dport)
    return walk.Packet(interface, protocol, *(walk.one(value) for value in ends))


# ---- goldens


def test_there_are_goldens() -> None:
    assert len(RULESETS) > 60


# ---- the contract


def disagreement(compiled: Compiled, dice: Random, met: Counter[str]) -> str:
    """'' or a packet of which walker and reference say different things; `met` counts what they said."""
    program = walk.read(compiled.table)
    gate = reference_site.gateway(compiled.site, compiled.allocations)
    probes = [
        probe(wire, *sent[:5], sent.protocol != TCP or sent.flags == SYN)
        for wire, sent in packets(dice, edges(compiled))
    ]
    aims = (*(aimed(compiled, dice) for _ in range(AIMED)), *aimed_at_rules(compiled, dice))
    for asked in (*probes, *aims):
        fate = reference.fate(gate, asked, lambda address: route(address.first))
        for outcome in walk.walk(program, asked, lambda address: route(address.first)):
            if not agrees(outcome, fate):
                return f"{reference.spelled(asked)}: {fate}, walked {outcome.packet}"
        met[fate.action if fate.action == "drop" else fate.reason.partition(" ")[0]] += 1
    return ""


def test_the_walker_says_what_the_contract_says() -> None:
    met: Counter[str] = Counter()
    agree(random_sites(RANDOM_SITES), lambda compiled, dice: disagreement(compiled, dice, met))

    assert min(met[word] for word in ("pool", "snat", "drop", "untranslated")) > 100, met


FOUND = {
    "a dnat rule that changes nothing": (
        """
acls: {homes: {10: allow ip 10.0.0.0/26}}
pools:
  homes: {type: nat, allocation: deterministic, priority: 1, acl: homes, global_ip: [203.0.1.0/26]}
dnat: {web: {protocol: tcp, dnat_port: 443}}
""",
        ("lan0", TCP, "10.0.0.9", "203.0.1.44", 5000, 443),
        "drop",
    ),
}
"""What random packets have found; tests/kernel/test_packets_found.py asks the kernel the same."""


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_stays_right(case: str) -> None:
    text, sent, action = FOUND[case]
    compiled = site(text)
    asked = packet(*sent)
    fate = reference.fate(
        reference_site.gateway(compiled.site, compiled.allocations),
        asked,
        lambda address: route(address.first),
    )
    walked = walk.walk(walk.read(compiled.table), asked, lambda address: route(address.first))

    assert fate.action == action
    assert all(agrees(outcome, fate) for outcome in walked)


def aimed(compiled: Compiled, dice: Random) -> walk.Packet:
    """At whom some pool may take: ends of the ranges that the site names, or something between."""
    acls = [
        rule
        for allocation in compiled.allocations
        if allocation.pool.acl
        for rule in allocation.pool.acl.rules
    ]
    sources = [run for allocation in compiled.allocations for run in allocation.subscribers]
    sources += [rule.source for rule in acls if rule.source.size < 1 << 20]
    sources = sources or [INSIDE]
    far = [rule.destination for rule in acls] + [
        part for c in compiled.allocations for part in c.pool.global_ip
    ]
    far += [entry.globals for allocation in compiled.allocations for entry in allocation.pool.global_map]
    source, destination = within(dice.choice(sources), dice), within(dice.choice([*far, FAR]), dice)
    protocol = dice.choice((1, 6, 17, 47))
    ports = (dice.choice((1023, 20000, 40000, 65535)), dice.choice((53, 443, 8001, 8003)))
    sport, dport = ports if protocol in (6, 17) else (7, 0) if protocol == 1 else (0, 0)
    interface = route(source) if dice.randrange(8) else "lan0"
    return probe(interface, protocol, source, sport, destination, dport, dice.randrange(6) > 0)


def aimed_at_rules(compiled: Compiled, dice: Random) -> Iterator[walk.Packet]:
    """At snat rules: as the rule asks, and where it asks for a mark as a dnat rule asks that gives it."""
    for rule in compiled.site.snat:
        giving = [
            one.match
            for one in compiled.site.dnat
            if rule.mark and one.mark and any(mark.is_in(one.mark.value) for mark in rule.mark.values)
        ]
        for _ in range(AIMED_AT_RULE):
            yield qualified(dice, rule.match, dice.choice(giving) if giving else rule.match)


def qualified(dice: Random, *matches: Qualifiers) -> walk.Packet:
    """A packet from inside that has what the matches ask for, each field as one of them asks for it."""
    protocols = [value for one in matches if one.protocol for value in one.protocol.values]
    protocol = dice.choice(protocols or [1, 6, 17, 47])

    def drawn(field: str, otherwise: Range) -> int:
        asked = [value for one in matches if (found := getattr(one, field)) for value in found.values]
        return within(dice.choice(asked or [otherwise]), dice)

    source, destination = drawn("src_cidr", INSIDE), drawn("dst_cidr", FAR)
    ported = protocol in (6, 17)
    ports = (drawn("src_port", ANY_PORT), drawn("dst_port", ANY_PORT)) if ported else (0, 0)
    return probe("lan0", protocol, source, ports[0], destination, ports[1], True)


def probe(interface: str, protocol: int, *ends_and_opens: int) -> walk.Packet:
    *ends, opens = ends_and_opens
    return walk.Packet(interface, protocol, *(walk.one(end) for end in ends), bool(opens))


def within(part: Range, dice: Random) -> int:
    return dice.choice((part.first, part.last, dice.randint(*part)))


def test_a_box_of_packets_is_one_walk() -> None:
    text = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools: {homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.113.0/28], hairpin: off}}
"""
    program = walk.read(site(text).table)
    box = packet("lan0", 17, "100.64.0.0", "198.18.0.1")._replace(
        source=Range(address("100.64.0.16"), address("100.64.0.31")), source_port=ANY_PORT
    )

    (outcome,) = walk.walk(program, box, lambda _: "wan0")

    assert outcome.packet.source == Range(address("203.0.113.0"), address("203.0.113.15"))
    assert outcome.packet.source_port == Range(2048, 3071)

    half_of_it_theirs = box._replace(source=Range(address("100.64.0.250"), address("100.64.1.5")))
    fates = {
        (one.snat, one.packet.source == half_of_it_theirs.source)
        for one in walk.walk(program, half_of_it_theirs, lambda _: "wan0")
    }
    assert fates == {(True, False), (False, True)}


def test_what_a_packet_leaves_behind_is_found_by_the_next() -> None:
    text = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.113.0/29], hairpin: on,
          filtering: endpoint_independent}
"""
    program = walk.read(site(text).table)
    asked = packet("lan0", 17, "100.64.0.1", "198.18.0.1")
    answer = packet("wan0", 17, "198.18.0.9", "203.0.113.1", 5, 1500)
    (first,) = walk.walk(program, asked, lambda _: "wan0")

    (stranger,) = walk.walk(program, answer, lambda _: "wan0")
    assert stranger.verdict == "drop"

    key = (walk.one(17), walk.one(address("203.0.113.1")), walk.one(1500))
    entry = {(names.eif("homes"), key): (asked.source, asked.source_port)}
    known = first.state.after(entry)
    (invited,) = walk.walk(program, answer, lambda to: "lan0" if to == asked.source else "wan0", known)
    assert invited.verdict == "accept"
    assert (invited.packet.destination, invited.packet.destination_port) == (asked.source, asked.source_port)


def test_a_limit_is_reached() -> None:
    text = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.113.0/29], hairpin: off,
          limits_peruser: {portlimit_icmp: 2}}
"""
    program = walk.read(site(text).table)
    state = walk.NOTHING
    verdicts = []
    for number in range(3):
        asked = packet("lan0", 1, "100.64.0.1", "198.18.0.1", number, 0)
        (outcome,) = walk.walk(program, asked, lambda _: "wan0", state)
        verdicts.append(outcome.verdict)
        state = outcome.state

    assert verdicts == ["accept", "accept", "drop"]


# ---- what it does not know


def test_a_field_that_the_walker_does_not_know_is_never_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIELDS, "ip ttl", "integer")
    rule = Rule((match(Field("ip ttl"), Range(1, 1)), DROP), ("pools",))
    program = walk.read(Table("t", (Chain(Name("other"), (rule,), (), Hook("filter", "forward", "filter")),)))

    with pytest.raises(walk.UnknownStatement, match="ip ttl"):
        walk.walk(program, packet("lan0", 17, "10.0.0.1", "10.0.0.2"), lambda _: "wan0")


def test_masks_of_ranges_hold_every_result() -> None:
    dice = Random(7)
    for _ in range(3000):
        first = dice.randrange(256)
        value = Range(first, min(255, first + dice.randrange(40)))
        mask = dice.choice((0, 1, 0x0F, 0xF0, 0xFF, 0x3C, dice.randrange(256)))
        results = {one & mask for one in range(value.first, value.last + 1)}
        found = masked(value, mask)
        assert found.first <= min(results)
        assert found.last >= max(results)
        both = joined(value, mask)
        assert both.first <= min(one | mask for one in range(value.first, value.last + 1))
        assert both.last >= max(one | mask for one in range(value.first, value.last + 1))
