"""`prove` of pools that compute ports: few boxes, which say as much as many."""

from __future__ import annotations

from typing import Any

import pytest

from nfcompile.emit import Map
from nfcompile.model.ranges import Range
from nfcompile.verify import proof
from nfcompile.verify.chosen_values import Blocks, DrawnBlocks, Scrambled, ShuffledNumber, either
from nfcompile.verify.proof import TooManyBoxes
from nfcompile.verify.proof.agreement import compared, fates
from nfcompile.verify.walk import read
from nfcompile.verify.walk.together import Together
from support.sites import ROOT, site

HOMES = """
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.113.0/30]}
"""


def with_elements(table: Any, word: str, change: Any) -> Any:
    """A table of which every map of such a name has other elements."""
    found = [one for one in table.objects if isinstance(one, Map) and word in str(one.name) and one.elements]
    assert found, word
    objects = tuple(
        one._replace(elements=tuple(change(one.elements))) if one in found else one for one in table.objects
    )
    return table._replace(objects=objects)


def test_candidates_and_blocks_cut_no_box() -> None:
    """A box for each of 128 blocks and each of 17 ends of the search made 15,908 of the packets."""
    found = proof.prove(site((ROOT / "examples" / "isp" / "site.yaml").read_text()))

    assert found.holds
    assert found.boxes < 1000
    assert found.sharing.subscribers == 4129


def test_one_port_for_all_is_not_the_port_of_each() -> None:
    """Boxes hold subscribers with different blocks: a port must lie in the block of each of them."""
    done = site(HOMES)
    program = read(done.table)
    several = [
        one
        for one in compared(program, list(fates(done, program)))
        if isinstance(one.fate.source_ports, Blocks)
    ]
    assert several
    assert all(one.agree for one in several)

    for one in several:
        (_, first), *_ = one.fate.source_ports.rows  # type: ignore[attr-defined]
        packet = one.outcome.packet._replace(source_port=Scrambled("source_port", 0, first.first))
        assert not one._replace(outcome=one.outcome._replace(packet=packet)).agree


def test_two_subscribers_whose_ports_are_swapped_are_seen() -> None:
    done = site(HOMES)

    def swapped(elements: Any) -> Any:
        ordered = sorted(elements, key=lambda one: one.key)
        first, *rest, last = ordered
        return [first._replace(data=last.data), *rest, last._replace(data=first.data)]

    table = with_elements(done.table, "pieces_homes", swapped)

    assert proof.prove(done._replace(table=table)).different


@pytest.mark.parametrize("most", [40, 200])
def test_the_bound_holds_for_all_ways_at_one_rule(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only for what comes out at the end: by then the work is done."""
    done = site((ROOT / "examples" / "isp" / "site.yaml").read_text())
    rule, at_once = Together.outcomes, []

    def outcomes(self: Together, one: Any, here: Any) -> Any:
        at_once.append(len(here))
        return rule(self, one, here)

    monkeypatch.setattr(Together, "outcomes", outcomes)
    with pytest.raises(TooManyBoxes, match=f"more than {most} boxes of packets"):
        proof.prove(done, most)
    assert max(at_once, default=0) <= most


SOURCES = Range(1, 4), Range(5, 8)
TURNED = Scrambled(
    "source_port", 0xFF, 0x400, 0x401, by=("source", ((SOURCES[0], 0x100), (SOURCES[1], 0x200)))
)


def test_a_port_is_turned_over_by_the_source() -> None:
    assert (TURNED.first, TURNED.last) == (0x500, 0x6FF)
    assert TURNED.ranges == Blocks.of(
        "source", [(SOURCES[0], Range(0x500, 0x5FF)), (SOURCES[1], Range(0x600, 0x6FF))]
    )
    assert TURNED.narrowed("source", (Range(5, 5),)) == Scrambled("source_port", 0xFF, 0x600, 0x601)
    assert TURNED.narrowed("source_port", (Range(7, 7),)).size == 0x102
    assert TURNED.turned(0xFFFF, 0x3).of[2] == (TURNED.of[2][0] ^ 3, TURNED.of[2][1] ^ 3)


def test_the_same_bits_for_all_sources_depend_on_none() -> None:
    same = Scrambled("source_port", 0xFF, 0x400, by=("source", ((SOURCES[0], 0x100), (SOURCES[1], 0x100))))

    assert same == Scrambled("source_port", 0xFF, 0x500)


def test_a_drawn_bit_stays_in_the_block_of_each_source() -> None:
    drawn = either(TURNED, TURNED.turned(0xFFFF, 0x80))

    assert isinstance(drawn, DrawnBlocks)
    assert drawn.rows == ((SOURCES[0], Range(0x500, 0x5FF)), (SOURCES[1], Range(0x600, 0x6FF)))
    assert drawn.narrowed((Range(1, 2),)) == ShuffledNumber(0x500, 0x5FF)
    assert drawn.changed(0xFFFF, 0x1000).last == 0x16FF
    assert either(Range(1, 2), TURNED) is None


def many(count: int) -> str:
    pools = [
        f"  p{at}: {{type: cgnat, acl: a{at}, priority: {at + 1}, global_ip: [203.0.{at}.0/30]}}"
        for at in range(count)
    ]
    acls = [f"  a{at}: {{10: allow ip 10.{at}.0.0/28}}" for at in range(count)]
    return "\n".join(["acls:", *acls, "pools:", *pools])


def test_later_packets_are_not_cut_by_every_pair_of_pools() -> None:
    """Renewal does not decide: 20 pools with their defaults made 30,457 boxes, and 40 made 109,377."""
    few, more = (proof.prove(site(many(count))) for count in (6, 12))

    assert few.holds
    assert more.holds
    assert more.later_boxes < 2 * few.later_boxes
