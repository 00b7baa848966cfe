"""`nfcompile log` and connections: their ends, to JSON lines and IPFIX, and a collector that is away."""

from __future__ import annotations

import itertools
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.frames import ECHO, ICMP, UDP, Packet
from support.ipfix import Collector
from support.lab import Lab
from support.log_command import LogCommand, logging
from support.sites import site
from support.waiting import until
from support.wires import GATEWAY, route

FAR, HOME = address("198.18.0.1"), address("100.64.0.1")
POOLS = """
acls: {homes: {10: allow ip 100.64.0.0/20}, quiet: {10: allow ip 100.65.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 70, global_ip: [203.0.113.0/24], hairpin: off}
  quiet: {type: cgnat, acl: quiet, priority: 80, global_ip: [198.51.100.0/28], hairpin: off,
          connection_logging: off}
snat:
  office: {src_cidr: 10.9.0.0/24, snat_ip: 192.0.2.77}
"""
DYNAMIC = """
nat_defaults: {port_block_size: 8}
acls: {homes: {10: allow ip 100.64.0.0/20}}
pools:
  homes:
    type: cgnat
    allocation: dynamic
    acl: homes
    priority: 70
    global_ip: [203.0.113.0/25]
    port_range: 1024-1151
    hairpin: off
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
"""
PORT = 4739
SMALL = 4


def send(lab: Lab, subscribers: range, protocol: int = UDP, home: int = HOME) -> list[tuple[int, int]]:
    """The global address and port of each."""
    far_port, flags = (0, ECHO) if protocol == ICMP else (443, 0)
    packets = [(route(home + n), Packet(protocol, home + n, 5000, FAR, far_port, flags)) for n in subscribers]
    return [seen[0].packet[1:3] for seen in lab.flight(packets)]


def connections(log: LogCommand) -> list[dict[str, object]]:
    return log.events("connection_began", "connection_ended")


def collector(lab: Lab, kind: int = socket.SOCK_STREAM) -> Collector:
    lab.must("ip", "link", "set", "lo", "up")
    return Collector(lab.socket(GATEWAY, kind, ("127.0.0.1", PORT)))


def test_the_end_of_each_connection(lab: Lab, tmp_path: Path) -> None:
    """Of the pool that logs, and of the snat rule; a pool that does not log stays silent."""
    lab.load(site(POOLS).text.text)
    with logging(lab, tmp_path, POOLS) as log, lab.sysctl("net/netfilter/nf_conntrack_timestamp", "1"):
        (udp,) = send(lab, range(1))
        (ping,) = send(lab, range(1, 2), ICMP)
        (office,) = send(lab, range(1), home=address("10.9.0.5"))
        send(lab, range(1), home=address("100.65.0.1"))
        lab.forget()
        log.waits(lambda: len(connections(log)) >= 3)
        log.stop()
        found = {one["subscriber"]: one for one in connections(log)}
        stats = log.stats()
    assert set(found) == {"100.64.0.1", "100.64.0.2", "10.9.0.5"}
    one = found["100.64.0.1"]
    assert (one["pool"], one["priority"], one["protocol"], one["opened"]) == ("homes", 70, UDP, "inside")
    assert (one["subscriber_port"], one["global_ip"], one["global_port"]) == (
        5000,
        address_text(udp[0]),
        udp[1],
    )
    assert (one["remote"], one["remote_port"]) == (address_text(FAR), 443)
    assert str(one["began"]) < str(one["time"])
    assert found["100.64.0.2"]["global_port"] == ping[1]
    assert (found["10.9.0.5"]["rule"], found["10.9.0.5"]["global_ip"]) == ("office", address_text(office[0]))
    assert stats["lost"] == 0


def test_a_burst_of_ends_is_whole(lab: Lab, tmp_path: Path) -> None:
    """Three thousand connections end at once."""
    lab.load(site(POOLS).text.text)
    with logging(lab, tmp_path, POOLS) as log:
        ends = send(lab, range(3000))
        lab.forget()
        log.waits(lambda: len(connections(log)) >= 3000)
        log.stop()
        found = [(one["global_ip"], one["global_port"]) for one in connections(log)]
        assert log.stats()["lost"] == 0
    assert sorted(found) == sorted((address_text(at), port) for at, port in ends)


def test_what_the_kernel_had_no_room_for_is_counted(lab: Lab, tmp_path: Path) -> None:
    """A daemon that sleeps, with a receive buffer of 4 KiB: read and lost are all there were."""
    lab.load(site(POOLS).text.text)
    with logging(
        lab,
        tmp_path,
        POOLS,
        "--to",
        f"json:{tmp_path}/log.jsonl",
        "--buffer",
        str(SMALL),
        "--only",
        "connections",
    ) as log:
        log.signal("STOP")
        send(lab, range(1000))
        lab.forget()
        log.signal("CONT")
        log.waits(lambda: log.events("log_lost"))
        log.stop()
        (source,) = log.stats()["sources"]
        noted = sum(one["count"] for one in log.events("log_lost"))
        logged = len(connections(log))
    # The marker's own connections are not of the site.
    assert source["lost"] == noted > 0
    assert logged + noted >= 1000
    assert source["read"] - source["foreign"] == logged
    assert "were lost: the receive buffer was full" in log.said()


