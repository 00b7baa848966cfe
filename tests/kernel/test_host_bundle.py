"""What `build --bundle` writes, given to its readers: networkd, netplan, ifupdown, systemd, lldpd, ulogd
and logrotate. Each runs in namespaces of its own, over the machine's files where its paths are fixed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nfcompile.cli import bundle
from nfcompile.cli.options import Options
from support.command import NFCOMPILE
from support.lab import cannot

COMMAND = shlex.join(NFCOMPILE)
SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0], vlans: {101: lan1, 102: lan2}}
gateway: {primary_ip: 192.0.2.2, secondary_ips: [192.0.2.10-192.0.2.12]}
nat_defaults:
  vlan_mode: vlan
  l2mtu: 1622
  port_block_size: 1024
  lldp_hostname: nat-1.example.net
  timeouts_inactivity: {icmp: 41, icmp_session: 43, other: 333}
acls:
  home: {10: allow ip 100.64.0.0/24}
  one: {10: allow ip 192.168.1.0/25~101}
  two: {10: allow ip 192.168.1.0/25~102}
pools:
  one: {type: cgnat, acl: one, priority: 1, global_ip: [203.0.113.0/30]}
  two: {type: cgnat, acl: two, priority: 2, global_ip: [203.0.113.4/30]}
  home: {type: cgnat, acl: home, priority: 3, global_ip: [192.0.2.64/27], allocation: dynamic,
         connection_logging: on}
snat:
  others: {src_cidr: 10.2.0.0/24, snat_ip: 198.51.100.7}
"""
# netplan makes the VLANs that it is told of, which this kernel may not have.
FLAT = re.sub(r"  (one|two): .*\n|, vlans: {.*?}|  vlan_mode: vlan\n", "", SITE)
# Interfaces as the machine has them before anything is configured; veth stands for VLANs, too.
PRELUDE = """
set -eu
mount -t tmpfs tmpfs /run
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
for name in lan0 lan1 lan2 wan0; do
    ip link add $name type veth peer name far-$name
    ip link set far-$name up
done
"""
CHECK = f"{COMMAND} host check $BUNDLE/etc/nfcompile/site.yaml --netns /proc/self/ns/net --format json"
NETWORK = ("host-interface", "host-mtu", "host-address", "host-route", "host-rule", "host-default-route")
NETWORK = (*NETWORK, "host-subscriber-route")
NETWORKD = """
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
mount --bind $BUNDLE/etc/systemd/network /etc/systemd/network
mount -o remount,ro /sys
/lib/systemd/systemd-networkd 2>$OUT/networkd & daemon=$!
"""
BASE = {
    "lan0": "[Network]\nAddress=100.64.0.1/10\n",
    "lan1": "[Network]\nLinkLocalAddressing=no\n",
    "lan2": "[Network]\nLinkLocalAddressing=no\n",
    "wan0": "[Network]\nAddress=192.0.2.2/24\nGateway=192.0.2.1\n",
}


def need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program) and not os.path.exists(program):
            cannot(f"not installed: {program}")
    if (
        os.geteuid()
        or subprocess.run(
            ["unshare", "-nmpf", "--mount-proc", "true"], capture_output=True, check=False
        ).returncode
    ):
        cannot("these programs change users and mount file systems, which root alone may")


def run(script: str, folder: Path, out: Path) -> str:
    """Run a script in namespaces of its own, processes too, so that none outlives it; what it printed."""
    environment = os.environ | {
        "BUNDLE": str(folder),
        "OUT": str(out),
        "FAULTS": FAULTS,
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
    }
    done = subprocess.run(
        ["unshare", "-nmpf", "--mount-proc", "--kill-child", "bash", "-c", PRELUDE + script],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )
    notes = "".join(file.read_text() for file in out.iterdir() if file.is_file())
    assert done.returncode == 0, done.stderr + done.stdout + notes
    return done.stdout


def made(
    folder: Path,
    network: str = "networkd",
    site: str = SITE,
    routed: bool = False,
    outputs: tuple[str, ...] = (),
) -> Path:
    """A bundle below a folder."""
    (folder / "site.yaml").write_text(site)
    (folder / "out").mkdir()
    words, to = (str(folder / "site.yaml"),), str(folder / "bundle")
    bundle.run(Options(words, quiet=True, bundle=to, network=network, routed=routed, to=outputs))
    return folder / "bundle"


def network_faults(text: str) -> list[str]:
    """Lines about the network that are not ok."""
    lines = json.loads(text)["host"]
    assert {line["code"] for line in lines} >= {*NETWORK} - {"host-rule"}
    return [f"{x['what']}: {x['is']}" for x in lines if x["code"] in NETWORK and x["state"] != "ok"]


