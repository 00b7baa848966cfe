"""`lookup` of dynamic pools says what packets show: from the live maps, and from ulogd2's log of any form."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.records import history, store
from support.command import NFCOMPILE
from support.frames import SYN, TCP, UDP, Packet
from support.lab import Lab
from support.log_daemon import listening, wait
from support.sites import site
from support.wires import route

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
SITE = (
    HEAD
    + """
nat_defaults: {port_block_size: 8, assignment_trial: 86400}
acls: {homes: {10: allow ip 100.64.0.0/24}, lines: {10: allow ip 10.0.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 1
    allocation: dynamic
    global_ip: [203.0.113.1, 203.0.113.4/31]
    port_range: 1024-1151
    hairpin: off
    limits_peruser: {portlimit_tcp: 16, portlimit_udp: 8, portlimit_icmp: 8}
  lines: {type: nat, acl: lines, priority: 2, global_ip: [203.0.113.8/29]}
"""
)
MOVED = SITE.replace("203.0.113.1, 203.0.113.4/31", "203.0.113.6, 203.0.113.4/31")
FAR = address("198.18.0.1")
HOMES = [address("100.64.0.1") + n for n in range(6)]
LINES = [address("10.0.0.1") + n for n in range(3)]


def ends(lab: Lab, protocol: int, source: int, count: int = 1) -> list[tuple[int, int]]:
    """The global ends that a server sees of so many sockets."""
    flags = SYN if protocol == TCP else 0
    packets = [Packet(protocol, source, 20000 + n, FAR, 443, flags) for n in range(count)]
    return [seen[0].packet[1:3] for seen in lab.flight([(route(source), one) for one in packets]) if seen]  # type: ignore[misc]


def everybody(lab: Lab) -> dict[tuple[int, int], int]:
    """Let everybody send, and one of them more than a block holds: global end -> subscriber."""
    found = {end: one for one in [*HOMES, *LINES] for end in ends(lab, UDP, one)}
    return found | dict.fromkeys(ends(lab, TCP, HOMES[2], 12), HOMES[2])


def asked(lab: Lab, *arguments: str) -> list[dict[str, object]]:
    """What lookup answers in JSON, as a list."""
    said = lab.run(*NFCOMPILE, "lookup", *arguments, "--format", "json")
    assert "Traceback" not in said.stderr
    first = json.loads(said.stdout)
    others = first.pop("also")
    assert (said.returncode == 0) == (first["action"] != "none"), said.stderr
    return [first, *others] if first["action"] != "none" else []


def check(lab: Lab, owners: dict[tuple[int, int], int], *arguments: str) -> None:
    """Both ways, for a third of the ends that were seen."""
    for (at, port), subscriber in [*owners.items()][::3]:
        (found,) = asked(lab, *arguments[:1], f"{address_text(at)}:{port}", *arguments[1:])
        assert found["subscriber"] == address_text(subscriber)
        blocks = asked(lab, *arguments[:1], address_text(subscriber), *arguments[1:])
        assert found in blocks
    for subscriber in {HOMES[2], HOMES[3], LINES[0]}:
        blocks = asked(lab, *arguments[:1], address_text(subscriber), *arguments[1:])
        assert len(blocks) == (2 if subscriber == HOMES[2] else 1)


def free_port(owners: dict[tuple[int, int], int]) -> int:
    """The first port at 203.0.113.4 in a block of nobody; the kernel draws the blocks."""
    taken = {port // 8 for at, port in owners if at == address("203.0.113.4")}
    return next(port for port in range(1024, 1152) if port // 8 not in taken)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "site.yaml").write_text(SITE)
    return str(tmp_path / "site.yaml")


def test_from_the_live_maps(lab: Lab, file: str, tmp_path: Path) -> None:
    lab.load(site(SITE).text.text)
    owners = everybody(lab)
    assert len(owners) >= 20

    check(lab, owners, file, "--live")
    everyone = asked(lab, file, "203.0.113.4", "--live")
    assert {one["subscriber"] for one in everyone} == {
        address_text(subscriber) for (at, _), subscriber in owners.items() if at == address("203.0.113.4")
    }
    assert asked(lab, file, f"203.0.113.4:{free_port(owners)}", "--live") == []
    in_vlan = asked(lab, file, f"{address_text(HOMES[2])}~102", "--live")
    assert in_vlan == asked(lab, file, address_text(HOMES[2]), "--live") != []
    assert asked(lab, file, "203.0.113.4~102", "--live") == []
    (idle,) = asked(lab, file, "100.64.0.99", "--live")
    assert (idle["pool"], idle["global_ip"], idle["action"]) == ("homes", None, "translate")
    other = tmp_path / "other.yaml"
    other.write_text(MOVED)
    wrong = lab.run(*NFCOMPILE, "lookup", str(other), "203.0.113.6:1024", "--live")
    assert wrong.returncode == 1
    assert wrong.stderr == (
        "nfcompile: error: the live table is not that of the site: pool 'homes' differs\n"
    )


def test_mappings_list_what_the_kernel_holds(lab: Lab, file: str, tmp_path: Path) -> None:
    lab.load(site(SITE).text.text)
    owners = everybody(lab)
    listed = lab.must(*NFCOMPILE, "mappings", file, "--live")
    rows = list(csv.DictReader(io.StringIO(listed)))

    assert {row["subscriber"] for row in rows} == {address_text(one) for one in [*HOMES, *LINES]}
    assert [(row["pool"], address(row["subscriber"])) for row in rows] == sorted(
        (row["pool"], address(row["subscriber"])) for row in rows
    )
    for (at, port), subscriber in owners.items():
        (row,) = (one for one in rows if one["subscriber"] == address_text(subscriber) and holds(one, port))
        assert row["global_ip"] == address_text(at)
    words = [row["protocols"] for row in rows if row["subscriber"] == address_text(HOMES[2])]
    assert words == ["tcp+udp+icmp", "tcp"]  # the second block is for TCP alone: the others' limit is one
    assert {row["protocols"] for row in rows if row["pool"] == "lines"} == {"all"}
    objects = json.loads(lab.must(*NFCOMPILE, "mappings", file, "--live", "--format", "json"))
    assert [one["subscriber"] for one in objects] == [row["subscriber"] for row in rows]

    assert len(lab.must(*NFCOMPILE, "mappings", file).splitlines()) == 1
    other = tmp_path / "other.yaml"
    other.write_text(MOVED)
    wrong = lab.run(*NFCOMPILE, "mappings", str(other), "--live")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == (
        "nfcompile: error: the live table is not that of the site: pool 'homes' differs\n"
    )


@pytest.mark.parametrize("question", ["203.0.113.4:1024", "100.64.0.1", "198.51.100.1"])
def test_where_nothing_is_loaded_nobody_is_asked(lab: Lab, file: str, question: str) -> None:
    lab.load("table ip nfcompile\ndelete table ip nfcompile\n")
    said = lab.run(*NFCOMPILE, "lookup", file, question, "--live")

    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == "nfcompile: error: no ruleset of nfcompile is loaded here; apply the site first\n"


def holds(row: dict[str, str], port: int) -> bool:
    """Whether a row's ports, if it has any, have this one."""
    return row["port_first"] == "" or int(row["port_first"]) <= port <= int(row["port_last"])


@pytest.mark.parametrize("form", ["json", "syslog"])
def test_from_the_log(lab: Lab, file: str, tmp_path: Path, form: str) -> None:
    lab.load(site(SITE).text.text)
    with listening(lab, tmp_path, form) as written:
        owners = everybody(lab)
        wait(lambda: written.exists() and written.read_text().count("nfcompile assign") >= 10, tmp_path)
    time.sleep(1.1)  # the syslog form has whole seconds
    log = str(written)

    check(lab, owners, file, "--log", log)

    folder = tmp_path / "state"
    with store.locked(str(folder)):
        digest = store.keep(str(folder), SITE.encode())
        other = store.keep(str(folder), MOVED.encode())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for number, (at, live) in enumerate([("2026-01-01T00:00:00.000000Z", digest), (now, other)], 1):
        event = history.Event(
            number, at, "applied", live, "s", "root", os.getuid(), "gw", "1", f"b{number}/1", 1.0
        )
        store.append(str(folder), event)
    options = ["--log", log, "--state-dir", str(folder), "--at"]
    check(lab, owners, file, *options, now[:19] + "Z")
    # A minute ago nobody had anything; of the site that is live since, only numbers that mean the same count.
    (found, *_) = owners
    assert asked(lab, f"{address_text(found[0])}:{found[1]}", *options, "2026-01-02T00:00Z") == []
    later = datetime.now(UTC).isoformat()
    for (at, port), subscriber in [*owners.items()][::3]:
        still = asked(lab, f"{address_text(at)}:{port}", *options, later)
        assert [one["subscriber"] for one in still] == (
            [] if at == address("203.0.113.1") else [address_text(subscriber)]
        )
    report = lab.must(*NFCOMPILE, "lookup", "100.64.0.4", *options, later, "--report", "--format", "json")
    assert json.loads(report)["answers"][0]["configuration"]["sha256"] == other