def test_blocks_of_lost_messages_are_found_in_the_kernel(lab: Lab, tmp_path: Path) -> None:
    lab.load(site(DYNAMIC).text.text)
    options = ("--to", f"json:{tmp_path}/log.jsonl", "--buffer", str(SMALL), "--only", "blocks")
    with logging(lab, tmp_path, DYNAMIC, *options) as log:
        log.signal("STOP")
        ends = send(lab, range(1000))
        log.signal("CONT")
        log.waits(lambda: len(log.events("block_assigned", "block_held")) >= 1000)
        send(lab, range(1000, 1001))  # its number shows how many are missing
        log.waits(lambda: log.events("log_lost"))
        found = log.events("block_assigned", "block_held")
        lost = sum(one["count"] for one in log.events("log_lost"))
    assert lost > 0
    assert len(log.events("block_held")) == lost
    assert {one["subscriber"] for one in found} == {address_text(HOME + n) for n in range(1001)}
    assert {one["global_ip"] for one in found} >= {address_text(at) for at, _ in ends}


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_collector_decodes_ipfix(lab: Lab, tmp_path: Path, kind: str) -> None:
    """Begin and end of connections (4, 5), blocks (16); no message is missing."""
    lab.load(site(DYNAMIC).text.text)
    gathers = collector(lab, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    to = ("--to", f"ipfix+{kind}://127.0.0.1:{PORT}", "--begins")
    with logging(lab, tmp_path, DYNAMIC, *to) as log:
        ends = send(lab, range(300))
        lab.forget()
        until(lambda: Counter(one["event"] for one in gathers.records)[5] >= 300, log.said)
    gathers.close()
    assert Counter(one["event"] for one in gathers.records) == {4: 300, 5: 300, 16: 300}
    assert [decoder.missing for decoder in gathers.decoders] == [0]
    last = [one for one in gathers.records if one["event"] == 5]
    assert {(one["global_ip"], one["global_port"]) for one in last} == set(ends)
    assert {(one["pool"], one["realm"], one["protocol"]) for one in last} == {(70, 1, UDP)}
    blocks = {one["subscriber"]: one for one in gathers.records if one["event"] == 16}
    for n, (at, port) in enumerate(ends):
        one = blocks[HOME + n]
        assert one["global_ip"] == at
        assert one["port_first"] <= port <= one["port_last"]
        assert one["step"] == 1
    assert all(abs(one["time"] / 1000 - time.time()) < 600 for one in gathers.records)


def test_a_collector_that_is_away_gets_all_later(lab: Lab, tmp_path: Path) -> None:
    """It was never there, it comes, it goes: each record is delivered, over a restart of the daemon too."""
    lab.load(site(POOLS).text.text)
    to = ("--to", f"ipfix+tcp://127.0.0.1:{PORT}")
    lab.must("ip", "link", "set", "lo", "up")
    with logging(lab, tmp_path, POOLS, *to) as log:
        send(lab, range(500))
        lab.forget()
        log.stop()
        assert "are kept for the next start" in log.said()
        assert log.stats()["outputs"][0]["spooled"] > 0
        log.start(*to)
        gathers = collector(lab)
        until(lambda: len(gathers.records) >= 500, log.said)
        gathers.close()
        send(lab, range(500, 900))
        lab.forget()
        time.sleep(1)
        again = collector(lab)
        until(lambda: len(again.records) >= 400, log.said)
        log.stop()
        stats = log.stats()
    again.close()
    found = {one["subscriber"] for one in (*gathers.records, *again.records)}
    assert found == {HOME + n for n in range(900)}
    assert stats["lost"] == 0
    assert stats["outputs"][0]["spooled"] == 0


def test_sigterm_loses_nothing_that_was_sent(lab: Lab, tmp_path: Path) -> None:
    """What is in the socket when the signal comes is read and written."""
    lab.load(site(POOLS).text.text)
    with logging(lab, tmp_path, POOLS) as log:
        log.signal("STOP")
        send(lab, range(2000))
        lab.forget()
        log.signal("TERM")
        log.signal("CONT")
        log.stop()
        assert len(connections(log)) == 2000
        assert log.lines()[-1]["event"] == "log_stopped"


def test_a_file_that_was_moved_away_is_begun_anew(lab: Lab, tmp_path: Path) -> None:
    lab.load(site(POOLS).text.text)
    with logging(lab, tmp_path, POOLS) as log:
        send(lab, range(10))
        lab.forget()
        log.waits(lambda: len(connections(log)) >= 10)
        old = log.file.rename(tmp_path / "log.1")
        log.signal("HUP")
        sent = itertools.count(10)

        def is_begun() -> bool:
            one = next(sent)
            send(lab, range(one, one + 1))
            lab.forget()
            return log.file.exists()

        until(is_begun, log.said)
        log.stop()
        found = [one["subscriber"] for file in (old, log.file) for one in log.lines(file) if "pool" in one]
    assert sorted(found) == sorted(address_text(HOME + n) for n in range(next(sent)))


def test_one_daemon_for_a_gateway(lab: Lab, tmp_path: Path) -> None:
    lab.load(site(DYNAMIC).text.text)
    with logging(lab, tmp_path, DYNAMIC) as log:
        second = lab.run(*log.words("--to", "json:-"))
        elsewhere = [
            word.replace(str(tmp_path / "state"), str(tmp_path / "other"))
            for word in log.words("--to", "json:-")
        ]
        third = lab.run(*elsewhere)
    assert (second.returncode, third.returncode) == (1, 1)
    assert "another 'nfcompile log' runs" in second.stderr
    assert "another program reads NFLOG group 5 already" in third.stderr