SETTLED = f"""
for i in $(seq 60); do
    {CHECK} >$OUT/check || true
    {sys.executable} -c "$FAULTS" $OUT/check && break
    sleep 0.5
done
cat $OUT/check
"""
FAULTS = """
import json, sys
wrong = [x for x in json.load(open(sys.argv[1]))["host"] if x["code"] != "host-sysctl" and x["state"] != "ok"]
sys.exit(bool(wrong))
"""


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_networkd_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("/lib/systemd/systemd-networkd")
    folder = made(tmp_path, routed=routed)
    for name, text in BASE.items():
        main = folder / f"etc/systemd/network/{name}.network"
        main.write_text(f"[Match]\nName={name}\n\n{text}")

    found = run(NETWORKD + SETTLED + "kill $daemon", folder, tmp_path / "out")

    assert network_faults(found) == []
    assert (
        "nfcompile.conf" not in (tmp_path / "out/networkd").read_text()
    )  # it complains of what it cannot read


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_netplan_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("netplan", "/lib/systemd/systemd-networkd")
    folder = made(tmp_path, "netplan", FLAT, routed)
    main = folder / "etc/netplan/50-own.yaml"
    main.write_text("""network:
  version: 2
  ethernets:
    lan0: {addresses: [100.64.0.1/10]}
    wan0: {addresses: [192.0.2.2/24], routes: [{to: default, via: 192.0.2.1}]}
""")
    main.chmod(0o600)
    script = f"""
    netplan generate --root-dir $BUNDLE 2>$OUT/netplan
    mkdir -p $BUNDLE/etc/systemd/network
    cp $BUNDLE/run/systemd/network/* $BUNDLE/etc/systemd/network/
    {NETWORKD}
    {SETTLED}
    kill $daemon
    """
    found = run(script, folder, tmp_path / "out")

    assert network_faults(found) == []
    assert (tmp_path / "out/netplan").read_text() == ""


def test_netplan_takes_vlans(tmp_path):
    need("netplan")
    folder = made(tmp_path, "netplan")

    run("netplan generate --root-dir $BUNDLE 2>$OUT/netplan", folder, tmp_path / "out")

    assert (tmp_path / "out/netplan").read_text() == ""
    text = (folder / "run/systemd/network/10-netplan-lan2.network").read_text()
    assert "[RoutingPolicyRule]\nFrom=0.0.0.0/0\nTable=102\nFirewallMark=102\n" in text
    assert "[Route]\nDestination=192.168.1.0/25\nScope=link\nTable=102\n" in text


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_ifupdown_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("ifup")
    folder = made(tmp_path, "ifupdown", routed=routed)
    (folder / "etc/network/interfaces").write_text("""
auto lan0 lan1 lan2 wan0
iface lan0 inet static
    address 100.64.0.1/10
iface lan1 inet manual
    up ip link set lan1 up
iface lan2 inet manual
    up ip link set lan2 up
iface wan0 inet static
    address 192.0.2.2/24
    gateway 192.0.2.1
source interfaces.d/*
""")
    script = f"""
    mkdir -p /run/network
    ip link set lo up
    routes() {{ ip -4 route show table all | grep -v ' dev lo '; }}
    routes >$OUT/routes || true
    ip -4 rule >$OUT/rules
    ifup -a -i $BUNDLE/etc/network/interfaces 2>$OUT/ifup
    ifdown -a -i $BUNDLE/etc/network/interfaces 2>>$OUT/ifup
    {{ routes || true; }} | diff $OUT/routes -
    [ -z "$(ip -4 route show table local dev lo | grep -v 127)" ]
    ip -4 rule | diff $OUT/rules -
    ifup -a -i $BUNDLE/etc/network/interfaces 2>>$OUT/ifup
    {CHECK} || true
    """
    found = run(script, folder, tmp_path / "out")

    assert network_faults(found) == []


def test_the_settings_are_taken(tmp_path):
    """Of connection tracking's sizes the kernel says that they are another namespace's."""
    need("/lib/systemd/systemd-sysctl")
    folder = made(tmp_path)
    script = f"""
    nft add table ip t
    /lib/systemd/systemd-sysctl $BUNDLE/etc/sysctl.d/60-nfcompile.conf 2>$OUT/sysctl || true
    {CHECK} || true
    """
    found = json.loads(run(script, folder, tmp_path / "out"))["host"]

    settings = {line["what"]: line["state"] for line in found if line["code"] == "host-sysctl"}
    assert set(settings.values()) == {"ok"}
    assert {"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_icmp_timeout"} <= set(settings)
    refused = (tmp_path / "out/sysctl").read_text().splitlines()
    assert [
        line for line in refused if "nf_conntrack_max" not in line and "nf_conntrack_buckets" not in line
    ] == []


