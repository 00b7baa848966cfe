"""`host check`, `host apply`, `host revert` in namespaces: what is missing is seen, done, undone exactly."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.command import nfcompile
from support.host_gateway import SETTINGS, SITE, Gateway, bare
from support.lab import lacking

VLANS = """version: 1
interfaces: {inside: [lan0], outside: [wan0], vlans: {101: l1, 102: w1}}
nat_defaults: {vlan_mode: vlan}
acls:
  one: {10: allow ip 192.168.1.0/25~101}
  two: {10: allow ip 192.168.1.0/25~102}
pools:
  one: {type: cgnat, acl: one, priority: 1, global_ip: [203.0.113.0/30]}
  two: {type: cgnat, acl: two, priority: 2, global_ip: [203.0.113.4/30]}
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    yield from bare(tmp_path)


def test_from_a_bare_namespace_to_all_ok_and_back(gateway):
    before = gateway.state()
    assert gateway.host("check").returncode == 1

    ran = gateway.host("apply")

    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "applied"), ran.stderr
    checked = gateway.host("check")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "all is as needed"), checked.stdout
    assert gateway.sysctl("net.netfilter.nf_conntrack_icmp_timeout") == 41
    assert gateway.sysctl("net.ipv4.ip_forward") == 1
    assert "192.0.2.12/32" in gateway.run("ip", "address", "show", "wan0")
    assert gateway.host("revert").returncode == 0
    assert gateway.state() == before
    assert gateway.host("revert").stdout == "nothing to undo\n"


def test_what_is_missing_is_seen(gateway):
    lines = gateway.lines()

    assert {what for what, state in lines.items() if state == "ok"} == {
        *("interface lan0", "interface wan0", "address 192.0.2.2"),
        *("route to the Internet", "route to the subscribers of home"),
    }
    assert {what for what, state in lines.items() if state == "missing"} == {
        *("address 192.0.2.10", "address 192.0.2.11", "address 192.0.2.12"),
        *("route of 203.0.113.0/30", "route of 192.0.2.64/27", "route of 198.51.100.7"),
    }
    conntrack = "net.netfilter.nf_conntrack_"
    assert {what for what, state in lines.items() if state == "differs"} == {
        *("MTU of lan0", "MTU of wan0", "net.ipv4.ip_forward", f"{conntrack}tcp_loose"),
        *(f"{conntrack}{name}" for name in ("icmp_timeout", "gre_timeout", "gre_timeout_stream")),
        *(f"{conntrack}{name}" for name in ("generic_timeout", "sctp_timeout_established")),
    }


def test_each_command_mends_its_line(gateway):
    """The commands are what they say: given to a shell, one after the other, they make all lines ok."""
    answer = json.loads(gateway.host("check", "--format", "json").stdout)["host"]
    mends = [line["mend"] for line in answer if line["state"] != "ok"]
    assert mends
    assert all(mends)
    for command in mends:
        gateway.run("sh", "-c", command)

    assert set(gateway.lines().values()) == {"ok"}
    assert gateway.host("apply").stdout == "nothing to change\n"


def test_a_dry_run_changes_nothing_and_says_what_it_would(gateway):
    before = gateway.state()

    ran = gateway.host("apply", "--dry-run")

    assert ran.returncode == 0
    assert "ip address add 192.0.2.10/32 dev wan0\n" in ran.stdout
    assert ran.stdout.endswith("not applied (dry run)\n")
    assert gateway.state() == before


def test_once_more_is_nothing(gateway):
    gateway.host("apply")
    remembered = (Path(gateway.place().folder) / "host.json").read_text()
    before = gateway.state()

    assert gateway.host("apply").stdout == "nothing to change\n"

    assert gateway.state() == before
    assert (Path(gateway.place().folder) / "host.json").read_text() == remembered


def test_what_the_site_asks_for_no_longer_is_undone(gateway):
    before = gateway.state()
    gateway.host("apply")
    smaller = SITE.replace("192.0.2.10-192.0.2.12", "192.0.2.11").replace("icmp: 41, ", "")
    smaller = smaller.replace("  l2mtu: 1822\n", "").replace("other: 333", "other: 222")

    ran = gateway.host("apply", site=smaller)

    assert ran.returncode == 0, ran.stderr
    addresses = gateway.run("ip", "address", "show", "wan0")
    assert "mtu 1500" in addresses
    assert [a for a in ("192.0.2.10/32", "192.0.2.11/32", "192.0.2.12/32") if a in addresses] == [
        "192.0.2.11/32"
    ]
    assert (
        gateway.sysctl("net.netfilter.nf_conntrack_icmp_timeout")
        == SETTINGS["net.netfilter.nf_conntrack_icmp_timeout"]
    )
    assert gateway.sysctl("net.netfilter.nf_conntrack_generic_timeout") == 222
    gateway.host("revert")
    assert gateway.state() == before


