"""`sessions` against a kernel: every connection with its pool, and only what is named ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from nfcompile.kernel import conntrack
from nfcompile.live.session_counts import SessionCounts, count_sessions
from nfcompile.live.sessions import SessionFilter, sessions
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support import conntrack_entries
from support.command import NFCOMPILE
from support.frames import ECHO, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.waiting import PATIENCE
from support.wires import GATEWAY, GATEWAY_ADDRESS

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {permit_invalid_flow: on, timeouts_inactivity: {tcp_handshake: 300}}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  office: {10: allow ip 10.0.0.0/24}
  public: {10: allow ip 192.168.7.0/24}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30],
          limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}}
  office: {type: nat, acl: office, priority: 2, global_ip: [203.0.113.16/28]}
  servers: {type: static, priority: 3, global_map: {192.168.0.5: 203.0.113.40}}
  public: {type: fake, acl: public, priority: 4}
snat:
  rest: {src_cidr: 172.31.0.0/24, snat_ip: 172.32.0.9}
"""
FAR = address("198.18.0.1")


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Path:
    """The site loaded, and connections of every kind."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    lab.load(site(SITE).text.text)
    outgoing = [
        Packet(protocol, address(source), 5000, FAR, 0 if protocol == ICMP else 443, flags)
        for source in ("100.64.0.1", "100.64.0.2", "10.0.0.7", "192.168.0.5", "192.168.7.9", "172.31.0.77")
        for protocol, flags in ((TCP, SYN), (UDP, 0), (ICMP, ECHO))
    ]
    lab.exchange(("lan0", one) for one in outgoing)
    lab.exchange([("wan0", Packet(TCP, FAR, 999, address("203.0.113.40"), 25, SYN))])
    return path


def run(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lab.run(*NFCOMPILE, "sessions", *arguments)


def listed(lab: Lab, *arguments: str) -> list[dict[str, object]]:
    done = run(lab, "list", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_every_session_has_its_pool(lab: Lab, gateway: Path) -> None:
    rows = listed(lab, str(gateway))
    paths = sorted((row["path"], row["subscriber"], row["direction"]) for row in rows)
    udp = next(row for row in rows if row["subscriber"] == "100.64.0.2" and row["protocol"] == "udp")
    inward = next(row for row in rows if row["direction"] == "in")
    public = next(row for row in rows if row["pool"] == "public" and row["protocol"] == "icmp")

    assert paths == sorted(
        [
            *3 * [("pools.homes", "100.64.0.1", "out")],
            *3 * [("pools.homes", "100.64.0.2", "out")],
            *3 * [("pools.office", "10.0.0.7", "out")],
            *3 * [("pools.servers", "192.168.0.5", "out")],
            ("pools.servers", "192.168.0.5", "in"),
            *3 * [("pools.public", "192.168.7.9", "out")],
            *3 * [("snat.rest", "172.31.0.77", "out")],
        ]
    )
    assert {row["pool"] for row in rows if row["path"] == "snat.rest"} == {None}
    assert str(udp["global_ip"]).startswith("203.0.113.")
    assert udp["state"] == "replied"
    assert (udp["subscriber_port"], udp["remote_ip"], udp["remote_port"]) == (5000, "198.18.0.1", 443)
    assert list(inward.values())[4:10] == ["192.168.0.5", 25, "203.0.113.40", 25, "198.18.0.1", 999]
    assert inward["state"] == "syn_recv"
    assert (public["global_ip"], public["global_port"]) == ("192.168.7.9", 5000)
    assert (public["subscriber_port"], public["remote_ip"], public["remote_port"]) == (
        5000,
        "198.18.0.1",
        None,
    )


def test_filters(lab: Lab, gateway: Path) -> None:
    name = str(gateway)
    port = next(
        row["global_port"] for row in listed(lab, name, "--subscriber", "100.64.0.1", "--proto", "udp")
    )
    globally = next(row["global_ip"] for row in listed(lab, name, "--subscriber", "100.64.0.1"))

    assert len(listed(lab, name, "--pool", "office")) == 3
    assert len(listed(lab, name, "--subscriber", "100.64.0.0/24")) == 6
    assert len(listed(lab, name, "--proto", "icmp")) == 6
    assert len(listed(lab, name, "--proto", "47")) == 0
    assert [
        row["protocol"] for row in listed(lab, name, "--global", f"{globally}:{port}", "--proto", "udp")
    ] == ["udp"]
    assert len(listed(lab, name, "--global", "203.0.113.40")) == 4


def test_forms_say_the_same(lab: Lab, gateway: Path) -> None:
    rows = listed(lab, str(gateway))
    text = run(lab, str(gateway)).stdout.splitlines()
    table = list(csv.DictReader(io.StringIO(run(lab, "list", str(gateway), "--format", "csv").stdout)))

    assert len(text) - 1 == len(table) == len(rows)
    assert [row["subscriber"] for row in table] == [row["subscriber"] for row in rows]
    assert {line.split()[3].partition(":")[0] for line in text[1:]} == {row["subscriber"] for row in rows}


def test_clear_ends_one_subscriber_and_leaves_the_others(lab: Lab, gateway: Path) -> None:
    before = listed(lab, str(gateway))
    cleared = run(lab, "clear", str(gateway), "--subscriber", "100.64.0.1")
    after = listed(lab, str(gateway))

    assert (cleared.returncode, cleared.stdout) == (0, "cleared 3 sessions\n")
    assert {row["subscriber"] for row in before} - {row["subscriber"] for row in after} == {"100.64.0.1"}
    assert len(before) - len(after) == 3
    again = run(lab, "clear", str(gateway), "--subscriber", "100.64.0.1", "--format", "json")
    assert json.loads(again.stdout) == {"cleared": 0}


def test_clear_leaves_what_is_not_the_sites(lab: Lab, gateway: Path) -> None:
    foreign = Packet(UDP, address("192.168.200.1"), 5000, FAR, 53)
    lab.exchange([("lan0", foreign)])
    cleared = run(lab, "clear", str(gateway))
    left = lab.ask(GATEWAY, _sources)

    assert cleared.stdout == f"cleared {6 * 3 + 1} sessions\n"
    assert left == [foreign.source]


def _sources() -> list[int]:
    return [flow.src for flow in conntrack.flows() if flow.dst == FAR]


def test_a_real_connection_goes_on_after_another_one_was_cleared(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("permit_invalid_flow: on", "permit_invalid_flow: off"))
    lab.load(site(path.read_text()).text.text)
    with lab.connection("100.64.0.9", "198.18.0.77") as (here, there):
        assert run(lab, "clear", str(path), "--subscriber", "100.64.0.1").stdout == "cleared 0 sessions\n"
        here.send(b"goes on")
        assert there.recv(100) == b"goes on"
        mine = listed(lab, str(path), "--subscriber", "100.64.0.9")
        assert [(row["state"], row["subscriber_port"]) for row in mine] == [
            ("established", here.getsockname()[1])
        ]
        seen = there.getpeername()
        assert (mine[0]["global_ip"], mine[0]["global_port"]) == seen
        assert run(lab, "clear", str(path), "--pool", "homes").stdout == "cleared 1 session\n"


def test_clearing_everything_asks_on_a_terminal(lab: Lab, gateway: Path) -> None:
    parent, child = pty.openpty()
    try:
        os.write(parent, b"n\n")
        asked = lab.ask(
            GATEWAY, _on_terminal, os.ttyname(child), [*NFCOMPILE, "sessions", "clear", str(gateway)]
        )
    finally:
        os.close(parent)
        os.close(child)

    assert asked[0] == 1
    assert "end all sessions of this site" in asked[1]
    assert len(listed(lab, str(gateway))) == 19


def _on_terminal(terminal: str, command: list[str]) -> tuple[int, str]:
    with open(terminal) as stdin:
        done = subprocess.run(
            command, stdin=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    return done.returncode, done.stderr


def test_one_sentence_where_nothing_is_loaded(lab: Lab, gateway: Path) -> None:
    lab.must("nft", "flush", "ruleset")
    done = run(lab, "list", str(gateway))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nfcompile: error: no ruleset of nfcompile is loaded here; apply the site first\n"


def test_words_that_cannot_be_followed(lab: Lab, gateway: Path) -> None:
    for arguments, sentence in (
        (
            ["--pool", "nobody"],
            "no enabled pool is called 'nobody'; there are: homes, office, servers, public",
        ),
        (["--subscriber", "100.64.0.1/24"], "--subscriber: "),
        (["--global", "203.0.113.1:0"], "'203.0.113.1:0' is not an address, or an address:port"),
        (["--proto", "tcpp"], "or a number up to 255"),
    ):
        done = run(lab, "list", str(gateway), *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert sentence in done.stderr


def test_hairpinned_sessions_are_found_by_both_subscribers(lab: Lab, gateway: Path) -> None:
    udp = [row for row in listed(lab, str(gateway), "--subscriber", "100.64.0.1") if row["protocol"] == "udp"]
    there = address(str(udp[0]["global_ip"])), int(str(udp[0]["global_port"]))
    lab.exchange([("lan0", Packet(UDP, address("100.64.0.2"), 6000, *there))])
    found = [
        row for row in listed(lab, str(gateway), "--subscriber", "100.64.0.1") if row["protocol"] == "udp"
    ]
    hairpin = next(row for row in found if row["subscriber"] == "100.64.0.2")

    assert len(found) == 2
    assert (hairpin["direction"], hairpin["remote_ip"]) == ("out", address_text(there[0]))


MANY = 100_000
LARGE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/20}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/27],
          limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
"""