OUTPUTS = ("json:/var/log/nfcompile/log.jsonl", "postgresql://nat@db/nat?options=-csearch_path%3Dnat")


@pytest.mark.parametrize("outputs", [(), OUTPUTS], ids=["ulogd", "own"])
def test_systemd_takes_the_units(tmp_path, outputs):
    need("systemd-analyze", "ulogd")
    folder = made(tmp_path, outputs=outputs)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nfcompile").symlink_to(shutil.which("true") or "/bin/true")
    script = f"""
    mount --bind {tmp_path}/bin /usr/local/bin
    systemd-analyze verify --man=no $BUNDLE/etc/systemd/system/*.service 2>&1
    """
    assert run(script, folder, tmp_path / "out") == ""


def test_logrotate_takes_the_file_of_our_own_log(tmp_path):
    need("logrotate")
    folder = made(tmp_path, outputs=OUTPUTS)
    script = """
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    echo one >/var/log/nfcompile/log.jsonl
    sed -i 's/systemctl .*/touch \\/run\\/reloaded/' $BUNDLE/etc/logrotate.d/nfcompile
    chown root:root $BUNDLE/etc/logrotate.d/nfcompile
    logrotate --force --state /run/state $BUNDLE/etc/logrotate.d/nfcompile 2>&1
    ls /var/log/nfcompile /run/reloaded
    """
    assert run(script, folder, tmp_path / "out").split() == [
        *("/run/reloaded", "/var/log/nfcompile:", "log.jsonl.1"),
    ]


def test_logrotate_takes_its_file(tmp_path):
    need("logrotate", "ulogd")
    folder = made(tmp_path)
    script = """
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    echo one >/var/log/nfcompile/connections.json
    chown -R ulog:ulog /var/log/nfcompile
    sed -i 's/systemctl .*/touch \\/run\\/reloaded/' $BUNDLE/etc/logrotate.d/nfcompile
    chown root:root $BUNDLE/etc/logrotate.d/nfcompile
    logrotate --force --state /run/state $BUNDLE/etc/logrotate.d/nfcompile 2>&1
    ls /var/log/nfcompile /run/reloaded
    """
    assert run(script, folder, tmp_path / "out").split() == [
        *("/run/reloaded", "/var/log/nfcompile:", "connections.json.1"),
    ]


LLDP = """
import socket, sys, time
end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88CC))
end.bind(("far-wan0", 0))
open(sys.argv[2], "w").close()
end.settimeout(100)
until = time.monotonic() + 100
while time.monotonic() < until:
    frame = end.recv(2000)
    if sys.argv[1].encode() in frame:
        print("announced")
        break
"""


def test_lldpd_announces_the_sites_name_on_the_wire(tmp_path):
    """lldpd announces itself as it begins, and again after 30 s: the listener is there before it."""
    need("lldpd", "lldpcli")
    folder = made(tmp_path)
    (tmp_path / "listen.py").write_text(LLDP)
    script = f"""
    mkdir -p /run/lldpd
    ip link set wan0 up
    {sys.executable} {tmp_path}/listen.py nat-1.example.net $OUT/listens & listener=$!
    for i in $(seq 300); do [ -e $OUT/listens ] && break; sleep 0.1; done
    cp -r $BUNDLE/etc/lldpd.d /run/  # which its user may read
    lldpd -d -u /run/lldpd.socket -O /run/lldpd.d 2>$OUT/lldpd & daemon=$!
    wait $listener
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out") == "announced\n"


NAME = "lldpcli show chassis | sed -n 's/.*SysName: *//p'"
HOST = f"{COMMAND} host"


def test_host_apply_tells_lldpd_and_host_revert_takes_it_back(tmp_path):
    """The one part of `host apply` that is no namespace's; the other files of lldpd hold again afterwards."""
    need("lldpd", "lldpcli")
    folder = made(tmp_path, site=FLAT)
    script = f"""
    mkdir -p /run/lldpd
    mount -t tmpfs tmpfs /etc/lldpd.d
    echo "configure system hostname 'as-before'" >/etc/lldpd.d/own.conf
    for name in lan0 wan0; do ip link set $name up; done
    lldpd -d 2>$OUT/lldpd & daemon=$!
    for i in $(seq 50); do [ "$({NAME})" = as-before ] && break; sleep 0.1; done
    {NAME}
    {HOST} apply $BUNDLE/etc/nfcompile/site.yaml --state-dir $OUT/state >$OUT/apply
    {NAME}
    cat /etc/lldpd.d/nfcompile.conf
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep -i lldp
    {HOST} revert --state-dir $OUT/state >$OUT/revert
    {NAME}
    ls /etc/lldpd.d
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out").splitlines() == [
        "as-before",
        "nat-1.example.net",
        'configure system hostname "nat-1.example.net"',
        "ok       LLDP daemon: runs",
        "ok       name in LLDP: nat-1.example.net",
        "as-before",
        "own.conf",
    ]


def test_lldp_off_silences_the_sites_interfaces(tmp_path):
    need("lldpd", "lldpcli")
    folder = made(tmp_path, site=FLAT.replace("lldp_hostname: nat-1.example.net", "lldp: off"))
    script = f"""
    mkdir -p /run/lldpd
    mount -t tmpfs tmpfs /etc/lldpd.d
    for name in lan0 wan0; do ip link set $name up; done
    lldpd -d 2>$OUT/lldpd & daemon=$!
    for i in $(seq 50); do [ -n "$({NAME})" ] && break; sleep 0.1; done
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP || true
    {HOST} apply $BUNDLE/etc/nfcompile/site.yaml --state-dir $OUT/state >$OUT/apply
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP
    {HOST} revert --state-dir $OUT/state >$OUT/revert
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP || true
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out").splitlines() == [
        *("differs  LLDP: on at lan0, wan0, should be: off", "ok       LLDP: off"),
        "differs  LLDP: on at lan0, wan0, should be: off",
    ]


