"""`icmp`, `icmp_session` and `other` hold after `host apply`: conntrack's own listing, for real packets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfcompile.model.parse import address
from support.command import NFCOMPILE
from support.frames import ECHO, GRE, ICMP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.wires import route

SERVER, HOME, FAR = address("192.168.0.5"), address("100.64.0.5"), address("198.18.0.1")
ESP = 50
SITE = """
nat_defaults: {timeouts_inactivity: {icmp: 41, icmp_session: 31, other: 333}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 203.0.113.16}}
  homes: {type: cgnat, acl: homes, priority: 2, global_ip: [203.0.113.0/28]}
"""
RULES = """
nat_defaults: {timeouts_inactivity: {icmp: 43, udp: 77, tcp_handshake: 33}}
snat:
  servers: {src_cidr: 192.168.0.0/24, snat_ip: 203.0.113.20}
"""

HELD = """
nat_defaults: {timeouts_by: host, timeouts_inactivity: {udp: 77, udp_session: 66}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  servers: {type: static, priority: 1, hairpin: off, global_map: {192.168.0.5: 203.0.113.16}}
  homes: {type: cgnat, acl: homes, priority: 2, global_ip: [203.0.113.0/28], hairpin: HAIRPIN}
"""


@pytest.fixture
def told(lab: Lab, tmp_path: Path) -> Iterator[str]:
    """Where `host apply` remembers what it did to the lab's gateway; undone in the end."""
    yield str(tmp_path)
    lab.must(*NFCOMPILE, "host", "revert", "--state-dir", str(tmp_path))


def apply(lab: Lab, text: str, folder: str) -> None:
    head = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
    command = (*NFCOMPILE, "host", "apply", "-", "--state-dir", folder)
    lab.must(*command, stdin=head + text)


def seconds(lab: Lab, protocol: str) -> int:
    """What is left of the only connection of a protocol."""
    (found,) = re.findall(rf"^{protocol}\s+\d+ (\d+) ", lab.must("conntrack", "-L"), re.M)
    return int(found)


def packet(protocol: int, source: int = SERVER) -> tuple[str, Packet]:
    ports = {ICMP: (7, 0), UDP: (7, 53)}.get(protocol, (0, 0))
    return route(source), Packet(protocol, source, ports[0], FAR, ports[1], ECHO if protocol == ICMP else 0)


def test_icmp_and_other_hold(lab: Lab, told: str) -> None:
    """One value of each for all pools, the longest of those that are used: homes has mapping entries, so its
    icmp_session (31) counts, and servers its icmp (41)."""
    lab.load(site(SITE).text.text)
    apply(lab, SITE, told)

    lab.flight([packet(ICMP), packet(GRE), packet(ESP)])

    assert 36 <= seconds(lab, "icmp") <= 41
    assert 328 <= seconds(lab, "gre") <= 333
    assert 328 <= seconds(lab, "unknown") <= 333


def test_what_no_pool_translates_has_the_defaults(lab: Lab, told: str) -> None:
    """No policy of the ruleset covers connections of `snat` rules."""
    lab.load(site(RULES).text.text)
    apply(lab, RULES, told)

    lab.flight([packet(ICMP), packet(UDP)])

    assert 38 <= seconds(lab, "icmp") <= 43
    assert 72 <= seconds(lab, "udp") <= 77
    name = "net.netfilter.nf_conntrack_tcp_timeout_syn_sent"
    assert lab.must("sysctl", "-n", name).strip() == "33"
    assert os.path.exists(f"{told}/host.json")


@pytest.mark.parametrize(("hairpin", "home"), [("off", 77), ("on", 66)])
def test_timeouts_left_to_the_host_hold_beside_those_of_the_ruleset(
    lab: Lab, told: str, hairpin: str, home: int
) -> None:
    """With hairpin the pools differ, so each has its own."""
    text = HELD.replace("HAIRPIN", hairpin)
    ruleset = site(text).text.text
    assert ("ct timeout" in ruleset) == (hairpin == "on")
    lab.load(ruleset)
    apply(lab, text, told)

    lab.flight([packet(UDP)])
    assert 72 <= seconds(lab, "udp") <= 77
    lab.must("conntrack", "-F")
    lab.flight([packet(UDP, HOME)])
    assert home - 5 <= seconds(lab, "udp") <= home
