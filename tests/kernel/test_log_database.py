"""`nfcompile log` into a real PostgreSQL: a burst, a restart in the midst of it, a daemon that is killed."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from support.lab import Lab
from support.log_command import logging
from support.postgresql import DatabaseServer, database_server
from support.sites import site
from support.waiting import until
from support.wires import INSIDE

POOL = """
acls: {homes: {10: allow ip 100.64.0.0/20}}
pools:
  homes: {type: cgnat, acl: homes, priority: 70, global_ip: [203.0.113.0/24], hairpin: off}
"""
BURST = """
import socket, struct, sys
first, last = int(sys.argv[1]), int(sys.argv[2])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("lan0", 0))
gateway = bytes.fromhex(sys.argv[3].replace(":", ""))
far = socket.inet_aton("198.18.0.1")
for n in range(first, last):
    home = struct.pack(">I", 0x64400000 + n % 4000)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, home, far)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    udp = struct.pack(">HHHH", 5000 + n // 4000, 443, 8, 0)
    link.send(gateway + b"\\2\\0\\0\\0\\0\\7" + b"\\x08\\0" + head + udp)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    with database_server() as made:
        yield made


def burst(lab: Lab, folder: Path, first: int, last: int) -> None:
    """Open connections as fast as one socket can, and let all of them end."""
    (folder / "burst.py").write_text(BURST)
    lan = json.loads(lab.must("ip", "-json", "link", "show", "dev", "lan0"))[0]["address"]
    lab.must(sys.executable, str(folder / "burst.py"), str(first), str(last), lan, side=INSIDE)
    lab.forget()


def ends(server: DatabaseServer) -> int:
    """How many connections of the burst have ended, by the table."""
    rows = server.rows("SELECT count(*) FROM nfcompile_connections WHERE remote_port = 443")
    return int(rows[0][0])


def test_thirty_thousand_connections_and_a_restart(lab: Lab, server: DatabaseServer, tmp_path: Path) -> None:
    """None is lost and none is twice; the server is killed in the midst, and is back later. A Parquet file
    beside it has the same, and is whole after SIGTERM."""
    lab.load(site(POOL).text.text)
    to = ("--to", server.url, "--to", f"parquet:{tmp_path}/parquet")
    with logging(lab, tmp_path, POOL, *to, "--only", "connections") as log:
        burst(lab, tmp_path, 0, 30_000)
        until(lambda: ends(server) >= 30_000, log.said)
        burst(lab, tmp_path, 30_000, 40_000)
        server.stop(signal.SIGQUIT)
        burst(lab, tmp_path, 40_000, 50_000)
        server.start()
        until(lambda: ends(server) >= 50_000, log.said)
        log.stop()
        stats = log.stats()
    found = server.rows(
        "SELECT count(*), count(DISTINCT (subscriber, subscriber_port)) "
        "FROM nfcompile_connections WHERE remote_port = 443"
    )
    assert found == [(50_000, 50_000)]
    files = [*(tmp_path / "parquet").iterdir()]
    assert [one.suffix for one in files] == [".parquet"]
    table = parquet.read_table(files[0], columns=["subscriber", "subscriber_port", "remote_port"])
    ours = {tuple(one.values()) for one in table.to_pylist() if one["remote_port"] == 443}
    assert len(ours) == 50_000
    assert stats["lost"] == 0


def test_what_a_killed_daemon_had_in_memory_is_counted(
    lab: Lab, server: DatabaseServer, tmp_path: Path
) -> None:
    """The database hangs, the daemon is killed: the next one says how many are lost, in the log too."""
    lab.load(site(POOL).text.text)
    to = ("--to", server.url, "--only", "connections")
    server.do("DROP TABLE IF EXISTS nfcompile_connections, nfcompile_events")
    with logging(lab, tmp_path, POOL, *to) as log:
        burst(lab, tmp_path, 0, 1000)
        until(lambda: ends(server) == 1000, log.said)
        server.freeze()
        burst(lab, tmp_path, 1000, 5000)
        until(lambda: in_memory(tmp_path) == 4000, log.said)
        log.stop("KILL")
        server.freeze(signal.SIGCONT)
        log.start(*to)
        burst(lab, tmp_path, 5000, 6000)
        until(lambda: ends(server) == 2000, log.said)
        assert "the last log was killed: at most 4000 records" in log.said()
        log.stop()
        assert log.stats()["lost"] == 4000
        log.start(*to)
        assert "killed" not in log.said()
    lost = server.rows("SELECT source, count FROM nfcompile_events WHERE event = 'log_lost'")
    assert lost == [("memory", 4000)]
    events = server.rows("SELECT event FROM nfcompile_events ORDER BY time")
    lives = [event for (event,) in events if event != "log_lost"]
    assert lives == ["log_started", "log_stopped"] * 3


def in_memory(folder: Path) -> int:
    """What the daemon has in memory for its output, by the mark that it keeps."""
    (mark,) = (folder / "state" / "log").glob("*/memory")
    return int.from_bytes(mark.read_bytes()[:8], "little")
