"""npt pools: the reference, the walker and the proof of IPv6."""

from __future__ import annotations

import pytest

from nfcompile.emit import Chain
from nfcompile.emit.validate import InvalidTable
from nfcompile.pipeline import Compiled
from nfcompile.verify.proof.prefixes import prefixes
from support.random_prefixes import random_site
from support.sites import site


@pytest.mark.parametrize("seed", range(12))
def test_the_table_does_what_the_site_says(seed: int) -> None:
    found = list(prefixes(site(random_site(seed))))
    assert len(found) > 20
    assert not [one for one in found if not one.agree]


BOTH = """
interfaces: {inside: [lan0], outside: [wan0]}
pools:
  a: {type: npt, priority: 1, global_map: {"fd00:1::/48": "2001:db8:1::/48"}}
  b: {type: npt, priority: 2, stateless: on, global_map: {"fd00:2::/48": "2001:db8:2::/48"}}
  c: {type: npt, priority: 3, hairpin: off, global_map: {"fd00:3::/48": "2001:db8:3::/48"}}
"""


def without(compiled: Compiled, chain: str, word: int) -> Compiled:
    """The site with a table that lacks one rule."""
    assert compiled.npt is not None
    objects = tuple(
        one._replace(rules=one.rules[:word] + one.rules[word + 1 :])
        if isinstance(one, Chain) and str(one.name) == chain
        else one
        for one in compiled.npt.objects
    )
    return compiled._replace(npt=compiled.npt._replace(objects=objects))


def noticed(broken: Compiled) -> bool:
    try:
        return not all(one.agree for one in prefixes(broken))
    except InvalidTable:
        return True


def test_the_proof_notices_each_rule_that_is_missing() -> None:
    """All but the guard against local sources: only what connection tracking calls invalid gets there, and
    no first packet of a proof is (tests/kernel/test_npt.py sends one)."""
    whole = site(BOTH)
    assert whole.npt is not None
    chains = [one for one in whole.npt.objects if isinstance(one, Chain)]
    rules = [(str(chain.name), number) for chain in chains for number in range(len(chain.rules))]
    assert [one for one in rules if not noticed(without(whole, *one))] == [("npt_after_translation", 1)]
