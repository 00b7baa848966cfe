"""The gate of a pair is a step of the picture, in both directions."""

from __future__ import annotations

from nfcompile.graph.way import way
from support.sites import GOOD, ROOT, site


def gates(text: str) -> list[int]:
    """How many gates each direction has."""
    compiled = site(text)
    flows = way(compiled.site, compiled.allocations).flows
    return [sum(step.box.title.startswith("gate of pair") for step in flow.steps) for flow in flows]


def test_only_a_pair_has_a_gate() -> None:
    assert gates((ROOT / "tests" / "golden" / "pair-two-nodes" / "site.yaml").read_text()) == [1, 1]
    assert gates(GOOD) == [0, 0]
