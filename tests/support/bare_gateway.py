"""A gateway that is a network namespace and nothing else, and `apply` on it.

For tests of what `apply` says and does; where packets pass there is support.lab.
"""

from __future__ import annotations

import subprocess
from typing import Any

from support.command import nfcompile

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults:
  alg: {ftp: off}
acls:
  home: {10: allow ip 100.64.0.0/24}
pools:
  home:
    type: cgnat
    acl: home
    priority: 1
    global_ip: [203.0.113.0/30]
    hairpin: off
    limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}
"""
OTHER = SITE.replace("203.0.113.0/30", "198.51.100.0/30")
REFUSED = (
    SITE.replace("ftp: off", "rtsp: on, alg_on_bnat: on")
    .replace("type: cgnat", "type: nat")
    .replace("    limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}\n", "")
)
"""No kernel.org kernel has a helper for RTSP."""


LINKS = """
link add lan0 type veth peer name l1
link add wan0 type veth peer name w1
link set l1 up
link set w1 up
link set lan0 up
link set wan0 up
address add 100.64.0.1/10 dev lan0
address add 192.0.2.2/24 dev wan0
route add default via 192.0.2.1
"""
"""What `ip -batch` makes of a bare namespace: both sides of a gateway, with addresses and a default route."""


class Namespace:
    """A network namespace that lives as long as a process that sleeps in it."""

    def __init__(self) -> None:
        command = ["unshare", "-n", "sh", "-c", "echo ready; exec sleep infinity"]
        self.process: Any = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.ready = self.process.stdout.readline() == "ready\n"
        self.path = f"/proc/{self.process.pid}/ns/net"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def nft(self, *arguments: str, text: str | None = None) -> str:
        """Run nft there."""
        command = ["nsenter", f"--net={self.path}", "nft", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        return done.stdout

    def tables(self) -> list[str]:
        return self.nft("list", "tables").splitlines()


def run(*arguments: object, site: str = SITE, **options: Any) -> Any:
    """The command with a site as its standard input."""
    return nfcompile(*arguments, **({"input": site} | options))


def apply(gateway: Namespace, *arguments: object, site: str = SITE) -> Any:
    return run("apply", "-", "--netns", gateway.path, *arguments, site=site)
