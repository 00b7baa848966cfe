"""A pair with real keepalived and conntrackd, changed by the rollout while subscribers' packets pass."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller, script

from support.pair_lab import ALL_KINDS, BIN, NODES, PairLab, in_namespace

ASK = """\
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    link.bind(("100.64.7.1", 0))
    link.settimeout(1)
    for _ in range(10):
        link.sendto(b"hello", ("192.0.2.10", 7000))
        try:
            seen = link.recv(100).decode().split()[0]
        except TimeoutError:
            continue
        sys.exit(seen != sys.argv[1] and f"seen as {seen}, not as {sys.argv[1]}")
sys.exit("no answer")
"""
"""What a subscriber's packet is seen as by the Internet: what an operator would ask."""
RULE = "  lines: {type: static, priority: 50, global_map: {100.64.5.0/28: 203.0.113.64/28}}\n"
MORE = RULE + "  more: {type: static, priority: 51, global_map: {100.64.7.0/28: 203.0.113.96/28}}\n"
SEEN, UNTRUE = "203.0.113.97", "203.0.113.98"


@pytest.fixture
def lab(tmp_path: Path, controller: Controller) -> Iterator[PairLab]:
    with PairLab(tmp_path, ALL_KINDS).up() as made:
        for node in NODES:
            command = made.of_node(node, str(BIN / "nfcompile"))
            script(tmp_path / node / "nfcompile", *command, environment=made.environment(node))
        folder = f"{tmp_path}/{{{{ inventory_hostname }}}}"
        controller.inventory(
            made.site,
            {
                "nfcompile_executable": f"{folder}/nfcompile",
                "nfcompile_root": f"{folder}/root",
                "nfcompile_services": False,
            },
        )
        yield made


@pytest.fixture
def changed(lab: PairLab) -> Path:
    """The site with one more pool."""
    file = lab.folder / "changed.yaml"
    file.write_text(lab.site.read_text().replace(RULE, MORE))
    return file


def packets(lab: PairLab, seen: str) -> str:
    """The operator's test as an option of the playbook."""
    (lab.folder / "ask.py").write_text(ASK)
    test = script(
        lab.folder / f"test-{seen}",
        "ip", "netns", "exec", "inner", sys.executable, "-P", str(lab.folder / "ask.py"), seen,
    )  # fmt: skip
    return f"nfcompile_test={test}"


def has_pool(lab: PairLab, node: str) -> bool:
    return "pool_more" in in_namespace(node, "nft", "list", "table", "ip", "nfcompile")


def results(lab: PairLab, node: str) -> list[str]:
    """The ends of all changes of a node, the oldest first."""
    events = json.loads(lab.nfcompile(node, "history", "--format", "json"))["events"]
    return [one["result"] for one in events if one["result"] != "loading"]


def test_a_change_is_tried_tested_and_kept_on_both_nodes_and_a_second_run_changes_nothing(
    lab: PairLab, controller: Controller, changed: Path
) -> None:
    shown = controller.play("rollout", changed, "-e", packets(lab, SEEN), "--check", "--diff")
    assert shown.code == 0, shown.text
    assert "+" in shown.text
    assert "pool_more" in shown.text
    assert shown.hosts["gw1"]["changed"] > 0
    assert not any(has_pool(lab, node) or (lab.folder / node / "root").exists() for node in NODES)
    assert [results(lab, node) for node in NODES] == [["applied"], ["applied"]]

    done = controller.play("rollout", changed, "-e", packets(lab, SEEN))
    assert done.code == 0, done.text
    assert [has_pool(lab, node) for node in NODES] == [True, True]
    assert [results(lab, node)[-2:] for node in NODES] == [["trial", "confirmed"]] * 2
    for node in NODES:
        installed = lab.folder / node / "root/etc/nfcompile/site.yaml"
        assert installed.read_bytes() == changed.read_bytes()
        assert os.access(lab.folder / node / "root/etc/keepalived/nfcompile-notify", os.X_OK)
    assert lab.status("gw1")["ready"]

    again = controller.play("rollout", changed, "-e", packets(lab, SEEN))
    assert (again.code, again.total("changed")) == (0, 0), again.text


def test_packets_that_fail_take_both_nodes_back(lab: PairLab, controller: Controller, changed: Path) -> None:
    done = controller.play("rollout", changed, "-e", packets(lab, UNTRUE))

    assert done.code != 0
    assert f"seen as {SEEN}, not as {UNTRUE}" in done.text
    assert "rolled back; not passed: gw1, gw2" in done.text
    assert not any(has_pool(lab, node) for node in NODES)
    assert [results(lab, node)[-2:] for node in NODES] == [["trial", "reverted"]] * 2
    assert lab.status("gw1")["ready"]


def test_a_test_that_fails_for_one_node_takes_both_back(
    lab: PairLab, controller: Controller, changed: Path
) -> None:
    test = script(lab.folder / "one", "sh", "-c", 'test "$NFCOMPILE_NODE $NFCOMPILE_PAIR" = "gw1 east"')
    done = controller.play("rollout", changed, "-e", f"nfcompile_test={test}")

    assert done.code != 0
    assert "rolled back; not passed: gw2" in done.text
    assert not any(has_pool(lab, node) for node in NODES)


def test_both_nodes_go_back_by_themselves_where_the_controller_is_killed(
    lab: PairLab, controller: Controller, changed: Path
) -> None:
    test = script(lab.folder / "slow", "sleep", "600")
    words = ("-e", f"nfcompile_test={test}", "-e", "nfcompile_trial_seconds=20")
    running = subprocess.Popen(
        controller.command("rollout", changed, *words), env=controller.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    lab.wait(lambda: all(results(lab, node)[-1] == "trial" for node in NODES), "both are on trial", 60)
    assert all(has_pool(lab, node) for node in NODES)

    os.killpg(running.pid, signal.SIGKILL)
    running.wait()

    lab.wait(lambda: not any(has_pool(lab, node) for node in NODES), "both have gone back", 60)
    time.sleep(0.5)
    assert [results(lab, node)[-2:] for node in NODES] == [["trial", "reverted"]] * 2


def test_a_node_is_not_changed_without_its_peer(lab: PairLab, controller: Controller, changed: Path) -> None:
    done = controller.play("rollout", changed, "-e", packets(lab, SEEN), "--limit", "gw1")
    assert done.code != 0
    assert "go together" in done.text
    assert [results(lab, node) for node in NODES] == [["applied"], ["applied"]]
