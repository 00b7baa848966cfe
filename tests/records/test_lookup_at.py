"""lookup with a time, a log, many questions or a report: the same answers as the site that was live gives."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from nfcompile.allocation import lookup
from nfcompile.cli import command_line
from nfcompile.model.parse import address
from nfcompile.records import assignment_log, history, lookup_at, store
from nfcompile.records.assignment_log import Assignment, AssignmentLog
from nfcompile.records.lookup_at import BindingQuestion, KnownSite
from nfcompile.records.timeline import timeline
from support.command import nfcompile, typed
from support.sites import GOOD, site

OTHER = GOOD.replace("203.0.113.0/30", "198.51.100.0/30")
STATIC = GOOD.split("acls:")[0] + "pools: {s: {type: static, priority: 1, global_map: {MAP}}}\n"
JANUARY, FEBRUARY, MARCH = (f"2026-0{month}-01T00:00:00.000000Z" for month in (1, 2, 3))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def past(tmp_path):
    """A state directory: GOOD from January, OTHER from February, no table from March."""
    path = str(tmp_path / "state")
    with store.locked(path):
        sites = [store.keep(path, GOOD.encode()), store.keep(path, OTHER.encode()), None]
    for number, (at, kept) in enumerate(zip((JANUARY, FEBRUARY, MARCH), sites, strict=True), 1):
        result = "applied" if kept else "reverted"
        store.append(
            path,
            history.Event(number, at, result, kept, "s.yaml", "ann", 0, "gw", "0.1", f"b{number}/1", 1.0),
        )
    return path


def asked(past, *arguments, stdin=None):
    return nfcompile("lookup", *arguments, "--state-dir", past, input=stdin)


def test_the_site_that_was_live_answers(past):
    before = asked(past, "203.0.113.1:3000", "--at", "2025-12-31T23:59:59Z")
    assert (before.returncode, before.stdout) == (1, "")
    assert before.stderr.startswith(f"nfcompile: note: the history begins {JANUARY}; what was live at 2025-")

    january = asked(past, "203.0.113.1:3000", "--at", "2026-01-01T00:00:00Z")
    assert (january.returncode, january.stderr) == (0, "")
    assert "subscriber:     100.64.0.9\n" in january.stdout
    for local in ("2026-02-01T00:59:59+01:00", "2026-01-31 18:59:59-05:00", "2026-01-31T23:59"):
        assert asked(past, "203.0.113.1:3000", "--at", local).stdout == january.stdout

    february = asked(past, "203.0.113.1:3000", "--at", "2026-02-01T00:00:00", "--format", "json")
    assert february.returncode == 1
    assert json.loads(february.stdout)["action"] == "none"
    assert (
        asked(past, "198.51.100.1:3000", "--at", FEBRUARY).stdout.splitlines()[1]
        == "subscriber:     100.64.0.9"
    )
    nobody = asked(past, "198.51.100.1:3000", "--at", "2026-03-02T00:00Z")
    assert (
        nobody.stderr == "nfcompile: note: no binding had 198.51.100.1:3000 at 2026-03-02T00:00:00.000000Z\n"
    )


def test_a_site_beside_a_time_is_not_read(past):
    ran = asked(past, "no-such-file.yaml", "203.0.113.1:3000", "--at", "2026-01-15T00:00Z")

    assert "subscriber:     100.64.0.9\n" in ran.stdout


def test_without_a_history_a_time_cannot_be_answered(tmp_path):
    ran = asked(str(tmp_path / "none"), "203.0.113.1:3000", "--at", "2026-01-15T00:00Z")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("nfcompile: error: there is no history in '")


@pytest.mark.parametrize("time", ["", "now", "2026-02-30T00:00Z", "2026-01-01", "2126-01-01T00:00Z", "1e9"])
def test_what_is_no_time_is_2(past, time):
    ran = asked(past, "203.0.113.1", "--at", time)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_a_report_names_question_answer_and_configuration(past):
    arguments = ["203.0.113.1:3000", "--proto", "tcp", "--at", "2026-01-15T12:00:00Z", "--report"]
    report = json.loads(asked(past, *arguments, "--format", "json").stdout)
    digest = store.read(past).events[0].site

    assert report["question"] | {"asked_at": ""} == {
        "asked": "203.0.113.1:3000",
        "protocol": "tcp",
        "time": "2026-01-15T12:00:00.000000Z",
        "asked_at": "",
        "version": "0.1.0",
    }
    assert report["answers"] == [
        {
            "pool": "home",
            "subscriber": "100.64.0.9",
            "global_ip": "203.0.113.1",
            "port_first": 2816,
            "port_last": 3711,
            "action": "translate",
            "assigned": None,
            "configuration": {
                "file": "s.yaml",
                "sha256": digest,
                "live_since": JANUARY,
                "live_since_between": None,
                "result": "applied",
                "applied_by": "ann@gw",
                "applied_with": "0.1",
            },
            "log": None,
        }
    ]
    text = asked(past, *arguments).stdout
    assert f"sha256:         {digest}\nlive since:     {JANUARY}\n" in text
    (row,) = csv.DictReader(io.StringIO(asked(past, *arguments, "--format", "csv").stdout))
    assert (row["subscriber"], row["site"], row["live_since"]) == ("100.64.0.9", digest, JANUARY)


def test_bulk_answers_each_line_as_lookup_does(past, tmp_path):
    compiled = {text: site(text) for text in (GOOD, OTHER)}
    lines = []
    for month, prefix in ((1, "203.0.113"), (2, "198.51.100")):
        for port in (1, 1024, 3000, 64639, 64640, 65535):
            lines += [(f"{prefix}.{n}", str(port), "udp", f"2026-0{month}-09T00:00:00Z") for n in range(4)]
        lines += [(f"100.64.0.{n}", "", "", f"2026-0{month}-09T00:00:00Z") for n in (0, 200, 255)]
    file = tmp_path / "questions.csv"
    file.write_text("addr,port,proto,time\n" + "".join(",".join(line) + "\n" for line in lines))

    ran = asked(past, "--bulk", str(file))

    assert (ran.returncode, ran.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert [(row["addr"], row["port"], row["proto"], row["time"]) for row in rows] == lines
    for row, (addr, port, proto, time) in zip(rows, lines, strict=True):
        live = compiled[GOOD if "-01-" in time else OTHER]
        found = lookup.lookups(live.allocations, address(addr), int(port) if port else None, proto or None)
        (answer,) = found or [lookup.NOBODY]
        assert [row[name] for name in answer._fields] == ["" if v is None else str(v) for v in answer]
    assert {row["action"] for row in rows} == {"translate", "none"}


def test_bulk_says_wrong_lines_and_answers_the_rest(past):
    lines = [
        "addr,port,proto,time",
        "203.0.113.1,3000,,2026-01-09T00:00Z",
        "",
        "203.0.113.999,1,,2026-01-09T00:00Z",
    ]
    lines += ["203.0.113.1,0,,2026-01-09T00:00Z", "203.0.113.1,1,gre,2026-01-09T00:00Z", "203.0.113.1,1,tcp"]
    lines += ["203.0.113.1,3000,,yesterday", "100.64.0.9,,,2026-01-09T00:00Z"]
    ran = nfcompile("lookup", "--bulk", "-", "--state-dir", past, input="\r\n".join(lines))

    assert ran.returncode == 1
    assert [row["subscriber"] for row in csv.DictReader(io.StringIO(ran.stdout))] == ["100.64.0.9"] * 2
    assert [line.split(": ")[0] for line in ran.stderr.splitlines()] == [
        f"<stdin>:{n}" for n in (4, 5, 6, 7, 8)
    ]


def test_bulk_without_times_asks_the_site(tmp_path):
    (tmp_path / "site.yaml").write_text(GOOD)
    ran = nfcompile(
        "lookup", str(tmp_path / "site.yaml"), "--bulk", "-", input="port,addr\n3000,203.0.113.1\n"
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    (row,) = csv.DictReader(io.StringIO(ran.stdout))
    assert (row["subscriber"], row["live_since"]) == ("100.64.0.9", "")


VLANS = "{192.168.1.2~102: 203.0.113.8, 192.168.1.2~103: 203.0.113.9, 192.168.1.4: 203.0.113.10}"
OF_VLANS = {
    "192.168.1.2~102": ["203.0.113.8"],
    "192.168.1.2~103": ["203.0.113.9"],
    "192.168.1.2~104": [],
    "192.168.1.2": ["203.0.113.8", "203.0.113.9"],
    "192.168.1.4~102": ["203.0.113.10"],
    "203.0.113.8~102": [],
}
"""A subscriber as `mappings` writes it, and its global addresses; an entry without a VLAN is for any."""


def test_a_subscriber_of_a_vlan_is_found_in_every_form(tmp_path):
    text = "nat_defaults: {vlan_mode: vlan}\n" + STATIC.replace("{MAP}", VLANS)
    here, state = tmp_path / "site.yaml", str(tmp_path / "state")
    here.write_text(text)
    with store.locked(state):
        kept = store.keep(state, text.encode())
    event = history.Event(1, JANUARY, "applied", kept, "s.yaml", "ann", 0, "gw", "0.1", "b1/1", 1.0)
    store.append(state, event)
    at = ("--at", FEBRUARY)
    forms = [(str(here),), (str(here), "--report"), at, (*at, "--report")]

    for words, wanted in OF_VLANS.items():
        for site_, *options in [form if form[0] == str(here) else ("", *form) for form in forms]:
            ran = asked(state, *filter(None, (site_, words)), *options, "--format", "json")
            found = json.loads(ran.stdout)
            rows = found["answers"] if "answers" in found else [found, *found["also"]]
            assert [row["global_ip"] for row in rows if row["global_ip"]] == wanted, (words, options)
            assert ran.returncode == (0 if wanted else 1)
    lines = "".join(f"{words},{port}\n" for words in OF_VLANS for port in ("", "4000"))
    bulk = asked(state, "--bulk", "-", *at, stdin=f"addr,port\n{lines}")
    given = {(words, port): [] for words in OF_VLANS for port in ("", "4000")}
    for row in csv.DictReader(io.StringIO(bulk.stdout)):
        given[row["addr"], row["port"]] += [row["global_ip"]] if row["global_ip"] else []
    assert given == {(words, port): wanted for words, wanted in OF_VLANS.items() for port in ("", "4000")}
    assert (bulk.returncode, bulk.stderr) == (0, "")


@pytest.mark.parametrize("header", ["", "a,b", "addr,addr", "addr,colour", "port,time"])
def test_bulk_needs_its_columns(past, header):
    ran = nfcompile("lookup", "--bulk", "-", "--state-dir", past, input=f"{header}\n")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "does not begin with the columns" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["a", "b", "c"], ["203.0.113.1", "--live", "--at", JANUARY], ["203.0.113.1", "--netns", "x"]],
)
def test_usage_errors_are_2(past, arguments):
    assert asked(past, *arguments).returncode == 2


# The front door


@pytest.mark.parametrize(
    "form", [[], ["--format", "json"], ["--proto", "udp"], ["--proto", "tcp", "--format", "text"]]
)
@pytest.mark.parametrize(
    "words", [["203.0.113.1:3000"], ["s.yaml", "100.64.0.7"], ["9.9.9.9"], ["x"], ["no", "1.1.1.1"]]
)
def test_both_doors_give_the_same(tmp_path, monkeypatch, words, form):
    monkeypatch.chdir(tmp_path)
    for name in ("site.yaml", "s.yaml"):
        (tmp_path / name).write_text(GOOD)

    at_once, through_typer = nfcompile("lookup", *words, *form), typed("lookup", *words, *form)

    assert command_line.read(["lookup", *words, *form]) is not None
    assert (at_once.returncode, at_once.stdout, at_once.stderr) == (
        through_typer.returncode,
        through_typer.stdout,
        through_typer.stderr,
    )


# The index


def test_static_entries_are_found_both_ways():
    entries = {"10.0.0.0/30": "200.0.0.0/30", "10.0.0.9": "200.0.0.9", "10.0.0.5": "200.0.0.4"}
    text = STATIC.replace("{MAP}", json.dumps(entries))
    index = lookup.Index(site(text).allocations)
    pairs = {f"10.0.0.{n}": f"200.0.0.{n}" for n in (0, 1, 2, 3, 9)} | {"10.0.0.5": "200.0.0.4"}

    for last in range(12):
        for side, other in (("subscriber", "global_ip"), ("global_ip", "subscriber")):
            asked_ = f"{'10' if side == 'subscriber' else '200'}.0.0.{last}"
            found = index.lookups(address(asked_), None, None)
            expected = [b if side == "subscriber" else a for a, b in pairs.items() if asked_ in (a, b)]
            assert [one._asdict()[other] for one in found] == expected


# Logs of assignments

SYSLOG = (
    "Nov 21 12:48:44 vm nfcompile assign loud  IN= OUT=va MAC= SRC=10.9.9.1 DST=10.9.9.2 LEN=31 TOS=00 "
    "PREC=0x00 TTL=64 ID=27970 DF PROTO=UDP SPT=56669 DPT=443 LEN=11 UID=0 GID=0 MARK=0x2000016 "
)
AS_JSON = json.dumps(
    {
        "timestamp": "2026-11-21T12:48:44.451536",
        "oob.prefix": "nfcompile assign loud ",
        "oob.time.sec": 1795265324,
        "oob.time.usec": 451536,
        "oob.mark": 33554454,
        "src_ip": "10.9.9.1",
        "dest_ip": "10.9.9.2",
    }
)


def test_both_forms_of_the_log(monkeypatch):
    import time

    # New York's time by its rule: a bare system has no tzdata that would know the name.
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    time.tzset()
    try:
        read = assignment_log.read_line
        expected = Assignment("2026-11-21T12:48:44.451536Z", "loud", address("10.9.9.1"), 0x2000016)
        assert read(AS_JSON, NOW) == expected
        in_new_york = expected._replace(at="2025-11-21T17:48:44.000000Z")
        assert read(SYSLOG, NOW) == in_new_york  # the last 21 November
        assert read(SYSLOG, NOW.replace(month=12)).at == "2026-11-21T17:48:44.000000Z"
        assert read("Nov 21 12:48:44 vm something else", NOW) is None
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "line",
    [
        SYSLOG.split(" MARK")[0],
        SYSLOG.replace("SRC=10.9.9.1", "SRC=10.9.9"),
        AS_JSON[:-9],
        AS_JSON.replace("oob.mark", "mark"),
    ],
)
def test_a_broken_line_of_a_log_is_said(line):
    with pytest.raises((ValueError, KeyError)):
        assignment_log.read_line(line, NOW)


def test_a_number_is_its_last_owner_s():
    def given(second, subscriber, number):
        return Assignment(f"2026-01-01T00:00:{second:02}.000000Z", "p", subscriber, number)

    def owned(second, most=2):
        at = f"2026-01-01T00:00:{second:02}.000000Z"
        return [one.number for one in ledger.owned("p", 7, at, most)]

    ledger = AssignmentLog(
        [given(50, 7, 5), given(10, 7, 1), given(20, 7, 2), given(30, 8, 1), given(40, 7, 3)]
    )

    assert [owned(second) for second in (5, 10, 20, 30, 40, 50)] == [[], [1], [1, 2], [2], [2, 3], [3, 5]]
    assert owned(50, most=1) == [5]
    assert ledger.owner("p", 1, "2026-01-01T00:00:29.000000Z").subscriber == 7
    assert ledger.owner("p", 1, "2026-01-01T00:00:30.000000Z").subscriber == 8
    assert ledger.owner("p", 9, MARCH) is ledger.owner("q", 1, MARCH) is None


def test_a_change_under_way_is_answered_by_both_sites():
    known = {text: KnownSite(site(text)) for text in (GOOD, OTHER)}
    blank = history.Event(1, JANUARY, "applied", GOOD, "s", "ann", 0, "gw", "1", "b/1", 1.0)
    loading = blank._replace(change=2, at=FEBRUARY, result="loading", site=OTHER, kernel="b2/1")
    past = timeline(history.EventLog((blank, loading)), store.clock())

    def found(moment):
        question = BindingQuestion(address("100.64.0.9"), at=moment)
        return [one.answer.global_ip for one in lookup_at.find_at(question, past, known.__getitem__, None)]

    assert (found(JANUARY), found(MARCH)) == (["203.0.113.1"], ["203.0.113.1", "198.51.100.1"])
