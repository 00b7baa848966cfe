"""A bare gateway in a namespace for `host`: the site it shall serve, and what an operator has set there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from nfcompile import pipeline
from nfcompile.host.change import HostPlace
from nfcompile.host.plan import HostPlan
from nfcompile.host.planning import plan
from nfcompile.records import store
from support.bare_gateway import LINKS
from support.command import nfcompile
from support.lab import cannot

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
gateway: {primary_ip: 192.0.2.2, secondary_ips: [192.0.2.10-192.0.2.12]}
nat_defaults:
  l2mtu: 1822
  lldp: on
  permit_invalid_flow: on
  timeouts_inactivity: {icmp: 41, other: 333}
acls:
  home: {10: allow ip 100.64.0.0/24}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30, 192.0.2.64/27], hairpin: off}
snat:
  servers: {src_cidr: 10.1.0.0/24, snat_ip: 192.0.2.11}
  others: {src_cidr: 10.2.0.0/24, snat_ip: 198.51.100.7}
"""
# What an operator may have set, and must find again: forwarding switches these too.
SETTINGS = {
    "net.ipv4.ip_forward": 0,
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.l1.forwarding": 1,
    "net.netfilter.nf_conntrack_tcp_loose": 0,
    "net.netfilter.nf_conntrack_icmp_timeout": 17,
}


class Gateway:
    """A namespace with two interfaces, an address on each and a way out; a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        command = ["unshare", "-n", "sh", "-c", "echo ready; exec sleep infinity"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.path = f"/proc/{self.process.pid}/ns/net"
        self.folder = folder

    def run(self, *command: str, text: str = "") -> str:
        """Run a command there that has to succeed."""
        done = subprocess.run(
            ["nsenter", f"--net={self.path}", *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def sysctl(self, name: str) -> int:
        return int(self.run("sysctl", "-n", name))

    def state(self) -> list[str]:
        """Addresses, routes of all tables, rules and settings."""
        settings = self.run("sysctl", "-a", "--pattern", r"^net\.")
        return [
            *self.run("ip", "-d", "-4", "address").splitlines(),
            *self.run("ip", "-4", "route", "show", "table", "all").splitlines(),
            *self.run("ip", "-4", "rule").splitlines(),
            # counted, not set
            *(line for line in settings.splitlines() if "nf_conntrack_count" not in line),
        ]

    def host(self, verb: str, *options: str, site: str = SITE) -> subprocess.CompletedProcess[str]:
        words = [] if verb == "revert" else ["-"]
        state = [] if verb == "check" else ["--state-dir", str(self.folder)]
        found: subprocess.CompletedProcess[str] = nfcompile(
            "host", verb, *words, "--netns", self.path, *state, *options, input=site
        )
        return found

    def lines(self, site: str = SITE) -> dict[str, str]:
        """What `host check` says, by what each line is about."""
        found = json.loads(self.host("check", "--format", "json", site=site).stdout)["host"]
        return {line["what"]: line["state"] for line in found}

    def place(self) -> HostPlace:
        folder = store.directory(str(self.folder), self.path)
        Path(folder).mkdir(parents=True, exist_ok=True)
        return HostPlace(folder, self.path, store.identity(self.path))


def bare(folder: Path) -> Iterator[Gateway]:
    """The gateway, while a fixture is in use."""
    made = Gateway(folder)
    try:
        if made.process.stdout is None or made.process.stdout.readline() != "ready\n":
            cannot("no network namespace can be made here")
        # Without IPv6 addresses: they come by themselves, some seconds later.
        made.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1")
        made.run("ip", "-batch", "-", text=LINKS)
        made.run("sysctl", "-qw", *(f"{name}={value}" for name, value in SETTINGS.items()))
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def planned(site: str = SITE) -> HostPlan:
    return plan(pipeline.compile_site(pipeline.parse(site.encode(), "site.yaml")))
