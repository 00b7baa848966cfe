"""Records in a real PostgreSQL: days, how long they are kept, a server that goes away in the midst."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from nfcompile.log import database
from nfcompile.log.delivery import Delivery, OutputAway
from nfcompile.log.destination import BadDestination, OutputSettings
from nfcompile.log.outputs import opened
from nfcompile.log.records import LOST, STARTED, LogEvent
from nfcompile.log.spool import Spool
from support.log_records import AT, BLOCK, CONNECTION, RECORDS, RULE
from support.postgresql import database_server
from support.waiting import until

DAY = 86_400_000_000
TABLES = ("nfcompile_blocks", "nfcompile_connections", "nfcompile_events", "nfcompile_deliveries")


@pytest.fixture(scope="module")
def _server():
    with database_server() as server:
        yield server


@pytest.fixture
def server(_server):
    """An empty database."""
    _server.do(f"DROP TABLE IF EXISTS {', '.join(TABLES)}")
    return _server


def output(server, keep=0, gateway="gw1"):
    return opened(server.url, OutputSettings(gateway, keep))


def days(server):
    rows = server.rows("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'nfcompile_b%'")
    return sorted(name.removeprefix("nfcompile_blocks_") for (name,) in rows)


def test_each_kind_of_record_has_its_table(server):
    made = output(server)
    made.deliver(RECORDS)
    made.close()

    (block,) = server.rows("SELECT * FROM nfcompile_blocks WHERE event = 'block_assigned'")
    assert [str(one) for one in block] == [
        *("2026-05-01 10:00:02.000005+00:00", "block_assigned", "gw1", "homes", "70"),
        *("100.64.0.1", "203.0.113.9", "1072", "1079", "33554470"),
    ]
    whole = server.rows("SELECT port_first, port_last FROM nfcompile_blocks WHERE event = 'block_released'")
    assert whole == [(0, 65535)]
    rows = server.rows(
        "SELECT event, pool, rule, opened, began IS NULL FROM nfcompile_connections ORDER BY 1"
    )
    assert rows == [
        ("connection_began", None, "office", "outside", True),
        ("connection_ended", "homes", None, "inside", False),
    ]
    events = server.rows("SELECT event, source, count FROM nfcompile_events ORDER BY 1")
    assert events == [("log_lost", "blocks", 7), ("log_started", None, None), ("log_stopped", None, None)]


def test_each_day_has_a_partition(server):
    made = output(server)
    for number in (0, 1, 40):
        made.deliver([BLOCK._replace(at=AT + number * DAY)])
    made.deliver([BLOCK._replace(at=AT - AT % DAY + DAY - 1), BLOCK._replace(at=AT - AT % DAY + DAY)])
    made.close()

    assert days(server) == ["20260501", "20260502", "20260610"]
    assert server.rows("SELECT count(*) FROM nfcompile_blocks_20260501") == [(2,)]


def test_old_days_are_dropped_by_the_clock_of_the_database(server):
    """Not by the gateway's, which may show 2099, or 1970: that partition stays."""
    today = datetime.now(UTC).replace(hour=12)
    stamps = [int((today - timedelta(n)).timestamp()) * 1_000_000 for n in (0, 2, 3, 400)]
    first = output(server)
    first.deliver([BLOCK._replace(at=at) for at in (*stamps, 5, 4_070_908_800_000_000)])
    first.close()
    assert len(days(server)) == 6
    made = output(server, keep=2)
    made.deliver([BLOCK._replace(at=stamps[0])])
    made.close()

    kept = [f"{today - timedelta(n):%Y%m%d}" for n in (2, 0)]
    assert days(server) == ["19700101", *kept, "20990101"]


