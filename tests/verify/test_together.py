"""A box walked as one: what is found for its parts is what a walk of each part alone would find."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.emit.expressions import FIELDS
from nfcompile.model.ranges import Range, intersect
from nfcompile.verify import reference, reference_rules
from nfcompile.verify.candidates import FirstMatch
from nfcompile.verify.chosen_values import Blocks
from nfcompile.verify.field_values import Split
from nfcompile.verify.narrowing import narrowed_range
from nfcompile.verify.proof.agreement import agrees, compared, fates
from nfcompile.verify.walk import read, walk
from nfcompile.verify.walk.packet import VALUES
from nfcompile.verify.walk.reads import CONSTANT, WHERE
from support.random_sites import random_sites
from support.sites import site

SITES = 12


@pytest.mark.parametrize("number", range(SITES))
def test_a_packet_of_a_box_goes_as_the_box_goes(number: int) -> None:
    """One packet of each box, walked alone from the start."""
    (*_, drawn) = random_sites(number + 1, "together")
    compiled = drawn.compiled
    program = read(compiled.table)
    boxes = list(compared(program, fates(compiled, program)))
    for one in Random(number).sample(boxes, min(60, len(boxes))):
        packet = one.box.one()
        verdicts = {outcome.verdict for outcome in walk(program, packet.packet, packet.route)}

        assert one.outcome.verdict in verdicts, (drawn.name, one.box)


def test_every_field_is_read_somewhere() -> None:
    """A field that `reads` forgot would put packets together that a rule can tell apart."""
    assert set(WHERE) | CONSTANT == set(FIELDS) - {"ct event"}
    assert set(VALUES) <= set(WHERE) | CONSTANT


def test_packets_that_a_rule_tells_apart_stay_apart() -> None:
    """Two pools whose subscribers look the same to every rule but the maps."""
    text = """
acls: {a: {10: allow ip 10.0.0.0/28}, b: {10: allow ip 10.0.1.0/28}}
pools:
  a: {type: nat, acl: a, priority: 1, allocation: deterministic, hairpin: off, global_ip: [203.0.0.0/28]}
  b: {type: nat, acl: b, priority: 2, allocation: deterministic, hairpin: off, global_ip: [203.0.1.0/28]}
"""
    compiled = site(text)
    program = read(compiled.table)
    left = {
        (one.fate.pool, str(one.outcome.packet.source), agrees(one.outcome, one.fate))
        for one in compared(program, fates(compiled, program))
        if one.fate.pool and one.outcome.verdict == "accept"
    }

    assert {pool for pool, _, _ in left} == {"a", "b"}
    assert len({source for _, source, _ in left}) == 2
    assert all(agree for _, _, agree in left)


numbers = st.integers(0, 40)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[Range, Range]]:
    edges = sorted(draw(st.sets(numbers, min_size=2, max_size=8)))
    stretches = [Range(a, b - 1) for a, b in pairwise(edges)]
    return [(one, Range(*sorted((draw(numbers), draw(numbers))))) for one in stretches]


@given(rows(), numbers, numbers)
def test_blocks_of_some_values_are_the_blocks_of_those(
    found: list[tuple[Range, Range]], first: int, last: int
) -> None:
    kept = (Range(min(first, last), max(first, last)),)
    there = [(one, ports) for where, ports in found for one in intersect((where,), kept)]
    if there:
        assert narrowed_range(Blocks.of("x", found), "x", kept) == Blocks.of("x", there)


def test_blocks_that_lie_on_both_sides_cut_the_box() -> None:
    ports = Blocks.of("x", [(Range(0, 3), Range(10, 19)), (Range(4, 7), Range(20, 29))])
    assert isinstance(ports, Blocks)
    with pytest.raises(Split) as cut:
        ports.within(Range(10, 19))

    assert set(cut.value.values) == {(Range(0, 3),), (Range(4, 7),)}
    assert ports.within(Range(10, 29)) is True
    assert ports.within(Range(30, 39)) is False
    assert Blocks.of("x", [(Range(0, 3), Range(1, 2)), (Range(4, 7), Range(1, 2))]) == Range(1, 2)


RULES = (
    *("deny ip 10.0.0.0/29", "allow tcp 10.0.0.0/28 198.18.0.0/24", "deny ip any 198.18.0.0/25"),
    *("allow ip 10.0.0.0/24 198.18.0.0/16", "allow udp src any dst any dport 53", "deny ip 10.0.0.4/32"),
    *("allow ip any", "deny icmp any", "allow ip 10.0.0.0-10.0.0.9 198.18.0.128/25"),
)


@given(st.lists(st.sampled_from(RULES), max_size=6), st.data())
def test_rules_by_source_and_destination_are_the_rules_one_by_one(
    texts: list[str], data: st.DataObject
) -> None:
    lines = "".join(f"    {number}: {text}\n" for number, text in enumerate(texts, 1))
    pool = "pools: {p: {type: fake, priority: 1, acl: a}}\n"
    compiled = site(f"acls:\n  a:\n{lines}{pool}" if texts else "")
    rules = compiled.site.acls[0].rules if texts else ()
    source = data.draw(st.integers(0x0A000000, 0x0A000010))
    destination = data.draw(st.sampled_from((0xC6120000, 0xC6120080, 0xC6130000, 1)))
    probe = reference.Packet(
        "lan0", data.draw(st.sampled_from((1, 6, 17))), *(Range(v, v) for v in (source, 9, destination, 53))
    )
    plain = next((rule.allow for rule in rules if reference_rules.hits(compiled.site, rule, probe)), None)

    assert reference_rules.first_hit(compiled.site, FirstMatch(rules), probe) is plain
