"""What `explain` says of IPv6 is what the reference says, for packets at every edge of random sites."""

from __future__ import annotations

from random import Random

import pytest

from nfcompile.model.ranges import ipv6_text
from nfcompile.pipeline import Compiled
from nfcompile.verify import npt_reference
from nfcompile.verify.explain import Question, explain_prefixes
from nfcompile.verify.walk import Packet, one
from support.random_prefixes import random_site
from support.sites import site


def addresses(compiled: Compiled, dice: Random) -> list[int]:
    """The first, a middle and the last address of each prefix, and their neighbours outside of it."""
    prefixes = [
        side.range for pool in compiled.site.npt for pair in pool.pairs for side in (pair.local, pair.globals)
    ]
    edges = [at for low, high in prefixes for at in (low - 1, low, dice.randint(low, high), high, high + 1)]
    return [*edges, 1 << 125]


@pytest.mark.parametrize("seed", range(6))
def test_explain_and_the_reference_agree(seed: int) -> None:
    compiled, dice = site(random_site(seed)), Random(seed)
    gate, found = npt_reference.prefix_gateway(compiled.site), addresses(compiled, dice)
    translated = 0
    for _ in range(300):
        source, destination = dice.choice(found), dice.choice(found)
        came, left = dice.choice(("lan0", "wan0", "tun0")), dice.choice(("lan0", "wan0", "tun0"))
        packet = Packet(came, 17, one(source), one(1000), one(destination), one(53))
        fate = npt_reference.fate(gate, packet, lambda address, out=left: out)
        said = explain_prefixes(
            compiled,
            Question(17, source, destination, 1000, 53, came, is_ipv6=True),
            lambda address, out=left: out,
        )

        assert (said.action == "drop") == (fate.action == "drop"), (
            came,
            left,
            ipv6_text(source),
            ipv6_text(destination),
        )
        if fate.action == "drop":
            continue
        ends = fate.sources.first, fate.destinations.first
        assert said.to == f"[{ipv6_text(ends[1])}]:53"
        assert (said.action == "translate") == (ends != (source, destination))
        if said.action == "translate":
            translated += 1
            assert said.pool == fate.pool
            outward = ends[0] != source
            assert said.global_ip == ipv6_text(ends[0] if outward else destination)
            assert said.subscriber == ipv6_text(source if outward else ends[1])
    assert translated > 10
