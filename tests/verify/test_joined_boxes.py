"""Boxes of which the site says the same are one, and what is said of each packet stays."""

from __future__ import annotations

from random import Random

import pytest

from nfcompile.verify.box import Box
from nfcompile.verify.chosen_values import CHOSEN
from nfcompile.verify.joined_boxes import joined
from nfcompile.verify.proof.agreement import fates
from nfcompile.verify.reference import Fate
from nfcompile.verify.walk import read
from support.sites import ROOT, site


def one_of(box: Box, dice: Random) -> Box:
    """A packet of a box."""
    drawn = []
    for value in box:
        if isinstance(value, frozenset):
            drawn.append(frozenset([dice.choice(sorted(value))]))
        elif isinstance(value, tuple):
            within = dice.choice(value)
            number = dice.choice((within.first, within.last))
            drawn.append((type(within)(number, number),))
        else:
            drawn.append(value)
    return Box(*drawn)


def holds(box: Box, packet: Box) -> bool:
    return all(
        one <= mine
        if isinstance(mine, frozenset)
        else any(part.first <= one[0].first <= part.last for part in mine)
        if isinstance(mine, tuple)
        else one == mine
        for mine, one in zip(box, packet, strict=True)
    )


def of_packet(packet: Box, fate: Fate) -> list[object]:
    """What a fate is for a packet of its box; what the kernel takes of a range is the range."""
    ends = fate.sources, fate.source_ports, fate.destinations, fate.destination_ports
    fixed = (one if getattr(one, "field", "") in CHOSEN else tuple(packet.confined(one)) for one in ends)
    return [fate.action, *fixed, fate.reason, fate.pool]


@pytest.mark.parametrize("name", ["examples/static", "examples/egress", "tests/golden/dnat-qualifiers"])
def test_every_packet_has_the_fate_that_it_had(name: str) -> None:
    done = site((ROOT / name / "site.yaml").read_text())
    dice = Random(3)
    said = list(fates(done, read(done.table)))

    fewer = joined(said)

    assert len(fewer) < len(said) * 0.8
    for box, fate in said:
        packet = one_of(box, dice)
        ((_, found),) = [(other, said_now) for other, said_now in fewer if holds(other, packet)]
        assert of_packet(packet, found) == of_packet(packet, fate)


def test_what_is_joined_cannot_be_joined_further() -> None:
    done = site((ROOT / "examples/static/site.yaml").read_text())
    fewer = joined(fates(done, read(done.table)))

    assert joined(fewer) == fewer
