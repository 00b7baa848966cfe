"""What keeps a pair from surviving a failover, and how it is reported."""

from __future__ import annotations

import pytest

from nfcompile.cli.ha import as_data
from nfcompile.cli.pair_metrics import PairCollected, families
from nfcompile.deploy.pair import NodeReport, PairReport, problems
from nfcompile.kernel import KernelError

MASTER = NodeReport("gw1", "master", "open", 1000, "a" * 64)
BACKUP = NodeReport("gw2", "backup", "closed", 990, "a" * 64)
CASES = [
    (MASTER, BACKUP, ""),
    (BACKUP, MASTER, ""),
    (MASTER, BACKUP._replace(sessions=801), ""),
    (MASTER, BACKUP._replace(sessions=799), "gw2 knows 799 of the 1000 connections of gw1"),
    (MASTER, None, "the peer does not answer on the sync link"),
    (MASTER, BACKUP._replace(sessions=None), "conntrackd does not answer on gw2"),
    (MASTER, BACKUP._replace(role="master"), "gw2 is master, and its gate is closed; both nodes are master"),
    (MASTER._replace(role="backup"), BACKUP, "gw1 is backup, and its gate is open; both nodes are backup"),
    (MASTER._replace(gate="closed"), BACKUP, "gw1 is master, and its gate is closed"),
    (MASTER, BACKUP._replace(gate="open"), "gw2 is backup, and its gate is open"),
    (MASTER, BACKUP._replace(gate="no table"), "no ruleset is loaded on gw2"),
    (MASTER, BACKUP._replace(site="b" * 64), "the nodes have different sites"),
]


@pytest.mark.parametrize(("own", "peer", "said"), CASES)
def test_why_a_pair_is_not_ready(own: NodeReport, peer: NodeReport | None, said: str) -> None:
    assert "; ".join(problems(own, peer)) == said


def test_the_json_form_has_what_the_contract_names() -> None:
    found = as_data(PairReport(MASTER, None, ("why",)))

    assert {"role", "gate", "sessions", "peer_sessions", "site", "peer_site", "ready"} <= set(found)
    assert (found["role"], found["peer_role"], found["ready"]) == ("master", None, False)


def test_metrics_of_a_pair() -> None:
    found = {
        (sample.name, sample.labels.get("node", "")): sample.value
        for family in families(PairReport(MASTER, BACKUP._replace(sessions=None), ()))
        for sample in family.samples
    }

    assert found == {
        ("nfcompile_pair_ready", ""): 1,
        ("nfcompile_pair_master", "gw1"): 1,
        ("nfcompile_pair_master", "gw2"): 0,
        ("nfcompile_pair_gate_open", "gw1"): 1,
        ("nfcompile_pair_gate_open", "gw2"): 0,
        ("nfcompile_pair_sessions", "gw1"): 1000,
    }


def test_a_kernel_that_cannot_be_asked_has_no_metrics() -> None:
    def refuse() -> PairReport:
        raise KernelError("no")

    assert list(PairCollected(refuse).collect()) == []
