"""`sessions clear --mappings` against a kernel: entries and assignments go too, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nfcompile.model.parse import address
from support.command import NFCOMPILE
from support.frames import SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.waiting import until

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 8, timeouts_inactivity: {tcp_handshake: 300}}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  blocks: {10: allow ip 10.0.0.0/24}
  lines: {10: allow ip 192.168.7.0/24}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30],
          limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
  blocks: {type: cgnat, acl: blocks, priority: 2, global_ip: [203.0.113.8], allocation: dynamic,
           port_range: 1024-1039, limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8}}
  lines: {type: nat, acl: lines, priority: 3, global_ip: [203.0.113.16/31]}
"""
FAR = address("198.18.0.1")
MAPS = ("eim_homes", "eif_homes", "eim_blocks", "eif_blocks", "ontrial1_blocks", "ontrial1_lines")


def sent(source: str, port: int = 5000, protocol: int = UDP) -> tuple[str, Packet]:
    return "lan0", Packet(protocol, address(source), port, FAR, 443, SYN if protocol == TCP else 0)


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Path:
    """The site loaded, and both blocks and both addresses taken."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    lab.load(site(SITE).text.text)
    homes = [sent(f"100.64.0.{number}", 5000, protocol) for number in (1, 2) for protocol in (TCP, UDP)]
    rest = [sent("10.0.0.1"), sent("10.0.0.2"), sent("192.168.7.1"), sent("192.168.7.2")]
    assert all(lab.flight([*homes, *rest]))
    return path


def elements(lab: Lab) -> dict[str, int]:
    """How many elements each map has."""
    return {
        name: len(
            re.findall(
                r" : ", lab.must("nft", "list", "map", "ip", "nfcompile", name).partition("elements")[2]
            )
        )
        for name in MAPS
    }


def cleared(lab: Lab, *arguments: str) -> dict[str, Any]:
    told = lab.must(*NFCOMPILE, "sessions", "clear", *arguments, "-y", "--mappings", "--format", "json")
    return json.loads(told)  # type: ignore[no-any-return]


def sessions(lab: Lab, path: Path, *arguments: str) -> int:
    told = lab.must(*NFCOMPILE, "sessions", "list", str(path), *arguments, "--format", "json")
    return len(json.loads(told))


def served(lab: Lab, host: str) -> list[str]:
    """Where a packet of a subscriber comes out. A port that another one has asked for within the last second
    is not given again, so the first packet may be dropped."""
    places: list[str] = []

    def tried() -> bool:
        places[:] = [seen.wire for seen in lab.flight([sent(host)])[0]]
        return bool(places)

    until(tried)
    return places


def test_everything_goes_and_every_block_is_free_at_once(lab: Lab, gateway: Path) -> None:
    assert elements(lab) == dict(zip(MAPS, (4, 4, 2, 2, 2, 2), strict=True))
    assert not any(lab.flight([sent("10.0.0.3"), sent("192.168.7.3")]))  # full

    assert cleared(lab, str(gateway)) == {"cleared": 8, "mappings": 6, "assignments": 4}

    assert sessions(lab, gateway) == 0
    assert elements(lab) == dict.fromkeys(MAPS, 0)
    # Other subscribers: what was refused a moment ago is refused again, with errors that have a rate.
    hosts = "10.0.0.4", "10.0.0.5", "192.168.7.4", "192.168.7.5"
    assert [served(lab, host) for host in hosts] == [["wan0"]] * len(hosts)


def test_one_subscriber(lab: Lab, gateway: Path) -> None:
    assert cleared(lab, str(gateway), "--subscriber", "10.0.0.1") == {
        "cleared": 1,
        "mappings": 1,
        "assignments": 1,
    }
    left = elements(lab)
    assert (left["ontrial1_blocks"], left["eim_blocks"], left["ontrial1_lines"]) == (1, 1, 2)
    assert (left["eim_homes"], left["eif_homes"]) == (4, 4)
    assert served(lab, "10.0.0.9") == ["wan0"]


def test_one_pool_and_one_address(lab: Lab, gateway: Path) -> None:
    assert cleared(lab, str(gateway), "--pool", "lines")["assignments"] == 2
    assert elements(lab)["ontrial1_blocks"] == 2
    assert cleared(lab, str(gateway), "--global", "203.0.113.8") == {
        "cleared": 2,
        "mappings": 2,
        "assignments": 2,
    }
    assert elements(lab)["eim_homes"] == 4


@pytest.mark.parametrize("pool", ["homes", "blocks"])
def test_a_protocol_or_a_port_leaves_assignments(lab: Lab, gateway: Path, pool: str) -> None:
    """They are for all protocols and for the whole block."""
    done = cleared(lab, str(gateway), "--pool", pool, "--proto", "udp")

    assert done == {"cleared": 2, "mappings": 2, "assignments": 0}
    assert elements(lab)["ontrial1_blocks"] == 2
    assert elements(lab)["eim_homes"] == (2 if pool == "homes" else 4)


def test_text_and_what_it_goes_with(lab: Lab, gateway: Path) -> None:
    text = lab.must(*NFCOMPILE, "sessions", "clear", str(gateway), "--pool", "blocks", "--mappings")
    assert text == "cleared 2 sessions, 2 mappings, 2 assignments\n"
    again = lab.must(*NFCOMPILE, "sessions", "clear", str(gateway), "--pool", "blocks", "--mappings")
    assert again == "cleared 0 sessions, 0 mappings, 0 assignments\n"
    refused = lab.run(*NFCOMPILE, "sessions", "list", str(gateway), "--mappings")
    assert refused.returncode == 2


def test_without_a_table_it_is_one_sentence(lab: Lab, gateway: Path) -> None:
    lab.load("table ip nfcompile\ndelete table ip nfcompile\n")

    done = lab.run(*NFCOMPILE, "sessions", "clear", str(gateway), "-y", "--mappings")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nfcompile: error: no ruleset of nfcompile is loaded here; apply the site first\n"
