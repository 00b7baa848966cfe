"""`nfcompile prove`: every golden is proved, and a ruleset that somebody broke is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nfcompile import pipeline
from nfcompile.cli import prove as verb
from nfcompile.cli.options import Options
from nfcompile.emit import Chain, Element, Map, Rule, Table
from nfcompile.emit.expressions import Bitwise
from nfcompile.emit.listing import read_key
from nfcompile.emit.spelling import key_text, rule_text
from nfcompile.emit.statements import ACCEPT, Mangle, Match
from nfcompile.model.ranges import Range
from nfcompile.pipeline import Compiled
from nfcompile.verify import proof
from nfcompile.verify.box import Box, everything
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.proof.agreement import compared, fates
from nfcompile.verify.proof.sharing import Owner, Rectangle, meeting
from nfcompile.verify.walk import program, read
from support.disagreement import agree
from support.random_sites import RandomSite, random_sites
from support.sites import ROOT, RULESETS, site
from support.varied_sites import pairs, varied_sites

RANDOM_SITES = int(os.environ.get("NFCOMPILE_RANDOM_SITES", "0"))
SEED = os.environ.get("NFCOMPILE_RANDOM_SEED", "")
VARIED = 14
BARE = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls: {homes: {10: deny ip 100.64.0.8/32, 20: allow ip 100.64.0.0/28}, others: {10: allow ip 100.64.1.0/28}}
pools:
  homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.113.0/30], hairpin: off,
          limits_peruser: {portlimit_tcp: 1024, portlimit_udp: 512}}
  others: {type: cgnat, priority: 2, acl: others, global_ip: [203.0.113.8/30], hairpin: off}
"""


@pytest.mark.parametrize("ruleset", RULESETS, ids=lambda path: str(path.parent.name))
def test_every_golden_is_proved(ruleset: Path) -> None:
    found = proof.prove(site((ruleset.parent / "site.yaml").read_text()))

    assert found.holds, found
    assert found.boxes + found.later_boxes > 40


def fault(site: Compiled, _: Random) -> str:
    """'' or what is wrong with a proof."""
    found = proof.prove(site)
    return "" if found.holds else str(found._replace(different=found.different[:1], leaks=found.leaks[:1]))


@cache
def random_ones() -> tuple[RandomSite, ...]:
    return tuple(random_sites(RANDOM_SITES, SEED)) if RANDOM_SITES else varied_sites(VARIED)


@pytest.mark.parametrize("number", range(RANDOM_SITES or VARIED))
def test_a_random_site_is_proved(number: int) -> None:
    """Each a test of its own, so that several processes share them; `make soak` asks for others."""
    agree(random_ones()[number : number + 1], fault)


def test_features_meet_in_the_random_sites() -> None:
    """Of the pairs of words that many sites have, those few have most."""
    few = set().union(*(pairs(site) for site in varied_sites(VARIED)))

    assert len(few) > 2000


def test_every_packet_is_in_one_box() -> None:
    """The boxes are a partition: what is drawn at random lies in exactly one."""
    done = site((ROOT / "examples" / "static" / "site.yaml").read_text())
    program = read(done.table)
    boxes = [one.box for one in compared(program, fates(done, program))]
    dice = Random(5)
    edges = [one for box in boxes for one in (*box.source, *box.destination)]
    for _ in range(3000):
        protocol = dice.choice(sorted({box.protocol for box in boxes}))
        ends = [dice.choice(dice.choice(edges)) for _ in range(2)]
        ports = [dice.choice((0, 1, 53, 443, 1023, 65535)) for _ in range(2)]
        if protocol not in (6, 17):
            ports = [ports[0] if protocol == 1 else 0, 0]
        names = [dice.choice(("lan0", "wan0", "*")) for _ in range(4)]
        opens = protocol != 6 or dice.random() < 0.5
        packet = (opens, names[0], ends[0], ports[0], ends[1], ports[1], *names[1:3], 0, 0, names[3])
        holders = [box for box in boxes if lies_in(box, protocol, packet)]
        assert len(holders) == 1, (protocol, packet, len(holders))


def lies_in(box: Box, protocol: int, packet: tuple[Any, ...]) -> bool:
    """The fields that a first packet has."""
    fields = box[1 : Box._fields.index("moment")]
    return box.protocol == protocol and all(
        value in mine
        if isinstance(mine, frozenset)
        else value == mine
        if isinstance(mine, bool)
        else any(one.first <= value <= one.last for one in mine)
        for value, mine in zip(packet, fields, strict=True)
    )


def changed(table: Table, name: str, change: Callable[[Any], Any]) -> Table:
    """The table with one object changed."""
    objects = tuple(change(one) if str(one.name) == name else one for one in table.objects)
    assert objects != table.objects
    return table._replace(objects=objects)


def without(word: str) -> Callable[[Chain], Chain]:
    return lambda chain: chain._replace(
        rules=tuple(r for r in chain.rules if word not in rule_text(r.statements))
    )