def test_a_hundred_thousand_are_all_found_and_take_no_memory(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(LARGE)
    lab.load(site(LARGE).text.text)
    lab.ask(GATEWAY, conntrack_entries.fill, MANY)
    walk, found, peak = lab.ask(GATEWAY, _walk_traced)
    lines = run(lab, "list", str(path)).stdout.splitlines()
    cleared = run(lab, "clear", str(path), "--subscriber", "100.64.0.0/22", "--format", "json")

    assert walk.sessions == {("pools", "homes"): MANY}
    assert walk.active == {("pools", "homes"): -(-MANY // 64)}
    assert (found, len(lines)) == (MANY, MANY + 1)
    assert peak < 1_000_000
    assert json.loads(cleared.stdout) == {"cleared": 1024 * 64}
    assert lab.ask(GATEWAY, conntrack.count)[0] == MANY - 1024 * 64


def _walk_traced() -> tuple[SessionCounts, int, int]:
    """What is counted; how many sessions there are; and the most bytes that going through them held."""
    compiled = site(LARGE)
    walk = count_sessions(compiled, conntrack.flows())
    tracemalloc.start()
    try:
        found = sum(1 for _ in sessions(compiled, conntrack.flows(), SessionFilter()))
        return walk, found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_sessions_with_the_address_of_the_interface(lab: Lab, tmp_path: Path) -> None:
    """They are the rule's by its qualifiers; what another one masquerades is nobody's."""
    text = """
snat:
  keep: {dst_cidr: 198.18.9.0/24, exclude: on}
  home: {src_cidr: 10.0.0.0/24, snat_ip: interface}
"""
    path = tmp_path / "site.yaml"
    path.write_text("version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n" + text)
    lab.load(site(text).text.text)
    lab.exchange(
        ("lan0", Packet(UDP, address(source), 5000, address(far), 443, 0))
        for source, far in (
            ("10.0.0.7", "198.18.0.1"),
            ("10.0.0.8", "198.18.0.1"),
            ("10.0.0.7", "198.18.9.1"),
        )
    )

    rows = listed(lab, str(path))

    assert sorted((row["path"], row["subscriber"], row["global_ip"]) for row in rows) == [
        ("snat.home", "10.0.0.7", GATEWAY_ADDRESS),
        ("snat.home", "10.0.0.8", GATEWAY_ADDRESS),
    ]
    found = json.loads(lab.run(*NFCOMPILE, "status", str(path), "--format", "json").stdout)
    assert found["snat"] == [{"rule": "home", "path": "snat.home", "sessions": 2, "active_subscribers": 2}]
    answer = json.loads(
        lab.run(*NFCOMPILE, "lookup", str(path), "10.0.0.7", "--live", "--format", "json").stdout
    )
    assert (answer["action"], answer["subscriber"], answer["global_ip"]) == ("interface", "10.0.0.7", None)