def test_what_was_changed_since_stays(gateway):
    gateway.host("apply")
    gateway.run("sysctl", "-qw", "net.netfilter.nf_conntrack_icmp_timeout=77")
    gateway.run("ip", "address", "del", "192.0.2.11/32", "dev", "wan0")

    ran = gateway.host("revert")

    assert ran.returncode == 0
    assert "note: net.netfilter.nf_conntrack_icmp_timeout is 77 by now, not 41: left as it is\n" in ran.stdout
    assert gateway.sysctl("net.netfilter.nf_conntrack_icmp_timeout") == 77
    assert gateway.sysctl("net.ipv4.ip_forward") == 0


def test_answers_find_their_vlan_by_mark(gateway):
    gateway.run("ip", "-batch", "-", text="link set l1 up\nlink set w1 up\n")
    gateway.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    before = gateway.state()

    assert gateway.host("apply", site=VLANS).returncode == 0

    assert set(gateway.lines(VLANS).values()) == {"ok"}
    for mark, interface in ((101, "l1"), (102, "w1")):
        assert f"dev {interface} " in gateway.run("ip", "route", "get", "192.168.1.7", "mark", str(mark))
        assert gateway.sysctl(f"net.ipv4.conf.{interface}.rp_filter") == 2
    gateway.host("revert")
    assert gateway.state() == before


def test_a_missing_interface_is_nobodys_to_make(gateway):
    site = SITE.replace("lan0", "lan9")

    ran = gateway.host("apply", site=site)

    assert ran.returncode == 0
    assert (
        "missing  interface lan9: no such interface; there are: l1, lan0, w1, wan0, should be: up\n"
        in ran.stdout
    )
    assert "lan9" not in gateway.run("ip", "link")
    assert gateway.lines(site)["interface lan9"] == "missing"


def test_a_keys_absence_asks_for_nothing(gateway):
    """The defaults of keys that the site does not write are no demand: only forwarding and routes are."""
    site = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls: {home: {10: allow ip 100.64.0.0/25}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30]}
"""
    gateway.host("apply", site=site)

    assert set(gateway.lines(site)) == {
        *("interface lan0", "interface wan0", "route of 203.0.113.0/30", "route to the Internet"),
        *("route to the subscribers of home", "net.ipv4.ip_forward"),
    }
    assert gateway.sysctl("net.netfilter.nf_conntrack_icmp_timeout") == 17
    assert "mtu 1500" in gateway.run("ip", "link", "show", "wan0")


def test_an_address_inside_the_wans_subnet_is_answered_for(gateway, tmp_path):
    """Who is on the WAN asks by ARP for a global address that no interface has."""
    outside = Gateway(tmp_path)
    assert outside.process.stdout is not None
    outside.process.stdout.readline()
    try:
        gateway.run("ip", "link", "set", "w1", "netns", str(outside.process.pid))
        outside.run("ip", "-batch", "-", text="link set w1 up\naddress add 192.0.2.1/24 dev w1\n")

        def known() -> bool:
            outside.run("ip", "neighbour", "flush", "dev", "w1")  # or it waits before it asks again
            outside.run("bash", "-c", "echo >/dev/udp/192.0.2.70/9; sleep 1")
            return "lladdr" in outside.run("ip", "neighbour", "show", "192.0.2.70")

        assert not known()
        assert gateway.host("apply").returncode == 0
        assert known()
    finally:
        outside.process.kill()
        outside.process.communicate()


ALG = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {alg: {ftp: on}}
acls: {home: {10: allow ip 100.64.0.0/25}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30]}
"""


def loaded(name: str) -> bool:
    modules = Path("/proc/modules")
    return modules.exists() and any(line.split()[0] == name for line in modules.read_text().splitlines())


def offered(name: str) -> bool:
    return subprocess.run(["modprobe", "-n", name], capture_output=True, check=False).returncode == 0


def test_modules_are_loaded_and_taken_out_again(gateway):
    """They are the machine's, so without --netns; in a namespace that has the site's interfaces."""
    if shutil.which("modprobe") is None or not offered("nf_nat_ftp"):
        lacking("module nf_nat_ftp")
    subprocess.run(["modprobe", "-r", "nf_nat_ftp"], check=True)
    run = partial(nfcompile, before=("nsenter", f"--net={gateway.path}"), input=ALG)

    assert run("host", "apply", "-", "--state-dir", gateway.folder).returncode == 0
    assert loaded("nf_nat_ftp")
    assert "ok       module nf_nat_ftp: loaded\n" in run("host", "check", "-").stdout

    assert run("host", "revert", "--state-dir", gateway.folder).returncode == 0
    assert not loaded("nf_nat_ftp")
