"""Who had an address and port then, by a log: the same from each kind of log, and what is not certain."""

import csv
import gzip
import io
import json

import pytest

from nfcompile.log import archives, parquet_files
from nfcompile.log.answers import LogReader
from nfcompile.log.archive import BadArchive
from nfcompile.log.archives import opened_database, opened_parquet
from nfcompile.log.archives.json_lines import JsonLinesArchive
from nfcompile.log.destination import OutputSettings
from nfcompile.log.outputs import opened
from nfcompile.log.records import (
    ASSIGNED,
    BEGAN,
    ENDED,
    HELD,
    RELEASED,
    STARTED,
    STOPPED,
    BlockRecord,
    ConnectionRecord,
    LogEvent,
    time_text,
)
from nfcompile.model.parse import address
from nfcompile.records import history, store
from nfcompile.records.clock import microseconds
from nfcompile.records.lookup_at import BindingQuestion
from support.command import nfcompile
from support.postgresql import database_server
from support.sites import HEAD

BEGIN = microseconds("2026-03-01T00:00:00.000000Z")
HOUR = 3_600_000_000
FIRST, SECOND, THIRD = "100.64.0.7", "100.64.0.8", "100.64.0.9"
SITE = (
    HEAD
    + """
nat_defaults: {port_block_size: 8}
acls: {homes: {10: allow ip 100.64.0.0/16}, lines: {10: allow ip 100.65.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/24]
    port_range: 1024-1151
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
  lines: {type: cgnat, acl: lines, priority: 200, global_ip: [198.51.100.0/24]}
snat: {office: {src_cidr: 10.9.0.0/24, snat_ip: 192.0.2.77}}
"""
)
BITS = 20
"""Of a number of 'homes' below those that count its 16 blocks."""


def block(hour, event, subscriber, index=5, which=0):
    number = 0x2000000 + (which << BITS) + index
    ports = 1024 + which * 8, 1031 + which * 8
    return BlockRecord(
        *(event, BEGIN + int(hour * HOUR), "homes", 100, address(subscriber), number),
        *(address("203.0.113.0") + index, *ports),
    )


def connection(began, ended, subscriber, event=ENDED, **changes):
    begin = BEGIN + int(began * HOUR) if began is not None else 0
    at = begin if event == BEGAN else BEGIN + int(ended * HOUR)
    return ConnectionRecord(
        *(event, at, 0 if event == BEGAN else begin, "", "office", 0, 17, address(subscriber), 5000),
        *(address("192.0.2.77"), 40000, address("198.18.0.1"), 443, False),
    )._replace(**changes)


