"""What `host apply` writes down: read again as it was, and never taken for something else."""

import json

import pytest

from nfcompile.host import ledger
from nfcompile.host.ledger import Ledger
from nfcompile.host.steps import (
    KINDS,
    AddAddress,
    AddLocalRoute,
    AddMarkRoute,
    AddRule,
    LoadModule,
    SetMtu,
    SetSysctl,
    WriteLldp,
)
from nfcompile.kernel import KernelError

STEPS = (
    AddAddress(1, "wan0"),
    AddLocalRoute(4, 7),
    AddMarkRoute(8, 15, "lan0.101", 101),
    AddRule(101),
    SetMtu("lan0", 1500, 9000),
    SetSysctl("net.ipv4.ip_forward", 0, 1, (("net.ipv4.conf.all.accept_redirects", 1),)),
    LoadModule("nf_nat_ftp"),
    WriteLldp(None, 'configure system hostname "gw"\n'),
)


def test_every_step_comes_back(tmp_path):
    assert {type(step) for step in STEPS} == set(KINDS)

    whole = Ledger("boot/1", STEPS, {7: STEPS[:2], 12: ()})

    ledger.write(str(tmp_path), whole)

    assert ledger.read(str(tmp_path), "boot/1") == whole


def test_another_boot_has_forgotten_all_but_the_file(tmp_path):
    ledger.write(str(tmp_path), Ledger("boot/1", STEPS, {7: STEPS}))

    assert ledger.read(str(tmp_path), "boot/2") == Ledger("boot/2", (STEPS[-1],))


def test_without_steps_there_is_no_file(tmp_path):
    ledger.write(str(tmp_path), Ledger("boot/1", STEPS))
    ledger.write(str(tmp_path), Ledger("boot/1"))

    assert list(tmp_path.iterdir()) == []
    assert ledger.read(str(tmp_path), "boot/1") == Ledger("boot/1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"identity": "b"}', '{"identity": "b", "steps": []}'),
        '{"identity": "b", "steps": [{"step": "Rm"}], "before": {}}',
        '{"identity": "b", "steps": [], "before": {"one": []}}',
        '{"identity": "b", "steps": [], "before": 1}',
        json.dumps({"identity": "b", "steps": [{"step": "AddRule"}], "before": {}}),
    ],
)
def test_what_is_damaged_is_refused(tmp_path, text):
    (tmp_path / "host.json").write_text(text)

    with pytest.raises(KernelError, match=r"host\.json' is damaged"):
        ledger.read(str(tmp_path), "b")


def test_of_two_changes_of_one_value_the_first_and_the_last_remain():
    first = SetSysctl("a", 1, 2, (("b", 7),))
    assert ledger.joined((first, STEPS[0]), (SetSysctl("a", 2, 3), STEPS[0], STEPS[1])) == (
        *(SetSysctl("a", 1, 3, (("b", 7),)), STEPS[0], STEPS[1]),
    )
    assert ledger.joined((WriteLldp(None, "x"),), (WriteLldp("x", "y"),)) == (WriteLldp(None, "y"),)
