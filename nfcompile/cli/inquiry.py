"""`nfcompile lookup` with a time, a log, the kernel, a report or many questions."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TextIO

from nfcompile import __version__
from nfcompile.allocation.lookup import NOBODY
from nfcompile.cli import files, lookup, outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.kernel import KernelError
from nfcompile.model import protocols
from nfcompile.records import assignment_log, history, lookup_at, store
from nfcompile.records.history import Live, Timeline
from nfcompile.records.lookup_at import Finding, Known, Owners, Question

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = (
    *("addr", "port", "proto", "time"),
    *("pool", "subscriber", "global_ip", "port_first", "port_last", "action", "assigned"),
    *("site", "file", "live_since", "asked_at", "version"),
)
QUESTION_COLUMNS = ("addr", "port", "proto", "time")
PROTOCOLS = ("", *(protocols.NAMES[number] for number in sorted(protocols.IN_BLOCK)))
LINES_SHOWN = 20
_DATE_ONLY = re.compile(r"[\d-]*", re.ASCII)


class Wish(NamedTuple):
    """What is asked, of whom, and in which form the answer is wanted."""

    site: str | None
    asked: str = ""
    protocol: str | None = None
    at: str | None = None
    log: str | None = None
    live: bool = False
    netns: str | None = None
    state_dir: str | None = None
    report: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


class Sources(NamedTuple):
    """Where answers come from: the history, or the site that was named; and the owners of dynamic blocks."""

    timeline: Timeline | None
    known: Callable[[str], Known]
    named: tuple[Known, Live | None] | None
    owners: Owners | None

    def find(self, question: Question) -> list[Finding]:
        """The site that was named answers what is asked without a time, the history everything else."""
        if question.at is None and self.named is not None:
            now = question._replace(at=store.now())
            return lookup_at.find(now, self.named[0], self.named[1], self.owners)
        if self.timeline is None:
            raise UsageProblem("questions with a time are answered from the history; there is none")
        asked = question if question.at else question._replace(at=store.now())
        return lookup_at.find_at(asked, self.timeline, self.known, self.owners)


def run(wish: Wish) -> int:
    """Answer one question."""
    address, port = lookup.question(wish.asked)
    question = Question(address, port, wish.protocol, moment(wish.at) if wish.at is not None else None)
    sources = _sources(wish, timed=question.at is not None)
    found = sources.find(question)
    if wish.report and wish.format != "csv":
        _report(wish, question, found)
    elif wish.format == "csv":
        _write([COLUMNS, *_rows(_spelled(question, wish.asked), found, store.now())])
    elif wish.format == "json":
        first, *others = [one.answer._asdict() for one in found] or [NOBODY._asdict()]
        print(json.dumps(first | {"also": others}))
    elif found:
        print("\n\n".join(lookup.text(one.answer) for one in found))
    if not found and not wish.quiet:
        print(f"nfcompile: note: {_nobody(wish, question, sources)}", file=sys.stderr)
    return OK if found else REFUSED


def bulk(name: str, wish: Wish) -> int:
    """Answer every line of a csv file, streaming; wrong lines are said, and the rest is answered."""
    stream = _opened(name)
    at = moment(wish.at) if wish.at is not None else None
    with stream:
        reader = csv.reader(stream)
        order = _columns(name, next(_lines_of(name, reader), []))
        sources = _sources(wish, timed=wish.site is None or "time" in order)
        asked_at = store.now()
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        wrong = 0
        for fields in _lines_of(name, reader):
            try:
                spelled, question = _question(fields, order, at)
                found = sources.find(question)
            except (ValueError, UsageProblem, KernelError) as error:
                wrong += 1
                if wrong <= LINES_SHOWN:
                    print(f"{files.shown(name)}:{reader.line_num}: error: {error}", file=sys.stderr)
                continue
            writer.writerows(_rows(spelled, found, asked_at))
    if wrong > LINES_SHOWN:
        print(f"{files.shown(name)}: {wrong} wrong lines; the first {LINES_SHOWN} are shown", file=sys.stderr)
    return REFUSED if wrong else OK


@functools.lru_cache(maxsize=4096)
def moment(text: str) -> str:
    """Read a time of ISO 8601; without a zone it is UTC.

    >>> moment("2026-05-01T12:00:00+02:00"), moment("2026-05-01 10:00")
    ('2026-05-01T10:00:00.000000Z', '2026-05-01T10:00:00.000000Z')
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or _DATE_ONLY.fullmatch(text):
        raise UsageProblem(f"'{text}' is not a time as 2026-05-01T12:00:00Z (without a zone it is UTC)")
    try:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise UsageProblem(f"'{text}' lies outside the calendar") from None
    said = found.strftime(assignment_log.TIME).rjust(27, "0")
    if said > store.now():
        raise UsageProblem(f"'{text}' lies in the future")
    return said


def _sources(wish: Wish, timed: bool) -> Sources:
    """Read what is needed: the history only where a question has a time or no site is named."""
    path = store.directory(wish.state_dir or store.DEFAULT, wish.netns)

    @functools.cache
    def known(digest: str) -> Known:
        done = outcome.compiled_text(store.site(path, digest), digest)
        if done.compiled is None:
            outcome.tell(done, wish.quiet, wish.color)
            raise KernelError(f"this nfcompile does not take the site {digest} of the history")
        return Known(done.compiled)

    timeline = history.timeline(store.read(path).events) if timed or wish.site is None else None
    if timeline is not None and not timeline.at:
        raise KernelError(f"there is no history in '{path}', so what was live is not known")
    named = None
    if wish.site is not None and wish.at is None:
        named = _named(wish, wish.site)
    owners: Owners | None = None
    if wish.log is not None:
        owners = lookup_at.Logged(assignment_log.Ledger(_assignments(wish.log)), timeline, known)
    elif wish.live:
        from nfcompile.live.owners import Kernel

        owners = Kernel(wish.netns)
    return Sources(timeline, known, named, owners)