def test_a_partition_in_use_is_dropped_later(server, monkeypatch):
    import psycopg

    monkeypatch.setattr(database, "DROP_WAITS", "100ms")

    old = BLOCK._replace(at=AT)
    output(server).deliver([old])
    with psycopg.connect(server.url) as reader:
        reader.execute("SELECT count(*) FROM nfcompile_blocks").fetchall()
        made = output(server, keep=30)
        made.deliver([BLOCK._replace(at=time.time_ns() // 1000)])
        assert "20260501" in days(server)
    made.deliver([BLOCK._replace(at=time.time_ns() // 1000 + DAY)])
    made.close()

    assert "20260501" not in days(server)


def delivering(server, folder):
    made = Delivery(output(server), Spool(str(folder), 1 << 30))
    made.start()
    return made


def numbers(server):
    rows = server.rows("SELECT remote_port FROM nfcompile_connections ORDER BY 1")
    return [number for (number,) in rows]


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_in_the_midst_of_a_burst_loses_and_doubles_nothing(server, tmp_path, ends):
    made = delivering(server, tmp_path)
    for first in range(0, 20_000, 500):
        made.put([CONNECTION._replace(remote_port=n) for n in range(first, first + 500)])
        if first == 8000:
            until(lambda: made.state().delivered >= 2000)
            server.stop(ends)
    until(lambda: made.state().away)
    server.start()
    until(lambda: made.state().delivered == 20_000)
    made.stop(10)

    assert numbers(server) == list(range(20_000))
    assert made.state().lost == 0
    assert os.listdir(tmp_path) == []


def test_a_commit_that_was_not_answered_is_not_sent_again(server, monkeypatch):
    """The connection breaks between the commit and its answer."""
    import psycopg

    made = output(server)
    made.deliver([LogEvent(STARTED, AT)])
    leave = psycopg.Transaction.__exit__

    def breaks(self, *words):
        leave(self, *words)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.Transaction, "__exit__", breaks)
    with pytest.raises(OutputAway, match="connection is lost"):
        made.deliver([LogEvent(LOST, AT, "blocks", 3)])
    monkeypatch.undo()
    made.deliver([LogEvent(LOST, AT, "blocks", 3)])
    made.deliver([LogEvent(LOST, AT, "blocks", 3)])
    made.close()

    assert server.rows("SELECT count(*) FROM nfcompile_events WHERE event = 'log_lost'") == [(2,)]


def test_a_server_that_hangs_does_not_hold_up_the_end(server, tmp_path):
    made = delivering(server, tmp_path)
    made.put([CONNECTION._replace(remote_port=1)])
    until(lambda: made.state().delivered == 1)
    server.freeze()
    try:
        made.put([CONNECTION._replace(remote_port=2)])
        made.stop(0.2)
        assert made.state().spooled
    finally:
        server.freeze(signal.SIGCONT)
    again = delivering(server, tmp_path)
    again.stop(30)

    assert set(numbers(server)) == {1, 2}


def test_two_gateways_log_to_one_database(server):
    for name in ("gw1", "gw2"):
        made = output(server, gateway=name)
        made.deliver([RULE])
        made.close()

    assert server.rows("SELECT gateway FROM nfcompile_connections ORDER BY 1") == [("gw1",), ("gw2",)]


def test_the_database_s_refusal_is_why_it_is_away(server):
    made = opened(f"postgresql://nat@/nowhere?host={server.folder}")
    with pytest.raises(OutputAway, match='database "nowhere" does not exist'):
        made.deliver([BLOCK])


def test_no_message_has_the_password():
    made = opened("postgresql://ann:secret@127.0.0.1:1/nat?password=secret&sslmode=disable")
    assert made.name == "postgresql://ann@127.0.0.1:1/nat?sslmode=disable"
    with pytest.raises(OutputAway) as away:
        made.deliver([BLOCK])
    assert "secret" not in str(away.value)
    with pytest.raises(BadDestination) as bad:
        opened("postgresql://ann:secret@h/d?no_such_word=1")
    assert "secret" not in str(bad.value)


def test_the_log_without_a_database_imports_no_psycopg(tmp_path):
    lines = f"""
import sys
from nfcompile.cli import log, lookup
from nfcompile.log.outputs import opened
opened("json:{tmp_path}/x")
assert not {{"psycopg", "pyarrow"}} & set(sys.modules)
sys.modules["psycopg"] = None
opened("postgresql://h/d")
"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(
        "BadDestination: postgresql needs psycopg: pip install 'nfcompile[postgresql]'"
    )


def test_a_password_is_left_out_wherever_it_stands():
    assert database.public("postgresql://:pw@/d") == "postgresql://@/d"
    assert database.public("postgresql://h") == "postgresql://h"
    assert database.public("postgresql://h/d?sslpassword=x") == "postgresql://h/d"
