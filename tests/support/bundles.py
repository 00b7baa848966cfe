"""Bundles of a site, and scripts that give them to their readers in namespaces of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from nfcompile.cli import bundle
from nfcompile.cli.options import Options
from support.command import NFCOMPILE
from support.lab import cannot
from support.privilege import is_root

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
FAULTS = """
import json, sys
wrong = [x for x in json.load(open(sys.argv[1]))["host"] if x["code"] != "host-sysctl" and x["state"] != "ok"]
sys.exit(bool(wrong))
"""


def need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program) and not os.path.exists(program):
            cannot(f"not installed: {program}")
    if (
        not is_root()
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