def with_data(old: str, new: str) -> Callable[[Map], Map]:
    def change(one: Map) -> Map:
        def other(element: Element) -> Element:
            text = key_text(element.data, one.data).replace(old, new)
            return element._replace(data=read_key(text, one.data))

        return one._replace(elements=tuple(other(element) for element in one.elements))

    return change


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("blocksof-tcp-icmp_homes", with_data("1024-2047", "1024-2048"), "packets"),
        ("blocksof-udp_homes", with_data("1024-1535", "2048-2559"), "packets"),
        ("blocksof-tcp-icmp_homes", with_data("203.0.113.0/30", "203.0.113.8/30"), "packets"),
        ("pool_homes", without("return"), "packets"),
        ("outbound", without("tcp flags"), "packets"),
        ("nat_postrouting", without("global_addresses"), "packets"),
        ("to_gateway", without("global_addresses"), "packets"),
        ("translate_homes", without("snat ip prefix to ip saddr map @addresses"), "packets"),
    ],
)
def test_a_broken_ruleset_is_not_proved(
    name: str,
    change: Callable[[Any], Any],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = pipeline.compile_site

    def broken(document: Any) -> Compiled:
        done = whole(document)
        return done._replace(table=changed(done.table, name, change))

    monkeypatch.setattr(pipeline, "compile_site", broken)
    (tmp_path / "site.yaml").write_text(BARE)

    assert verb.run(Options((str(tmp_path / "site.yaml"),), no_color=True)) == 1

    said = capsys.readouterr().out
    assert f"{says:<11}NO: " in said
    assert "the site: " in said
    assert "the ruleset: " in said


def test_the_ruleset_is_read_once_for_all_counterexamples(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the fuzzer: 569 packets of a changed table took half a minute to explain."""
    whole, validated, done_so_often = pipeline.compile_site, program.validate, list[Table]()

    def broken(document: Any) -> Compiled:
        done = whole(document)
        return done._replace(table=changed(done.table, "translate_homes", without("snat")))

    def counted(table: Table) -> None:
        done_so_often.append(table)
        validated(table)

    monkeypatch.setattr(pipeline, "compile_site", broken)
    monkeypatch.setattr(program, "validate", counted)
    (tmp_path / "site.yaml").write_text(BARE)

    assert verb.run(Options((str(tmp_path / "site.yaml"),), format="json")) == 1

    said = json.loads(capsys.readouterr().out)
    assert len(said["packets"]["different"]) + len(said["later"]["different"]) > 5
    assert all(one["steps"] or one["ruleset"] for one in said["packets"]["different"])
    assert len(done_so_often) <= 3


def test_a_gate_that_does_not_hold_is_shown_closed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counterexample is of a closed gate, and so must its explanation be."""
    whole = pipeline.compile_site
    spares = with_match("meta l4proto != 112", "meta l4proto != 17")

    def broken(document: Any) -> Compiled:
        done = whole(document)
        return done._replace(table=changed(done.table, "nat_prerouting", spares))

    monkeypatch.setattr(pipeline, "compile_site", broken)
    (tmp_path / "site.yaml").write_text((ROOT / "tests/golden/pair-two-nodes/site.yaml").read_text())

    assert verb.run(Options((str(tmp_path / "site.yaml"),), node="gw1", no_color=True)) == 1

    said = capsys.readouterr().out
    assert "udp from " in said
    assert ", while the gate is closed\n        the site:    drop (the gate is closed)\n" in said


def with_match(old: str, new: str) -> Callable[[Chain], Chain]:
    """A chain with another match in the place of one."""
    assert old.split(" != ")[0] == new.split(" != ")[0]
    number = int(new.split(" != ")[1])

    def change(one: Any) -> Any:
        is_old = isinstance(one, Match) and rule_text((one,)) == old
        return one._replace(right=(Element((Range(number, number),)),)) if is_old else one

    return lambda chain: chain._replace(
        rules=tuple(r._replace(statements=tuple(map(change, r.statements))) for r in chain.rules)
    )


def test_two_blocks_that_meet_are_seen() -> None:
    """Also where both sides make the same mistake: the allocation is theirs together."""
    done = site(BARE)
    homes, others = done.allocations
    same = others._replace(pool=others.pool._replace(global_ip=homes.pool.global_ip), stock=homes.stock)
    both = done.site._replace(pools=(homes.pool, same.pool))
    broken = Compiled(both, (), (homes, same), pipeline.lower(both, (homes, same)), done.text, {})

    found = proof.prove(broken)

    assert not found.different
    assert found.sharing.found
    assert {owner.pool for owner in found.sharing.found[0].owners} == {"homes", "others"}


def test_a_way_out_with_a_private_source_is_seen() -> None:
    """A packet that goes on where all ports are taken: no packet shows it while the sets are empty."""
    done = site(BARE.replace("hairpin: off,\n", "hairpin: on,\n"))
    table = changed(
        done.table, "new_udp_homes", lambda chain: chain._replace(rules=(*chain.rules[:-1], accepting(chain)))
    )

    found = proof.prove(done._replace(table=table))

    assert found.leaks
    assert {leak.pool for leak in found.leaks} == {"homes"}


def accepting(chain: Chain) -> Rule:
    return Rule((ACCEPT,), chain.origin)


def test_an_allocation_that_moves_somebody_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    done = site(BARE.replace("203.0.113.0/30]", "203.0.113.0/30, 203.0.113.16/30]"))
    pieces = proof.stability.moves.__globals__["PoolAllocation"].layout

    def backwards(allocation: Any) -> Any:
        turned = allocation.stock._replace(globals=allocation.stock.globals[::-1])
        return pieces(allocation._replace(stock=turned))

    monkeypatch.setattr("nfcompile.allocation.pools.PoolAllocation.layout", backwards)

    assert proof.prove(done).moved


def test_rectangles_of_different_owners_meet() -> None:
    mine, yours, any_of_us = Owner("p", "", 5), Owner("p", "", 6), Owner("q", "", None)

    def met(*rectangles: Rectangle) -> list[tuple[int, int]]:
        return [(address, port) for address, port, _ in meeting(rectangles)]

    def one(owner: Owner, addresses: tuple[int, int], ports: tuple[int, int]) -> Rectangle:
        return Rectangle(Range(*addresses), Range(*ports), owner)

    assert met(one(mine, (1, 9), (10, 19)), one(yours, (9, 12), (19, 30))) == [(9, 19)]
    assert met(one(mine, (1, 9), (10, 19)), one(yours, (10, 12), (19, 30))) == []
    assert met(one(mine, (1, 9), (10, 19)), one(yours, (1, 12), (20, 30))) == []
    assert met(one(mine, (1, 9), (10, 90)), one(mine, (1, 9), (20, 30)), one(yours, (1, 1), (85, 99))) == [
        (1, 85)
    ]
    assert met(one(any_of_us, (1, 9), (0, 5)), one(any_of_us, (9, 12), (5, 7))) == [(9, 5)]
    assert met(one(mine, (1, 9), (10, 19)), one(mine, (5, 12), (15, 30))) == []


def test_a_box_is_cut_until_nobody_asks() -> None:
    box = next(everything(frozenset({"lan0"}), (17,)))

    assert isinstance(box.packet.source, FieldValues)
    assert box.one().source == (Range(0, 0),)
    assert box.route(box.packet.destination) != box.route(Range(7, 7))


# ---- the verb


def test_the_verb_says_what_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(BARE)

    assert verb.run(Options((str(tmp_path / "site.yaml"),))) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["packets", "leaks", "later", "sharing", "appending"]
    assert "31 subscribers" in lines[3]


def test_the_verb_answers_in_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(BARE)

    assert verb.run(Options((str(tmp_path / "site.yaml"),), format="json")) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["proved"] is True
    assert found["sharing"] == {"subscribers": 31, "found": []}
    assert found["packets"]["boxes"] > 50


def test_what_was_not_looked_at_is_not_proved(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(BARE)

    assert verb.run(Options((str(tmp_path / "site.yaml"),), most_boxes=10)) == 1
    assert "not proved: more than 10 boxes" in capsys.readouterr().err
    assert verb.run(Options((str(tmp_path / "site.yaml"),), most_boxes=10, format="json")) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "more than 10 boxes of packets"

    (tmp_path / "site.yaml").write_text("version: 2\n")
    assert verb.run(Options((str(tmp_path / "site.yaml"),), no_color=True)) == 1
    assert "error" in capsys.readouterr().err


HAIRPIN = BARE.replace("hairpin: off", "hairpin: on", 1)


@pytest.mark.parametrize(("bits", "number"), [(10, 0), (9, 5)])
def test_a_computed_port_beside_the_block_is_seen(bits: int, number: int) -> None:
    """Also one that a packet gets only where other sockets have the ports that are tried before."""
    done = site(HAIRPIN)

    def beside(chain: Chain) -> Chain:
        (rule, *rest) = chain.rules
        statements = list(rule.statements)
        at = [index for index, one in enumerate(statements) if isinstance(one, Mangle)][number]
        turned = statements[at]
        assert isinstance(turned, Mangle)
        assert isinstance(turned.value, Bitwise)
        statements[at] = turned._replace(value=turned.value._replace(xor=turned.value.xor ^ 4096))
        return chain._replace(rules=(rule._replace(statements=tuple(statements)), *rest))

    table = changed(done.table, f"candidates_homes_{bits}", beside)

    assert not proof.prove(done).different
    assert proof.prove(done._replace(table=table)).different


def test_a_written_source_that_nothing_translates_is_seen() -> None:
    """The global port is computed in the packet itself: what keeps it leaves with a forged source."""
    done = site(HAIRPIN)
    table = changed(
        done.table, "claimed_socket_homes", lambda chain: chain._replace(rules=(accepting(chain),))
    )

    assert proof.prove(done._replace(table=table)).different
