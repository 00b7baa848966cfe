"""`lookup` with a log: its answers beside those of the history, and where the two disagree."""

import csv
import io
import json

import pytest

from nfcompile.log.outputs import opened
from nfcompile.log.records import (
    ASSIGNED,
    RELEASED,
    STARTED,
    LogEvent,
    time_text,
)
from nfcompile.model.parse import address
from nfcompile.records import history, store
from support.command import nfcompile
from support.log_answers import BEGIN, FIRST, HOUR, SECOND, SITE, THIRD, block, connection


@pytest.fixture
def past(tmp_path):
    """A state directory where SITE is live from the begin."""
    path = str(tmp_path / "state")
    with store.locked(path):
        kept = store.keep(path, SITE.encode())
    at = time_text(BEGIN - HOUR)
    event = history.Event(1, at, "applied", kept, "site.yaml", "ann", 0, "gw", "0.1", "b1/1", 1.0)
    store.append(path, event)
    return path


def logs(folder, url):
    """The options that name each kind of log."""
    lines = ["--log", str(folder / "a.jsonl"), "--log", str(folder / "b.jsonl")]
    return lines, ["--db", url], ["--log", str(folder / "parquet")]


def asked(past, source, words, hour, *more):
    at = time_text(BEGIN + int(hour * HOUR))
    return nfcompile("lookup", words, "--at", at, *source, "--state-dir", past, *more)


def test_lookup_answers_from_each_log(folder, url, past):
    for source in logs(folder, url):
        ran = asked(past, source, "203.0.113.5:1025", 2, "--format", "json", "--report")
        assert (ran.returncode, ran.stderr) == (0, "")
        report = json.loads(ran.stdout)
        (answer,) = report["answers"]
        assert (answer["subscriber"], answer["assigned"]) == (FIRST, "2026-03-01T01:00:00.000000Z")
        assert answer["configuration"]["file"] == "site.yaml"
        assert report["certain"]
        assert (answer["log"]["event"], answer["log"]["time"]) == ("block_assigned", answer["assigned"])
        assert answer["log"]["source"] in (source[-1], f"{source[1]}, {source[-1]}")
        nobody = asked(past, source, "203.0.113.5:1025", 5.5)
        assert nobody.returncode == 1
        assert nobody.stderr.startswith("nfcompile: note: no binding had 203.0.113.5:1025 at ")
        other_way = asked(past, source, FIRST, 2)
        assert "ports:          1024-1031" in other_way.stdout


def test_a_doubt_of_the_log_is_in_every_form(folder, url, past):
    for source in logs(folder, url):
        ran = asked(past, source, "203.0.113.5:1025", 11)
        assert "note: by the log it is not certain: no log" in ran.stderr
        data = json.loads(asked(past, source, "203.0.113.5:1025", 11, "--format", "json").stdout)
        assert (data["subscriber"], data["certain"]) == (THIRD, False)
        report = json.loads(
            asked(past, source, "203.0.113.5:1025", 11, "--format", "json", "--report").stdout
        )
        assert (report["certain"], report["may_have_been_live"]) == (False, [])
        assert "no later record confirms the block" in report["doubt"]
        text = asked(past, source, "203.0.113.5:1025", 11, "--report").stdout
        assert "certain:        no, no log" in text
        (row,) = csv.DictReader(
            io.StringIO(asked(past, source, "203.0.113.5:1025", 11, "--format", "csv").stdout)
        )
        assert (row["subscriber"], row["certain"]) == (THIRD, "no")


def test_without_a_history_the_log_answers_alone(folder, url, tmp_path):
    for source in logs(folder, url):
        ran = asked(str(tmp_path / "none"), source, "203.0.113.5:1025", 2, "--format", "json", "--report")
        assert ran.returncode == 0
        assert ran.stderr.startswith("nfcompile: note: there is no history here: the log alone answers")
        (answer,) = json.loads(ran.stdout)["answers"]
        assert (answer["subscriber"], answer["configuration"]["sha256"]) == (FIRST, None)
        assert asked(str(tmp_path / "none"), source, "203.0.113.9:1025", 2).returncode == 1


def test_a_connection_of_a_rule_is_found_in_the_log(folder, url, past):
    """No site can compute it: the whole office has one address."""
    for source in logs(folder, url):
        ran = asked(past, source, "192.0.2.77:40000", 7.5, "--format", "json", "--report")
        report = json.loads(ran.stdout)
        (answer,) = report["answers"]
        assert (answer["subscriber"], answer["port_first"]) == ("10.9.0.1", 40000)
        assert report["certain"]
        assert answer["log"] | {"source": "", "gateway": ""} == {
            "source": "",
            "event": "connection_ended",
            "time": "2026-03-01T07:00:00.000000Z",
            "gateway": "",
            "ended": "2026-03-01T08:00:00.000000Z",
            "protocol": "udp",
            "remote": "198.18.0.1:443",
        }


def written(tmp_path, *records):
    file = tmp_path / "log.jsonl"
    output = opened(f"json:{file}")
    output.deliver([LogEvent(STARTED, BEGIN - 5), *records])
    output.close()
    return ["--log", str(file)]