FIRST = """
import socket, sys, time
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(40001, 41001):
    sending.sendto(b"x", ("127.0.0.1", port))
    time.sleep(0.1)
    try:
        if open(sys.argv[1]).read():
            break
    except FileNotFoundError:
        pass
"""
"""Connections one after the other until one is in the log: ulogd has begun."""
BURST = """
import socket
most = int(open("/proc/sys/net/netfilter/nf_conntrack_max").read())
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, min(30_000, most // 2) + 1):
    sending.sendto(b"x", ("127.0.0.1", port))
print(port)
"""
DRAINED = """
import json, sys, time
def seen():
    with open("/proc/net/netlink") as table:
        rows = [line.split() for line in table][1:]
    waiting = sum(int(row[4]) for row in rows if row[1] == "12")
    drops = sum(int(row[8]) for row in rows if row[1] == "12")
    with open(sys.argv[1]) as log:
        written = {json.loads(line)["orig.l4.dport"] for line in log if line.endswith("\\n")}
    return len(written - {*range(40001, 41001)}), waiting, drops
until, readings = time.monotonic() + 200, []
while time.monotonic() < until:
    readings = [*readings[-2:], seen()]
    written, waiting, _ = readings[-1]
    if written >= int(sys.argv[2]) or (not waiting and readings == readings[:1] * 3):
        break
    time.sleep(1)
print(readings[-1][2])
"""
"""Wait until all is written, or nothing waits in the sockets of netfilter and the log has not grown for two
seconds; how many messages were lost."""


def test_ulogd_loses_nothing_of_a_burst(tmp_path):
    """30,000 connections, or half of what the machine's table of connections takes, while ulogd gets no
    processor at all: the kernel has room for each message, and each connection is in the log."""
    need("ulogd")
    folder = made(tmp_path)
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "burst.py").write_text(BURST)
    (tmp_path / "drained.py").write_text(DRAINED)
    script = f"""
    ip link set lo up
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    nft -f $BUNDLE/etc/nfcompile/ruleset.nft
    sed -i 's/^logfile=.*/logfile="stdout"/' $BUNDLE/etc/nfcompile/ulogd.conf
    ulogd --configfile $BUNDLE/etc/nfcompile/ulogd.conf >$OUT/ulogd 2>&1 & daemon=$!
    log=/var/log/nfcompile/connections.json
    {sys.executable} {tmp_path}/first.py $log
    kill -STOP $daemon
    opened=$({sys.executable} {tmp_path}/burst.py)
    kill -CONT $daemon
    echo $opened
    {sys.executable} {tmp_path}/drained.py $log $opened
    kill $daemon
    cat $log
    """
    opened, lost, *lines = run(script, folder, tmp_path / "out").splitlines()
    records = [json.loads(line) for line in lines]

    ports = {one["orig.l4.dport"] for one in records if one["dest_ip"] == "127.0.0.1"}
    assert int(lost) == 0
    assert int(opened) >= 1000
    assert set(range(1, int(opened) + 1)) - ports == set()


@pytest.mark.parametrize("network", ["networkd", "netplan", "ifupdown"])
def test_the_manifest_lists_what_is_there(tmp_path, network):
    folder = made(tmp_path, network)

    listed = json.loads((folder / "MANIFEST.json").read_text())

    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {one["path"] for one in listed} == there - {"MANIFEST.json"}
    assert {one["path"]: f"0{(folder / one['path']).stat().st_mode & 0o777:o}" for one in listed} == {
        one["path"]: one["mode"] for one in listed
    }
