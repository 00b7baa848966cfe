"""Packets after the first: `prove` finds what a broken ruleset does to them, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nfcompile import pipeline
from nfcompile.cli import prove as verb
from nfcompile.cli.options import Options
from nfcompile.emit import Chain, Rule
from nfcompile.emit.expressions import Bitwise
from nfcompile.emit.spelling import rule_text
from nfcompile.emit.statements import (
    ACCEPT,
    CT_DIRECTION,
    CT_STATE,
    DROP,
    IP_SADDR,
    L4PROTO,
    RETURN,
    TH_SPORT,
    Mangle,
    Statement,
    match,
)
from nfcompile.model.ranges import Range
from nfcompile.pipeline import Compiled
from nfcompile.verify import proof
from nfcompile.verify.box import Box
from nfcompile.verify.moments import AGAIN, ANSWER, ERROR, ERROR_BACK, INVALID, LATER, UNTRACKED
from nfcompile.verify.proof.connections import untranslated
from nfcompile.verify.walk.later import later_flight
from nfcompile.verify.walk.packet import STATUS
from support.sites import ROOT, site

Change = Callable[[Chain], Chain]
SNAT, DNAT = STATUS["snat"], STATUS["dnat"]
OPEN = """
acls: {homes: {10: allow ip 10.1.0.0/31}, office: {10: allow ip 10.2.0.0/29}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/31], port_range: 1024-2047,
          filtering: endpoint_independent}
  office: {type: nat, acl: office, priority: 2, global_ip: [203.0.113.8/29]}
"""
"""What the outside may open: to mapping entries, and to whole addresses."""


def golden(name: str) -> Compiled:
    return site((ROOT / "tests" / "golden" / name / "site.yaml").read_text())


def changed(done: Compiled, name: str, change: Change) -> Compiled:
    """The site with another chain in its ruleset."""
    objects = tuple(change(one) if str(one.name) == name else one for one in done.table.objects)  # type: ignore[arg-type]
    assert objects != done.table.objects
    return done._replace(table=done.table._replace(objects=objects))


def without(*words: str) -> Change:
    """A chain without the rules that have all these words."""

    def change(chain: Chain) -> Chain:
        kept = (r for r in chain.rules if not all(word in rule_text(r.statements) for word in words))
        return chain._replace(rules=tuple(kept))

    return change


def begins(*statements: Statement) -> Change:
    """A chain with a rule before all others."""
    return lambda chain: chain._replace(rules=(Rule(statements, chain.origin), *chain.rules))


REPLY, ESTABLISHED = match(CT_DIRECTION, "reply"), match(CT_STATE, "established")
CGNAT, BROKEN = "cgnat-hairpin", "after_translation"
CASES: dict[str, tuple[str, str, Change, set[tuple[str, int]]]] = {
    "second packets with another port": (
        CGNAT,
        BROKEN,
        begins(ESTABLISHED, match(L4PROTO, "udp"), Mangle(TH_SPORT, Bitwise(TH_SPORT, 0xFFFF, xor=1))),
        {(LATER, SNAT), (ANSWER, SNAT)},
    ),
    "second packets that are dropped": (CGNAT, BROKEN, without("ct status snat accept"), {(LATER, SNAT)}),
    "answers that are dropped": (CGNAT, BROKEN, begins(REPLY, ESTABLISHED, DROP), {(ANSWER, SNAT)}),
    "answers between inside hosts": (CGNAT, BROKEN, without("ct direction reply", "=="), {(ANSWER, SNAT)}),
    "ICMP errors between inside hosts": (
        CGNAT,
        BROKEN,
        without("ct direction reply", "=="),
        {(ERROR_BACK, SNAT)},
    ),
    "answers of forged connections": (
        CGNAT,
        "outgoing",
        begins(REPLY, RETURN),
        {(ANSWER, 0), (ERROR_BACK, 0)},
    ),
    "connections that were there before": (
        CGNAT,
        "untranslated",
        without("drop"),
        {(AGAIN, 0), (LATER, 0), (ANSWER, 0), (UNTRACKED, 0)},
    ),
    "established connections that pass": (
        CGNAT,
        BROKEN,
        begins(ESTABLISHED, ACCEPT),
        {(LATER, 0), (ANSWER, 0)},
    ),
    "what has no connection": (CGNAT, "outgoing", without("ct state invalid"), {(INVALID, 0)}),
    "global addresses as a source": (CGNAT, "outgoing", without("dropped_forged"), {(LATER, 0)}),
    "to a global address and back outside": (CGNAT, BROKEN, without("dropped_unsolicited"), {(LATER, 0)}),
    "to the gateway by a global address": (CGNAT, "to_gateway", without("drop"), {(AGAIN, 0)}),
    "sources that the site does not name": (
        "strict-sources",
        "outgoing",
        without("dropped_unnamed"),
        {(LATER, 0)},
    ),
    "answers to what the outside opened": (
        OPEN,
        "outgoing",
        without("ct status dnat return"),
        {(ANSWER, DNAT)},
    ),
    "such answers dropped": (OPEN, BROKEN, begins(REPLY, ESTABLISHED, DROP), {(ANSWER, DNAT)}),
    "what the outside opened, dropped later": (OPEN, BROKEN, begins(ESTABLISHED, DROP), {(LATER, DNAT)}),
    "ICMP errors about what the outside opened": (
        OPEN,
        BROKEN,
        without("ct state related"),
        {(ERROR, DNAT)},
    ),
    "what an snat rule excludes": ("snat-exclude", "untranslated", without("return"), {(LATER, 0)}),
    "what a fake pool passes": ("fake-passes", "untranslated", without("jump"), {(LATER, 0)}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_for_later_packets_is_found(case: str) -> None:
    text, chain, change, expected = CASES[case]
    done = site(text) if "\n" in text else golden(text)
    assert proof.prove(done).holds

    found = proof.prove(changed(done, chain, change))

    assert found.later
    assert expected <= {(one.box.moment, one.box.status) for one in found.later}


def test_first_packets_do_not_show_the_forged_answer() -> None:
    """The hole that let 100.64.0.7 answer a forged server: nothing but later packets shows it."""
    broken = changed(golden(CGNAT), "outgoing", begins(REPLY, RETURN))

    found = proof.prove(broken)

    assert not found.different
    assert not found.leaks
    assert found.later


def test_state_that_is_gone_changes_no_source() -> None:
    """A token that has run out: the entries are renewed or not, the packet leaves as the first one did."""
    broken = changed(
        golden(CGNAT), "refresh_entries", begins(ESTABLISHED, Mangle(IP_SADDR, Bitwise(IP_SADDR, 0xFFFFFF00)))
    )

    assert (LATER, SNAT) in {(one.box.moment, one.box.status) for one in proof.prove(broken).later}


def test_a_mark_of_a_rule_does_not_count_as_young() -> None:
    """Tokens that are young are tokens: an operator's mark is in no state among them."""
    assert proof.prove(golden("cgnat-hairpin-marks")).holds


