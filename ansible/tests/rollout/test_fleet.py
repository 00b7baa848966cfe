"""Two pairs and a gateway that stands alone, from nothing: what is installed, and how far a rollout goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller, Outcome, script

from support.pair_lab import BIN, in_namespace, inside, run

NODES = ("alone-1", "east-1", "west-1", "east-2", "west-2")
"""In the order of the site: pairs are mixed, as operators write them."""
SITE = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
pairs:
  west: {virtual: {lan0: [100.127.1.1/24], wan0: [192.0.2.18/28]}}
  east: {virtual: {lan0: [100.127.0.1/24], wan0: [192.0.2.2/28]}}
nodes:
  alone-1: {interfaces: {inside: [lan0], outside: [wan0]}}
  east-1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
           addresses: {lan0: 100.127.0.2/24, wan0: 192.0.2.3/28}}
  west-1: {pair: west, priority: 150, sync: {interface: sync0, address: 10.255.1.1},
           addresses: {lan0: 100.127.1.2/24, wan0: 192.0.2.19/28}}
  east-2: {pair: east, sync: {interface: sync0, address: 10.255.0.2},
           addresses: {lan0: 100.127.0.3/24, wan0: 192.0.2.4/28}}
  west-2: {pair: west, sync: {interface: sync0, address: 10.255.1.2},
           addresses: {lan0: 100.127.1.3/24, wan0: 192.0.2.20/28}}
acls: {homes: {10: allow ip 100.64.0.0/10}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: {east: [203.0.113.0/27], west: [203.0.113.32/27], alone-1: [203.0.113.64/27]}
    subscribers: {east: [100.64.0.0/24], west: [100.64.1.0/24], alone-1: [100.64.2.0/24]}
"""
MORE = "  lines: {type: static, priority: 50, global_map: {100.64.5.0/28: 198.51.100.0/28}}\n"
KEPT = ["trial", "confirmed"]
"""The history of a site that was applied together with the host's half."""
LINKS = "for i in lan wan sync; do ip link add ${i}0 type veth peer name ${i}1; ip link set ${i}0 up; done"
PAIRED = "etc/keepalived/keepalived.conf"


