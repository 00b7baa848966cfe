"""Who had an address and port then, by a log: the same from each kind of log, and what is not certain."""

import pytest

from nfcompile.log import archives, parquet_files
from nfcompile.log.answers import LogReader
from nfcompile.log.archive import BadArchive
from nfcompile.log.archives import opened_database, opened_parquet
from nfcompile.log.archives.json_lines import JsonLinesArchive
from nfcompile.log.destination import OutputSettings
from nfcompile.log.outputs import opened
from nfcompile.log.records import (
    time_text,
)
from nfcompile.model.parse import address
from nfcompile.records.lookup_at import BindingQuestion
from support.log_answers import BEGIN, FIRST, HOUR, RECORDS, SECOND, THIRD

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


def test_a_log_is_opened_more_than_once_in_a_process():
    for _ in range(2):
        with pytest.raises(BadArchive):
            archives.opened_database("postgresql://nobody@/none?host=/nowhere", None)