def test_what_the_verb_says_of_later_packets(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pipeline.compile_site

    def broken(document: Any) -> Compiled:
        return changed(whole(document), "outgoing", begins(REPLY, RETURN))

    monkeypatch.setattr(pipeline, "compile_site", broken)
    (tmp_path / "site.yaml").write_text("version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n" + OPEN)
    file = str(tmp_path / "site.yaml")

    assert verb.run(Options((file,), no_color=True)) == 1
    said = capsys.readouterr().out
    assert verb.run(Options((file,), no_color=True, format="json")) == 1
    data = json.loads(capsys.readouterr().out)

    assert "\nlater      NO: in " in said
    assert "an answer to " in said
    assert "the site:    drop (" in said
    assert "the ruleset: forward as " in said
    assert "outgoing: ct direction reply return" in said
    assert data["proved"] is False
    different = data["later"]["different"]
    assert len(different) < data["later"]["boxes"]
    assert {one["ruleset"] for one in different} == {"forward"}
    assert all(one["steps"] for one in different)


def test_every_later_packet_is_in_a_box() -> None:
    boxes = [box for box, _ in untranslated((1, 6, 17), frozenset({"lan0", "wan0", "*"}), [])]

    moments = Counter(box.moment for box in boxes)

    assert moments == {AGAIN: 3, LATER: 3, ANSWER: 3, INVALID: 3, UNTRACKED: 3, ERROR: 1, ERROR_BACK: 1}


A, D, G, H, E = 0x64400007, 0xC6336409, 0xCB007101, 0x0A000009, 0xC0000201
WIRE = {
    (LATER, SNAT): ("lan0", (A, D), (G, D), "wan0"),
    (AGAIN, SNAT | DNAT): ("lan0", (A, D), (G, H), "wan0"),
    (ANSWER, 0): ("wan0", (D, A), (D, A), "lan0"),
    (ANSWER, SNAT): ("wan0", (D, G), (D, A), "lan0"),
    (ANSWER, DNAT): ("wan0", (H, A), (D, A), "lan0"),
    (ANSWER, SNAT | DNAT): ("wan0", (H, G), (D, A), "lan0"),
    (ERROR, SNAT): ("wan0", (E, D), (G, D), "wan0"),
    (ERROR, DNAT): ("wan0", (E, D), (E, H), "wan0"),
    (ERROR_BACK, SNAT): ("wan0", (E, G), (E, A), "lan0"),
    (ERROR_BACK, DNAT): ("wan0", (E, A), (D, A), "lan0"),
    (INVALID, 0): ("lan0", (A, D), (A, D), "wan0"),
}
"""Of a connection from A to D, whose source becomes G and whose destination H: where a packet comes from, its
ends as it comes and as it is sent on, and where. E sends ICMP errors."""


@pytest.mark.parametrize(("moment", "status"), WIRE)
def test_connection_tracking_translates_what_it_knows(moment: str, status: int) -> None:
    interface, came, sent, towards = WIRE[moment, status]

    flight = later_flight(connection(moment, status))

    later = flight.later
    assert later is not None
    assert (later.came.interface, flight.first) == (interface, towards)
    assert (later.came.source.first, later.came.destination.first) == came
    assert (later.sent.source.first, later.sent.destination.first) == sent


def connection(moment: str, status: int) -> Box:
    return Box(
        17,
        False,
        frozenset({"lan0"}),
        _one(A),
        _one(1000),
        _one(D),
        _one(53),
        frozenset({"wan0"}),
        frozenset({"wan0"}),
        home=frozenset({"lan0"}),
        moment=moment,
        status=status,
        given=_one(G),
        given_port=_one(2000),
        host=_one(H),
        host_port=_one(80),
        back=frozenset({"wan0"}),
        sender=_one(E),
    )


def _one(value: int) -> tuple[Range, ...]:
    return (Range(value, value),)