class Fleet:
    """The gateways as namespaces, each with its own state directory and its own `/etc`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site.yaml"
        self.site.write_text(SITE)
        self.changed = folder / "changed.yaml"
        self.changed.write_text(SITE + MORE)

    def build(self) -> None:
        for node in NODES:
            run("ip", "netns", "add", node)
            inside(node, LINKS)
            (self.folder / node).mkdir()
            script(
                self.folder / node / "nfcompile",
                "ip", "netns", "exec", node, str(BIN / "nfcompile"),
                environment={"NFCOMPILE_STATE_DIR": str(self.folder / node / "state")},
            )  # fmt: skip

    def remove(self) -> None:
        for node in set(NODES) & set(in_namespace("", "ip", "netns", "list").split()):
            run("ip", "netns", "del", node)

    def installed(self, node: str) -> set[str]:
        root = self.folder / node / "root"
        return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}

    def pools(self, node: str) -> set[str]:
        listed = in_namespace(node, "nft", "list", "table", "ip", "nfcompile")
        return {pool for pool in ("homes", "lines") if f"pool_{pool}" in listed}

    def results(self, node: str) -> list[str]:
        done = subprocess.run(
            [self.folder / node / "nfcompile", "history", "--format", "json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [one["result"] for one in json.loads(done.stdout)["events"] if one["result"] != "loading"]


@pytest.fixture
def fleet(tmp_path: Path, controller: Controller) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    try:
        made.build()
        folder = f"{tmp_path}/{{{{ inventory_hostname }}}}"
        controller.inventory(
            made.site,
            {
                "nfcompile_executable": f"{folder}/nfcompile",
                "nfcompile_root": f"{folder}/root",
                "nfcompile_packages": [],
                "nfcompile_pair_packages": [],
                "nfcompile_services": False,
                # A node with this file cannot be reached.
                "ansible_connection": f"{{{{ 'ssh' if lookup('fileglob', '{folder}/away') else 'local' }}}}",
                "ansible_host": "127.0.0.1",
                "ansible_port": 9,
            },
        )
        yield made
    finally:
        made.remove()


def passes(fleet: Fleet, condition: str) -> str:
    """A test of the operator that is a condition of the shell."""
    return f"nfcompile_test={script(fleet.folder / 'test', 'sh', '-c', condition)}"


def good(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.text
    return outcome


def test_the_inventory_has_pairs_one_after_the_other(fleet: Fleet, controller: Controller) -> None:
    inventory = str(controller.folder / "fleet.nfcompile.yaml")
    found = controller.ask("ansible-inventory", "-i", inventory, "--list")

    assert found["nfcompile"]["hosts"] == ["east-1", "east-2", "west-1", "west-2", "alone-1"]
    assert found["pair_east"]["hosts"] == ["east-1", "east-2"]
    known = found["_meta"]["hostvars"]
    assert known["west-2"]["nfcompile_members"] == [{"__ansible_unsafe": f"west-{n}"} for n in (1, 2)]
    assert known["alone-1"]["nfcompile_members"] == [{"__ansible_unsafe": "alone-1"}]
    assert (known["east-1"]["nfcompile_priority"], known["east-2"]["nfcompile_priority"]) == (150, 100)


def test_a_name_that_ansible_reads_otherwise_is_refused(fleet: Fleet, controller: Controller) -> None:
    fleet.site.write_text(SITE.replace("alone-1:", "on:"))
    shown = controller.play("rollout", fleet.site)
    assert "quote the name that Ansible reads as True" in shown.text
    assert shown.hosts == {}


def test_gateways_are_made_of_nothing_and_a_failing_pair_keeps_the_rollout_from_the_next_one(
    fleet: Fleet, controller: Controller
) -> None:
    good(controller.play("install", fleet.site))
    assert [fleet.pools(node) for node in NODES] == [{"homes"}] * len(NODES)
    assert [PAIRED in fleet.installed(node) for node in NODES] == [False, True, True, True, True]
    again = good(controller.play("install", fleet.site))
    assert again.total("changed") == 0, again.text

    east_fails = passes(fleet, '[ "$NFCOMPILE_NODE" != east-2 ]')
    failed = controller.play("rollout", fleet.changed, "-e", east_fails)
    assert failed.code != 0
    assert set(failed.hosts) == {"east-1", "east-2"}, "the next pair was touched"
    assert [fleet.results(node) for node in ("east-1", "east-2")] == [[*KEPT, "trial", "reverted"]] * 2
    assert [fleet.pools(node) for node in NODES] == [{"homes"}] * len(NODES)
    assert [fleet.results(node) for node in ("west-1", "west-2", "alone-1")] == [KEPT] * 3
    assert all((fleet.folder / node / "root/etc/nfcompile/site.yaml").read_text() == SITE for node in NODES)

    one_in_ten = ("-e", "nfcompile_serial=10", "-e", "nfcompile_max_fail_percentage=50")
    most = controller.play("rollout", fleet.changed, "-e", east_fails, *one_in_ten)
    assert most.code != 0
    assert [fleet.pools(node) for node in NODES] == [
        {"homes"} if node.startswith("east") else {"homes", "lines"} for node in NODES
    ]

    done = good(controller.play("rollout", fleet.changed, "-e", passes(fleet, "true")))
    assert [fleet.pools(node) for node in NODES] == [{"homes", "lines"}] * len(NODES)
    assert done.hosts["west-1"]["changed"] == 0
    assert done.hosts["east-1"]["changed"] > 0


def test_a_node_that_answers_no_more_takes_its_peer_back_at_once(
    fleet: Fleet, controller: Controller
) -> None:
    good(controller.play("install", fleet.site, "--limit", "pair_east"))
    away = fleet.folder / "east-2/away"
    test = passes(fleet, f"touch {away}")

    failed = controller.play("rollout", fleet.changed, "-e", test, "--limit", "pair_east")

    assert failed.code != 0
    assert "rolled back; not passed: east-2" in failed.text
    assert fleet.results("east-1") == [*KEPT, "trial", "reverted"]
    assert fleet.results("east-2") == [*KEPT, "trial"]

    wrong = fleet.folder / "wrong.yaml"
    wrong.write_text(SITE.replace("type: cgnat", "type: cgnit"))
    refused = controller.play("rollout", wrong, "-e", test, "--limit", "east-1,east-2")
    assert refused.code != 0
    assert "<stdin>:19: error:" in refused.text

    again = controller.play("rollout", fleet.changed, "-e", test, "--limit", "pair_east")
    assert "not ready: east-2" in again.text
    assert fleet.results("east-1") == [*KEPT, "trial", "reverted"]


SYSTEMCTL = """\
#!/bin/sh
# systemctl for the role: it remembers what is enabled and what runs, and writes down what it is told to do.
verb=$1 unit=$2
case $verb in
show)
    echo LoadState=loaded
    [ -e "$DIR/$unit.active" ] && echo ActiveState=active || echo ActiveState=inactive
    exit ;;
