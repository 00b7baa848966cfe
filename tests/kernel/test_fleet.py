"""A fleet's site on one of its nodes: the history knows which node it is, so nothing else has to be told."""

from __future__ import annotations

import json

from nfcompile.records import store
from support.operator import Operator

FLEET = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nodes: {gw-one: {}, gw-two: {}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    hairpin: off
    global_ip: {gw-one: [203.0.113.0/30], gw-two: [198.51.100.0/30]}
    subscribers: {gw-one: [100.64.0.0/27], gw-two: [100.64.0.32/27]}
"""
CHANGED = FLEET.replace("hairpin: off", "hairpin: off\n    connection_logging: off")


def addresses(operator: Operator) -> set[str]:
    listed = operator.gateway.nft("list", "set", "ip", "nfcompile", "global_addresses")
    return {one for one in ("203.0.113.0/30", "198.51.100.0/30") if one in listed}


def test_trial_and_rollback_go_back_to_the_site_of_the_node(operator: Operator) -> None:
    operator.applies(FLEET, "--node", "gw-two")
    assert addresses(operator) == {"198.51.100.0/30"}

    operator.applies(CHANGED, "--node", "gw-two", "--confirm", "2")
    operator.waits(lambda: operator.results() == ["applied", "trial", "reverted"])
    assert addresses(operator) == {"198.51.100.0/30"}

    operator.applies(CHANGED, "--node", "gw-two")
    operator.must("rollback", "--yes")
    assert addresses(operator) == {"198.51.100.0/30"}
    assert {one.node for one in store.read(operator.path).events} == {"gw-two"}


def test_boot_and_lookup_by_time_know_the_node(operator: Operator) -> None:
    operator.applies(FLEET, "--node", "gw-two")
    operator.gateway.nft("flush", "ruleset")

    operator.must("boot")
    assert addresses(operator) == {"198.51.100.0/30"}

    now = store.now()
    found = operator.must("lookup", "198.51.100.0:1100", "--at", now, "--format", "json")
    assert json.loads(found.stdout)["subscriber"] == "100.64.0.32"
    assert operator.does("lookup", "203.0.113.0:1100", "--at", now).returncode == 1


def test_a_node_that_is_none_is_refused_before_anything_happens(operator: Operator) -> None:
    refused = operator.does("apply", "-", "--node", "gw-three", site=FLEET)

    assert refused.returncode == 2
    assert "it has gw-one, gw-two" in refused.stderr
    assert "several nodes" in operator.does("apply", "-", site=FLEET).stderr
    assert operator.results() == []