def test_where_log_and_history_disagree_both_are_named(past, tmp_path):
    """The log has a block that the site of that time does not make of the number."""
    wrong = block(1, ASSIGNED, FIRST)._replace(number=0x2000006)
    source = written(tmp_path, wrong)
    ran = asked(past, source, "203.0.113.5:1025", 2, "--report", "--format", "json")
    report = json.loads(ran.stdout)
    assert not report["certain"]
    assert report["doubt"].startswith(
        f"the log says that {FIRST} had 203.0.113.5:1024-1031 of pool 'homes'; by site.yaml ("
    )
    assert report["doubt"].endswith("it was no such block")
    (answer,) = report["answers"]
    assert (answer["subscriber"], answer["configuration"]["sha256"]) == (FIRST, None)


def test_a_connection_that_the_deterministic_pool_contradicts(past, tmp_path):
    computed = asked(past, [], "198.51.100.7:1100", 2, "--format", "json")
    subscriber = json.loads(computed.stdout)["subscriber"]
    there = {"pool": "lines", "rule": "", "address": address("198.51.100.7"), "global_port": 1100}
    agrees = written(tmp_path, connection(1, 3, subscriber, **there))
    ran = asked(past, agrees, "198.51.100.7:1100", 2, "--report", "--format", "json")
    assert json.loads(ran.stdout)["certain"]
    (answer,) = json.loads(ran.stdout)["answers"]
    assert (answer["subscriber"], answer["log"]["event"]) == (subscriber, "connection_ended")

    (tmp_path / "log.jsonl").unlink()
    other = written(tmp_path, connection(1, 3, "100.65.0.99", **there))
    ran = asked(past, other, "198.51.100.7:1100", 2, "--report", "--format", "json")
    report = json.loads(ran.stdout)
    assert [one["subscriber"] for one in report["answers"]] == [subscriber, "100.65.0.99"]
    assert report["doubt"].endswith(f"{subscriber} had it")


def test_a_connection_without_a_begin_does_not_outlive_its_block(past, tmp_path):
    """It ended after the release, by milliseconds; and one that ended a month later says nothing of today."""
    there = {"pool": "homes", "rule": "", "address": address("203.0.113.5"), "global_port": 1025}
    ended = connection(None, 3.0001, FIRST, **there)
    source = written(tmp_path, block(1, ASSIGNED, FIRST), block(3, RELEASED, FIRST), ended)
    assert asked(past, source, "203.0.113.5:1025", 3).returncode == 1
    source = written(tmp_path, connection(None, 24 * 30, "10.9.0.5"))
    assert asked(past, source, "192.0.2.77:40000", 3).returncode == 1


def test_bulk_questions_to_a_log(folder, url, past, tmp_path):
    lines = [
        ("203.0.113.5", 1025, 2),
        ("203.0.113.5", 1025, 5.5),
        ("203.0.113.5", 1025, 11),
        (SECOND, "", 13),
    ]
    file = tmp_path / "questions.csv"
    texts = [f"{addr},{port},{time_text(BEGIN + int(hour * HOUR))}" for addr, port, hour in lines]
    file.write_text("addr,port,time\n" + "\n".join(texts) + "\n")
    for source in logs(folder, url):
        ran = nfcompile("lookup", "--bulk", str(file), *source, "--state-dir", past)
        rows = [*csv.DictReader(io.StringIO(ran.stdout))]
        assert [(row["subscriber"], row["certain"]) for row in rows] == [
            *((FIRST, "yes"), ("", "yes"), (THIRD, "no"), (SECOND, "yes"), (SECOND, "yes")),
        ]


def test_a_line_that_cannot_be_read_is_warned_of(past, tmp_path):
    source = written(tmp_path, block(1, ASSIGNED, FIRST))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(
            '{"time":"2026-03-01T01:30:00.000000Z","event":"block_released","global_ip":"203.0.113.5"}\n'
        )
    ran = asked(past, source, "203.0.113.5:1025", 2)
    assert ran.returncode == 0
    assert "log.jsonl: warning: not read: " in ran.stderr


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        (["--db", "mysql://h/d"], 1, "'mysql://h/d' is not a URL like postgresql://HOST/DATABASE"),
        (["--db", "postgresql:///d?host=/nowhere"], 1, "postgresql:///d?host=/nowhere: connection is bad"),
        (["--db", "postgresql://h/d", "--log", "x"], 2, "one log at a time"),
        (["--log", "no-such-file"], 2, "cannot read 'no-such-file': No such file"),
        (["--log", "x.parquet"], 1, "cannot read 'x.parquet'"),
        (["--log", "x.parquet", "--log", "ulogd"], 2, "are not read together"),
        (["--log", "empty"], 1, "no file of 'nfcompile log' is in 'empty'"),
        (["--log", "own", "--log", "ulogd"], 2, "are not read together"),
    ],
)
def test_logs_that_cannot_be_read(past, tmp_path, monkeypatch, source, status, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.parquet").write_text("no")
    (tmp_path / "empty").mkdir()
    (tmp_path / "ulogd").write_text("Nov 21 ...\n")
    (tmp_path / "own").write_text('{"time":"2026-03-01T01:30:00.000000Z","event":"log_started"}\n')
    ran = asked(past, source, "203.0.113.5:1025", 2)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert text in ran.stderr


def test_keeping_is_for_databases(tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    ran = nfcompile("log", str(tmp_path / "site.yaml"), "--to", f"json:{tmp_path}/x", "--keep", "3")
    assert (ran.returncode, (tmp_path / "x").exists()) == (2, False)