def _named(wish: Wish, site: str) -> tuple[Known, Live | None]:
    data = files.read(site)
    done = outcome.compiled_text(data, files.shown(site))
    if done.compiled is None:
        outcome.tell(done, wish.quiet, wish.color)
        raise KernelError("the site is refused")
    blank = history.Event(
        0, "", "", hashlib.sha256(data).hexdigest(), files.shown(site), "", 0, "", "", "", 0
    )
    return Known(done.compiled), Live(blank.site, blank)


def _assignments(name: str) -> Iterator[assignment_log.Assignment]:
    """The assignments of a log; lines that are broken are said, since an answer may hang on them."""
    now = datetime.now(UTC)
    with _opened(name) as stream:
        for number, line in enumerate(stream, 1):
            try:
                found = assignment_log.read_line(line, now)
            except (ValueError, KeyError, TypeError) as error:
                print(f"{files.shown(name)}:{number}: warning: not read: {error}", file=sys.stderr)
                continue
            if found is not None:
                yield found


def _opened(name: str) -> TextIO:
    """A text that the command line names; - is standard input."""
    if name == files.STDIN and sys.stdin is not None:
        return sys.stdin
    try:
        return open(name, encoding="utf-8-sig", errors="replace", newline="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(f"cannot read '{name}': {reason}") from None


def _lines_of(name: str, reader: Reader) -> Iterator[list[str]]:
    """The lines that are not empty."""
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise UsageProblem(f"{files.shown(name)}:{reader.line_num}: {error}") from None


def _columns(name: str, header: Sequence[str]) -> list[str]:
    order = [field.strip().lower() for field in header]
    unknown = [field for field in order if field not in QUESTION_COLUMNS]
    if "addr" not in order or unknown or len(set(order)) != len(order):
        raise UsageProblem(f"'{name}' does not begin with the columns addr,port,proto,time")
    return order


def _question(
    fields: Sequence[str], order: Sequence[str], at: str | None
) -> tuple[tuple[str, ...], Question]:
    """One line: what stood there, and what it asks."""
    if len(fields) != len(order):
        raise ValueError(f"{len(fields)} fields, not {len(order)}")
    given = dict(zip(order, fields, strict=True))
    spelled = tuple(given.get(name, "").strip() for name in QUESTION_COLUMNS)
    addr, port, proto, time = spelled
    if proto not in PROTOCOLS:
        raise ValueError(f"'{proto}' is not tcp, udp or icmp")
    address, number = lookup.question(f"{addr}:{port}" if port else addr)
    return spelled, Question(address, number, proto or None, moment(time) if time else at)


def _spelled(question: Question, asked: str) -> tuple[str, ...]:
    addr, _, port = asked.partition(":")
    return addr, port, question.proto or "", question.at or ""


def _rows(
    spelled: tuple[str, ...], found: Sequence[Finding], asked_at: str
) -> Iterator[tuple[str | int | None, ...]]:
    """The lines of csv that answer a question, one for each binding."""
    if not found:
        yield (*spelled, *NOBODY, "", "", "", "", asked_at, __version__)
    for answer, live, assigned in found:
        since = ("", "", "") if live is None else (live.site, live.since.file, live.since.at)
        yield (*spelled, *answer, assigned, *since, asked_at, __version__)


def _write(rows: Iterable[Sequence[str | int | None]]) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _nobody(wish: Wish, question: Question, sources: Sources) -> str:
    if question.at is None:
        return f"nobody has {wish.asked}"
    assert sources.timeline is not None
    if not sources.timeline.when(question.at):
        return f"the history begins {sources.timeline.at[0]}; what was live at {question.at} is not known"
    return f"nobody had {wish.asked} at {question.at}"


def _report(wish: Wish, question: Question, found: Sequence[Finding]) -> None:
    """Question, answers, and the configuration that each comes from."""
    data = {
        "question": {
            "asked": wish.asked,
            "protocol": question.proto,
            "time": question.at,
            "asked_at": store.now(),
            "version": __version__,
        },
        "answers": [_as_data(one) for one in found],
    }
    if wish.format == "json":
        print(json.dumps(data, indent=2))
        return
    print(_lines(data["question"]))
    for one in data["answers"]:
        print("\n" + _lines(one))
    if not found:
        print("\nanswer:         nobody")


def _as_data(found: Finding) -> dict[str, object]:
    live = found.live
    configuration = live and {
        "file": live.since.file,
        "sha256": live.site,
        "live_since": live.since.at or None,
        "result": live.since.result or None,
        "applied_by": f"{live.since.user}@{live.since.host}" if live.since.host else None,
        "applied_with": live.since.version or None,
    }
    return found.answer._asdict() | {"assigned": found.assigned or None, "configuration": configuration}


def _lines(data: object) -> str:
    rows: list[tuple[str, object]] = []
    assert isinstance(data, dict)
    for word, value in data.items():
        if isinstance(value, dict):
            rows += value.items()
        else:
            rows.append((word, value))
    return "\n".join(
        f"{word.replace('_', ' ') + ':':<16}{value}" for word, value in rows if value is not None
    )
