"""`apply --host`: the ruleset and the host's half become live together, and go back together."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from nfcompile.deploy import both_halves
from nfcompile.deploy.site_file import SiteFile
from nfcompile.host import doing
from nfcompile.host.planning import plan
from nfcompile.host.steps import Step
from nfcompile.kernel import KernelError
from nfcompile.pipeline import Compiled, compile_site, parse
from nfcompile.records import store
from support.bare_gateway import LINKS, Namespace
from support.command import nfcompile
from support.waiting import until

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
gateway: {secondary_ips: [192.0.2.10]}
nat_defaults: {timeouts_inactivity: {icmp: 41}}
acls: {home: {10: allow ip 100.64.0.0/25}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30], hairpin: off}
"""
OTHER = SITE.replace("icmp: 41", "icmp: 77").replace("192.0.2.10", "192.0.2.11")
ICMP = "net.netfilter.nf_conntrack_icmp_timeout"
UDP = "net.netfilter.nf_conntrack_udp_timeout"


class Gateway:
    """A namespace with links, and a state directory of its own."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self.folder = namespace, folder

    def run(self, *command: str, text: str | None = None) -> str:
        done = nfcompile(program=["nsenter", f"--net={self.namespace.path}", *command], input=text)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def verb(self, *words: str, site: str | None = None) -> Any:
        """A verb, its words and options; the site, where it takes one, comes from standard input."""
        place = ("--netns", self.namespace.path, "--state-dir", str(self.folder))
        return nfcompile(*words, *([] if site is None else ["-"]), *place, input=site)

    def both(self, *options: str, site: str = SITE) -> Any:
        return self.verb("apply", "--host", "--yes", *options, site=site)

    @property
    def state(self) -> tuple[int, int, list[str], list[str]]:
        """Forwarding, the ICMP timeout, secondary addresses, tables."""
        shown = self.run("ip", "-4", "-o", "address", "show", "wan0").split()
        secondary = [word for word in shown if word.endswith("/32")]
        numbers = (int(self.run("sysctl", "-n", name)) for name in ("net.ipv4.ip_forward", ICMP))
        return (*numbers, secondary, self.namespace.tables())  # type: ignore[return-value]


BARE = (0, 30, [], [])
LIVE = (1, 41, ["192.0.2.10/32"], ["table ip nfcompile"])
CHANGED = (1, 77, ["192.0.2.11/32"], ["table ip nfcompile"])


@pytest.fixture
def both(gateway: Namespace, tmp_path: Path) -> Gateway:
    made = Gateway(gateway, tmp_path)
    made.run("ip", "-batch", "-", text=LINKS)
    made.run("sysctl", "-qw", "net.ipv4.ip_forward=0", f"{ICMP}=30")
    return made


def compiled(text: str) -> Compiled:
    return compile_site(parse(text.encode(), "site.yaml"))


def test_timeouts_that_are_left_to_the_host(both):
    """`apply` refuses where the host says something else; with `--host` it says so itself."""
    site = SITE.replace("icmp: 41", "udp: 77").replace("{timeouts", "{timeouts_by: host, timeouts")
    both.run("sysctl", "-qw", f"{UDP}=78")
    refused = both.verb("apply", "--yes", "--format", "json", site=site)
    (found,) = (one for one in json.loads(refused.stdout)["diagnostics"] if one["severity"] == "error")
    assert (found["code"], found["path"]) == ("host-timeouts", "nat_defaults.timeouts_by")
    assert (refused.returncode, both.namespace.tables()) == (1, [])
    assert both.verb("apply", "--dry-run", site=site).returncode == 1

    foreseen = both.both("--dry-run", site=site)
    assert f"host: sysctl -w {UDP}=77\n" in foreseen.stdout
    ran = both.both(site=site)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "applied"), ran.stderr
    assert both.run("sysctl", "-n", UDP) == "77\n"
    assert "ct timeout" not in both.run("nft", "list", "ruleset")

    assert both.verb("apply", "--yes", site=site).stdout == "nothing to change\n"
    both.run("sysctl", "-qw", f"{UDP}=78")
    again = both.verb("apply", "--yes", site=site.replace("203.0.113.0/30", "203.0.113.4/30"))
    assert f"{UDP} of this host is 78, not 77" in again.stderr
    assert "203.0.113.0/30" in both.run("nft", "list", "ruleset")


def test_both_become_live(both):
    ran = both.both()

    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "applied"), ran.stderr
    assert "host: ip address add 192.0.2.10/32 dev wan0\n" in ran.stdout
    assert both.state == LIVE
    assert "[host-" not in ran.stderr
    assert both.both().stdout == "nothing to change\n"


def test_a_dry_run_shows_both(both):
    ran = both.both("--dry-run", "--exit-code")

    assert ran.returncode == 3
    assert "host: sysctl -w net.ipv4.ip_forward=1\n" in ran.stdout
    assert "+table ip nfcompile {\n" in ran.stdout
    assert both.state == BARE


def test_only_the_host_differs(both):
    """Somebody has taken an address away: the ruleset is live, and `--host` brings the address again."""
    both.both()
    both.run("ip", "address", "del", "192.0.2.10/32", "dev", "wan0")

    ran = both.both("--format", "json")

    assert json.loads(ran.stdout)["host"]["done"] == ["ip address add 192.0.2.10/32 dev wan0"]
    assert both.state == LIVE


def test_a_trial_that_is_not_confirmed_takes_both_back(both):
    """Whether its time is over before anybody can look is up to the machine; a longer trial is seen below."""
    both.both()
    assert both.both("--confirm", "1", site=OTHER).returncode == 0

    until(lambda: both.state == LIVE, lambda: both.state)

    events = json.loads(both.verb("history", "--format", "json").stdout)["events"]
    assert [one["result"] for one in events][-2:] == ["trial", "reverted"]


def test_the_first_trial_goes_back_to_a_bare_host(both):
    both.both("--confirm", "300")
    assert both.state == LIVE

    assert both.verb("rollback", "--yes").returncode == 0

    assert both.state == BARE


def test_a_confirmed_trial_stays(both):
    both.both("--confirm", "300")
    assert both.verb("confirm").returncode == 0

    assert both.verb("rollback", "--trial", "--yes").returncode == 0
    assert both.state == LIVE


def test_a_rollback_takes_both_back(both):
    both.both()
    both.both(site=OTHER)
    assert both.state == CHANGED

    assert both.verb("rollback", "--yes").returncode == 0
    assert both.state == LIVE
    assert both.verb("host", "revert").returncode == 0
    assert both.state == (*BARE[:3], LIVE[3])


def test_the_host_is_left_where_it_was_changed_beside_the_history(both):
    both.both()
    both.both(site=OTHER)
    both.verb("host", "apply", site=OTHER)

    both.verb("rollback", "--yes")

    assert both.state == CHANGED


def test_a_rollback_of_the_ruleset_alone_leaves_the_host(both):
    both.verb("apply", "--yes", site=SITE)
    both.verb("host", "apply", site=SITE)
    both.verb("apply", "--yes", site=OTHER)

    both.verb("rollback", "--yes")

    assert both.state == LIVE


@pytest.mark.parametrize("seconds", [None, 300])
def test_a_host_that_refuses_takes_the_ruleset_back(both, monkeypatch, seconds):
    both.both()
    before, make = both.state, doing.make
    state = store.state_dir(str(both.folder), both.namespace.path)
    changed = compiled(OTHER)

    def refused(step: Step) -> None:
        if step.command == f"sysctl -w {ICMP}=77":
            raise KernelError("no")
        make(step)

    monkeypatch.setattr(doing, "make", refused)
    with pytest.raises(KernelError, match="no; what had been done"):
        both_halves.apply(
            state,
            SiteFile(OTHER.encode(), "o"),
            changed,
            plan(changed),
            seconds=seconds,
            events_seen=None,
        )

    assert both.state == before
    assert "192.0.2.11" not in both.namespace.nft("list", "ruleset")
    events = json.loads(both.verb("history", "--format", "json").stdout)["events"]
    assert events[-1]["result"] == "reverted"


def test_a_killed_apply_goes_back_by_itself(both, monkeypatch):
    """In the middle of the host's half: the trial's timer takes back what was made of it, and the ruleset."""
    both.both()
    state = store.state_dir(str(both.folder), both.namespace.path)
    changed = compiled(OTHER)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(doing, "make", lambda step: os.kill(os.getppid(), signal.SIGKILL))
        try:
            both_halves.apply(
                state,
                SiteFile(OTHER.encode(), "o"),
                changed,
                plan(changed),
                seconds=2,
                events_seen=None,
            )
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    until(lambda: both.state == LIVE, lambda: both.state)