RECORDS = [
    LogEvent(STARTED, BEGIN),
    block(1, ASSIGNED, FIRST),
    block(2, ASSIGNED, SECOND, which=1),
    block(5, RELEASED, FIRST),
    block(6, ASSIGNED, THIRD),
    block(6, ASSIGNED, FIRST, index=6),
    connection(7, 8, "10.9.0.1"),
    connection(8, 9, "10.9.0.2"),
    connection(8, 9, "10.9.0.3", protocol=6),
    connection(20, None, "10.9.0.4", BEGAN),
    connection(None, 31, "10.9.0.5", global_port=50000),
    LogEvent(STOPPED, BEGIN + 10 * HOUR),
    LogEvent(STARTED, BEGIN + 12 * HOUR),
    block(12, HELD, SECOND, which=1),
    block(13, ASSIGNED, SECOND),  # of the third no release was seen
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The records as each kind of log, half of them in a second file."""
    made = tmp_path_factory.mktemp("logs")
    outputs = {"json": (f"json:{made}/a.jsonl", f"json:{made}/b.jsonl")}
    outputs["parquet"] = (f"parquet:{made}/parquet",) * 2
    for parts in outputs.values():
        for name, records in zip(parts, (RECORDS[:8], RECORDS[8:]), strict=True):
            output = opened(name, OutputSettings("gw1"))
            output.deliver(records)
            output.close()
    with gzip.open(made / "a.jsonl.gz", "wb") as file:
        file.write((made / "a.jsonl").read_bytes())
    return made


@pytest.fixture(scope="module")
def url(folder):
    with database_server() as server:
        output = opened(server.url, OutputSettings("gw1"))
        output.deliver(RECORDS)
        output.close()
        yield server.url


KINDS = ("json", "gz", "all", "parquet", "journal", "database")


@pytest.fixture(scope="module")
def readers(folder, url, tmp_path_factory):
    """Each kind of log, read."""
    lines = [str(folder / "a.jsonl"), str(folder / "b.jsonl")]
    whole = JsonLinesArchive(lines, pytest.fail)
    whole.read_all()
    journal = tmp_path_factory.mktemp("journal")
    output = opened(f"parquet:{journal}", OutputSettings("gw1"))
    output.deliver(RECORDS)
    return {
        "json": LogReader(JsonLinesArchive(lines, pytest.fail)),
        "gz": LogReader(JsonLinesArchive([str(folder / "a.jsonl.gz"), lines[1]], pytest.fail)),
        "all": LogReader(whole),
        "parquet": LogReader(opened_parquet([str(folder / "parquet")], None)),
        "journal": LogReader(opened_parquet([str(journal)], None)),
        "database": LogReader(opened_database(url, "gw1")),
    }


def said(reader, asked, hour, proto=None):
    """The subscribers, and what is not certain."""
    text, _, port = asked.partition(":")
    at = time_text(BEGIN + int(hour * HOUR))
    question = BindingQuestion(address(text), int(port) if port else None, proto, at)
    holders, doubt = reader.statement(question)
    return [(one.answer.subscriber, one.answer.port_first, one.answer.port_last) for one in holders], doubt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("asked", "hour", "found"),
    [
        ("203.0.113.5:1024", 0.9, []),
        ("203.0.113.5:1031", 1, [(FIRST, 1024, 1031)]),
        ("203.0.113.5:1031", 4.99, [(FIRST, 1024, 1031)]),
        ("203.0.113.5:1031", 5, []),
        ("203.0.113.5:1031", 6, [(THIRD, 1024, 1031)]),
        ("203.0.113.5:1032", 6, [(SECOND, 1032, 1039)]),
        ("203.0.113.5:1040", 6, []),
        ("203.0.113.5", 6, [(SECOND, 1032, 1039), (THIRD, 1024, 1031)]),
        ("203.0.113.5:1031", 13, [(SECOND, 1024, 1031)]),
        (FIRST, 4, [(FIRST, 1024, 1031)]),
        (FIRST, 5.5, []),
        (FIRST, 7, [(FIRST, 1024, 1031)]),
        (SECOND, 13, [(SECOND, 1032, 1039), (SECOND, 1024, 1031)]),
        (THIRD, 13, []),
        ("192.0.2.77:40000", 7.5, [("10.9.0.1", 40000, 40000)]),
        ("192.0.2.77:40000", 9.5, []),
        ("192.0.2.77:40000", 25, [("10.9.0.4", 40000, 40000)]),
        ("192.0.2.77:40001", 7.5, []),
    ],
)
def test_each_kind_of_log_says_the_same(readers, kind, asked, hour, found):
    assert said(readers[kind], asked, hour) == (found, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_protocol_narrows_connections(readers, kind):
    both, _ = said(readers[kind], "192.0.2.77:40000", 8.5)
    assert {one[0] for one in both} == {"10.9.0.2", "10.9.0.3"}
    assert said(readers[kind], "192.0.2.77:40000", 8.5, "tcp")[0] == [("10.9.0.3", 40000, 40000)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_certain_is_said(readers, kind):
    name = "" if kind in ("json", "gz", "all") else " of gw1"
    stop, start = "2026-03-01T10:00:00.000000Z", "2026-03-01T12:00:00.000000Z"
    gap = f"no log{name} ran from {stop} until {start}"

    found, doubt = said(readers[kind], "203.0.113.5:1024", 11)
    assert found == [(THIRD, 1024, 1031)]
    assert doubt == f"{gap}; {gap}, and no later record confirms the block"
    assert said(readers[kind], "203.0.113.9:1024", 11) == ([], gap)
    assert said(readers[kind], "203.0.113.5:1024", 12.5) == (
        [(THIRD, 1024, 1031)],
        f"{gap}, and no later record confirms the block",
    )
    assert said(readers[kind], "203.0.113.5:1032", 12.5)[1] == ""  # found in the kernel at the start
    before = said(readers[kind], "203.0.113.5:1024", -1)
    assert before == ([], f"the log{name} begins 2026-03-01T00:00:00.000000Z")
    without = said(readers[kind], "192.0.2.77:50000", 30)
    assert without == ([("10.9.0.5", 50000, 50000)], "the log does not say when the connection began")


# The command


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


def test_a_database_without_a_log(url):
    with pytest.raises(BadArchive, match="does not exist"):
        LogReader(opened_database(url.replace("postgres?", "template1?"), None)).statement(
            BindingQuestion(1, 1, None, time_text(BEGIN))
        )


def test_a_journal_that_becomes_a_file_while_it_is_read(tmp_path, monkeypatch):
    """The directory was listed before, the journal is opened after."""
    output = opened(f"parquet:{tmp_path}", OutputSettings("gw1"))
    output.deliver(RECORDS)
    read = parquet_files.journal_table

    def late(path):
        output.close()
        monkeypatch.setattr(parquet_files, "journal_table", read)
        return read(path)

    monkeypatch.setattr(parquet_files, "journal_table", late)
    assert said(LogReader(opened_parquet([str(tmp_path)], None)), "203.0.113.5:1031", 1) == (
        [(FIRST, 1024, 1031)],
        "",
    )


def test_keeping_is_for_databases(tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    ran = nfcompile("log", str(tmp_path / "site.yaml"), "--to", f"json:{tmp_path}/x", "--keep", "3")
    assert (ran.returncode, (tmp_path / "x").exists()) == (2, False)


def test_a_log_is_opened_more_than_once_in_a_process():
    for _ in range(2):
        with pytest.raises(BadArchive):
            archives.opened_database("postgresql://nobody@/none?host=/nowhere", None)