is-enabled) [ -e "$DIR/$unit.enabled" ] && echo enabled && exit; echo disabled; exit 1 ;;
is-active) [ -e "$DIR/$unit.active" ] && echo active && exit; echo inactive; exit 3 ;;
enable) touch "$DIR/$unit.enabled" ;;
start | restart | reload) touch "$DIR/$unit.active" ;;
esac
echo "$verb${unit:+ $unit}" >>"$DIR/done"
"""


def test_units_are_started_in_order_and_only_what_has_a_new_file_reads_it(
    fleet: Fleet, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd itself does not run in a namespace: its command is a stand-in."""
    stand_in = fleet.folder / "bin"
    stand_in.mkdir()
    (stand_in / "systemctl").write_text(SYSTEMCTL.replace("$DIR", str(stand_in)))
    (stand_in / "systemctl").chmod(0o755)
    path = f"{stand_in}:{controller.environment['PATH']}"
    monkeypatch.setitem(controller.environment, "PATH", path)

    def told(site: str) -> list[str]:
        fleet.site.write_text(site)
        services = ("--limit", "east-1", "-e", '{"nfcompile_services": true}')
        good(controller.play("install", fleet.site, *services))
        said = stand_in / "done"
        found = said.read_text().splitlines() if said.exists() else []
        said.unlink(missing_ok=True)
        return found

    first = told(SITE)
    assert first[0] == "daemon-reload"
    started = [line.split()[1] for line in first if line.startswith(("start", "restart", "reload"))]
    assert started.index("conntrackd.service") < started.index("keepalived.service")
    enabled = {line.split()[1] for line in first if line.startswith("enable")}
    units = {"nfcompile", "nfcompile-ha", "conntrackd", "keepalived"}
    assert enabled == {f"{unit}.service" for unit in units}

    assert told(SITE) == []
    assert told(SITE + MORE) == [], "a pool concerns no daemon"
    faster = SITE.replace("wan0: [192.0.2.2/28]}", "wan0: [192.0.2.2/28]}, advert: 0.5")
    assert told(faster) == ["reload keepalived.service"]


def test_files_that_the_site_needs_no_more_are_taken_away(fleet: Fleet, controller: Controller) -> None:
    timer = "etc/systemd/system/nfcompile-ha-copy.timer"
    dynamic = fleet.folder / "dynamic.yaml"
    dynamic.write_text(SITE + "    allocation: dynamic\n")
    own = fleet.folder / "east-1/root/etc/nfcompile/own.conf"
    own.parent.mkdir(parents=True)
    own.write_text("the operator's\n")

    folder = fleet.folder / "east-1"
    words = {"root": str(folder / "root"), "executable": str(folder / "nfcompile"), "node": "east-1"}
    assert timer in controller.module("bundle", "east-1", src=str(dynamic), **words)["files"]
    assert timer in fleet.installed("east-1")
    done = controller.module("bundle", "east-1", src=str(fleet.site), **words)
    assert timer in done["removed"]
    assert timer not in fleet.installed("east-1")
    assert own.exists()


def test_what_is_confirmed_is_this_site_and_still_live(fleet: Fleet, controller: Controller) -> None:
    """A trial that is over, and another one, are no success of `confirmed`."""
    known = {"executable": str(fleet.folder / "alone-1/nfcompile"), "node": "alone-1"}
    site, changed = known | {"src": str(fleet.site)}, known | {"src": str(fleet.changed)}
    assert controller.module("site", "alone-1", state="applied", **site)["changed"]
    assert controller.module("site", "alone-1", state="on_trial", **changed)["on_trial"]

    assert "is not this site" in controller.module("site", "alone-1", state="confirmed", **site)["msg"]
    assert fleet.results("alone-1")[-1] == "trial"
    assert controller.module("site", "alone-1", state="rolled_back", **known)["changed"]
    assert not controller.module("site", "alone-1", state="rolled_back", **known)["changed"]
    assert "is not this site" in controller.module("site", "alone-1", state="confirmed", **changed)["msg"]
    kept = controller.module("site", "alone-1", state="confirmed", **site)
    assert not kept["changed"]
    assert "msg" not in kept
    moving = SITE.replace("203.0.113.64/27", "203.0.113.96/27")
    few = {"state": "on_trial", "max_moves": 3}
    assert "subscribers" in controller.module("site", "alone-1", content=moving, **few, **known)["msg"]
    assert fleet.results("alone-1")[-1] == "reverted"
    wrong = SITE.replace("type: cgnat", "type: cgnit")
    refused = controller.module("site", "alone-1", state="checked", content=wrong, **known)
    assert "<stdin>:19: error:" in refused["msg"]
