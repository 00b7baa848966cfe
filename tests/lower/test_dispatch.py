"""Pools that are found by one look-up are the ones that are found one after the other."""

from pathlib import Path

import pytest

from nfcompile.lower import dispatch
from nfcompile.verify import proof
from support.sites import RULESETS, site

POOLED = [
    ruleset.parent
    for ruleset in RULESETS
    if "snat" in ruleset.read_text()
    and "chain pools" in ruleset.read_text()
    and ruleset.stat().st_size < 60_000
]


@pytest.mark.parametrize("case", POOLED, ids=lambda case: case.name)
def test_a_flat_ruleset_is_proved(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every golden with pools, as if it had many of them."""
    monkeypatch.setattr(dispatch, "FEW_POOLS", 0)
    done = site((case / "site.yaml").read_text())

    found = proof.prove(done)

    assert "@pools_by_source" in done.text.text
    assert not found.different
    assert not found.leaks
