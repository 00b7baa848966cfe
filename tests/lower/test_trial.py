"""What a new connection of a subscriber looks up for the trials of others."""

from __future__ import annotations

from nfcompile.emit import Chain
from support.sites import site

POOL = """
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, allocation: dynamic, hairpin: off,
          global_ip: [203.0.113.0/29]}
"""


def test_one_that_has_been_answered_looks_nothing_up() -> None:
    """Its number is found by the first rule, in a map without what is on trial."""
    compiled = site(POOL)
    chains = {str(one.name): one for one in compiled.table.objects if isinstance(one, Chain)}
    spelled = {name: [repr(rule) for rule in chain.rules] for name, chain in chains.items()}

    assert "assigned" in spelled["slot1_homes"][0]
    for name in ("translate_homes", "slots_homes", "known1_homes"):
        assert not [rule for rule in spelled[name] if "ontrial" in rule], name
