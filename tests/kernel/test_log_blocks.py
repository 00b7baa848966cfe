"""`nfcompile log` and the blocks of dynamic pools: every assignment and every release, with real packets."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.command import NFCOMPILE
from support.dynamic_pools import SHORT
from support.frames import UDP, Packet
from support.lab import Lab
from support.log_command import LogCommand, logging
from support.sites import HEAD, site
from support.wires import route

FAR = address("198.18.0.1")
HOME = address("100.64.0.1")
POOLS = """
nat_defaults: {port_block_size: 8, assignment_trial: 86400, timeouts_inactivity: {TIMEOUTS}}
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/24]
    port_range: 1024-1151
    hairpin: off
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
"""
LASTING = POOLS.replace("TIMEOUTS", "udp: 300")
BRIEF = POOLS.replace("TIMEOUTS", SHORT)


def send(lab: Lab, subscribers: range) -> list[tuple[int, int] | None]:
    """What a server sees of each subscriber: global address and port."""
    packets = [(route(HOME + n), Packet(UDP, HOME + n, 5000, FAR, 443, 0)) for n in subscribers]
    return [
        (seen[0].packet.source, seen[0].packet.source_port) if seen else None for seen in lab.flight(packets)
    ]


def test_a_burst_of_three_thousand_assignments(lab: Lab, tmp_path: Path) -> None:
    """None is lost, each names the address and ports that a server sees."""
    lab.load(site(LASTING).text.text)
    with logging(lab, tmp_path, LASTING, "--to", f"json:{tmp_path}/log.jsonl", "--only", "blocks") as log:
        ends = send(lab, range(3000))
        log.waits(lambda: len(log.events("block_assigned")) >= 3000)
        log.stop()
        found = {one["subscriber"]: one for one in log.events("block_assigned")}
        (source_,) = log.stats()["sources"]
    assert len(log.events("block_assigned")) == len(found) == 3000
    for n, end in enumerate(ends):
        assert end is not None
        one = found[address_text(HOME + n)]
        assert one["global_ip"] == address_text(end[0])
        assert one["port_first"] <= end[1] <= one["port_last"] == one["port_first"] + 7
    assert (source_["read"], source_["lost"]) == (3000, 0)
    assert not log.events("log_lost")


def test_a_release_is_known_to_the_millisecond(lab: Lab, tmp_path: Path) -> None:
    """Two seconds after the only packet, whenever the daemon came to look"""
    lab.load(site(BRIEF).text.text)
    with logging(lab, tmp_path, BRIEF) as log:
        send(lab, range(20))
        log.waits(lambda: len(log.events("block_released")) >= 20)
        assigned = {one["subscriber"]: one for one in log.events("block_assigned")}
        released = {one["subscriber"]: one for one in log.events("block_released")}
        assert log.stats()["lost"] == 0
    assert len(assigned) == len(released) == 20
    for subscriber, end in released.items():
        begin = assigned[subscriber]
        assert end | {"event": 0, "time": 0} == begin | {"event": 0, "time": 0}
        assert 1.95 < seconds(end) - seconds(begin) < 2.1


def test_a_block_in_use_is_not_released(lab: Lab, tmp_path: Path) -> None:
    """The element lives longer than at the first look, so it is looked at again."""
    lab.load(site(BRIEF).text.text)
    with logging(lab, tmp_path, BRIEF) as log:
        send(lab, range(2))
        log.waits(lambda: len(log.events("block_assigned")) >= 2)
        for _ in range(8):
            time.sleep(0.5)
            send(lab, range(1))
        log.waits(lambda: len(log.events("block_released")) >= 1)
        busy, idle = (address_text(HOME + n) for n in range(2))
        assert [one["subscriber"] for one in log.events("block_released")] == [idle]
        log.waits(lambda: len(log.events("block_released")) >= 2)
        assert log.events("block_released")[-1]["subscriber"] == busy
        begin, end = (log.events(f"block_{word}")[-1] for word in ("assigned", "released"))
    assert seconds(end) - seconds(begin) > 5


def test_what_was_assigned_before_the_log_began_is_held(lab: Lab, tmp_path: Path) -> None:
    lab.load(site(LASTING).text.text)
    ends = send(lab, range(5))
    with logging(lab, tmp_path, LASTING) as log:
        log.waits(lambda: len(log.events("block_held")) >= 5)
        send(lab, range(6))
        log.waits(lambda: log.events("block_assigned"))
        held, assigned = log.events("block_held"), log.events("block_assigned")
    assert {one["subscriber"] for one in held} == {address_text(HOME + n) for n in range(5)}
    assert {one["global_ip"] for one in held} == {address_text(end[0]) for end in ends if end}
    assert [one["subscriber"] for one in assigned] == [address_text(HOME + 5)]


def test_what_is_assigned_while_the_log_begins_is_told_once(lab: Lab, tmp_path: Path) -> None:
    """A block that is found in the kernel, and of which a message is still on its way."""
    many = LASTING.replace("1024-1151", "1024-9215")
    lab.load(site(many).text.text)
    log = LogCommand(lab, tmp_path, many)
    with ThreadPoolExecutor() as beside:
        running = beside.submit(log.run, "--to", f"json:{log.file}", "--only", "blocks")
        sent = 0
        while not log.lines() or sent % 100:
            send(lab, range(sent, sent + 10))
            sent += 10
        running.result()
    log.waits(lambda: len(log.events("block_assigned", "block_held")) >= sent)
    log.stop()
    assert log.events("block_released") == []
    assert len(log.events("block_assigned", "block_held")) == sent


def test_a_block_that_is_taken_out_is_released(lab: Lab, tmp_path: Path) -> None:
    """The next message about its number shows it, at the latest."""
    lab.load(site(LASTING).text.text)
    with logging(lab, tmp_path, LASTING) as log:
        send(lab, range(1))
        log.waits(lambda: log.events("block_assigned"))
        lab.must("nft", "-f", "-", stdin="flush map ip nfcompile assigned1_homes\n")
        log.waits(lambda: log.events("block_released"))


def test_an_apply_changes_what_numbers_mean(lab: Lab, tmp_path: Path) -> None:
    """The log follows the live site: other addresses after an apply, and the old blocks are released."""
    lab.must("nft", "flush", "ruleset")
    lab.forget()
    with logging(lab, tmp_path, LASTING) as log:
        applies(log, LASTING)
        before = send(lab, range(3))
        log.waits(lambda: len(log.events("block_assigned")) >= 3)
        applies(log, LASTING.replace("203.0.113.0/24", "198.51.100.0/24"))
        log.waits(lambda: len(log.events("block_released")) >= 3)
        time.sleep(1.1)  # the second in which a subscriber's first search lets no other one begin
        after = send(lab, range(3))
        log.waits(lambda: len(log.events("block_assigned")) >= 6)
        found = log.events("block_assigned", "block_held")
    assert [one["global_ip"] for one in found] == [address_text(end[0]) for end in (*before, *after) if end]


def test_lookup_reads_the_log(lab: Lab, tmp_path: Path) -> None:
    """The subscriber of a block while it was assigned, and nobody after its release."""
    lab.must("nft", "flush", "ruleset")
    lab.forget()
    with logging(lab, tmp_path, BRIEF) as log:
        applies(log, BRIEF)
        (end,) = send(lab, range(1))
        assert end is not None
        log.waits(lambda: log.events("block_released"))
        begin, over = (log.events(f"block_{word}")[0]["time"] for word in ("assigned", "released"))
        asked = f"{address_text(end[0])}:{end[1]}"
        then, later = (lookup(log, asked, at) for at in (begin, over))
    assert then["subscriber"] == address_text(HOME)
    assert then["port_first"] <= end[1] <= then["port_last"]
    assert later["action"] == "none"


def seconds(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def applies(log: LogCommand, text: str) -> None:
    file = log.folder / "next.yaml"
    file.write_text(HEAD + text)
    log.lab.must(*NFCOMPILE, "apply", str(file), "-q", "-y", "--state-dir", str(log.folder / "state"))


def lookup(log: LogCommand, asked: str, at: str) -> dict[str, Any]:
    words = ("lookup", asked, "--at", at, "--log", str(log.file), "--format", "json", "-q")
    done = log.lab.run(*NFCOMPILE, *words, "--state-dir", str(log.folder / "state"))
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
