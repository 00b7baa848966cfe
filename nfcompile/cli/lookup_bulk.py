"""`nfcompile lookup --bulk`: a csv file of questions, answered in csv."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nfcompile.cli import files, lookup_report
from nfcompile.cli.ends import read_end_in_vlan, with_port
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, to_stderr
from nfcompile.cli.lookup_logs import at_line, open_text
from nfcompile.cli.lookup_report import AnsweredQuestion
from nfcompile.cli.lookup_sources import LookupSources, moment, opened_sources
from nfcompile.cli.options import Options
from nfcompile.kernel import KernelError
from nfcompile.records.lookup_at import BindingQuestion

if TYPE_CHECKING:
    from _csv import Reader

QUESTION_COLUMNS = ("addr", "port", "proto", "time")
PROTOCOLS = ("", "tcp", "udp", "icmp")
LINES_SHOWN = 20


def run(options: Options) -> int:
    """Answer every line while it is read; wrong lines are reported, and the rest is answered."""
    name = options.bulk or ""
    at = None if options.at is None else moment(options.at)
    named = options.words[0] if options.words else None
    wrong: list[int] = []
    with open_text(name) as stream:
        reader = csv.reader(stream)
        order = _columns(name, next(_lines(name, reader), []))
        timed = named is None or at is not None or "time" in order
        sources = opened_sources(options, named, timed)
        lookup_report.write_csv(_answered(name, reader, order, at, sources, wrong))
    if len(wrong) > LINES_SHOWN:
        to_stderr(f"{files.shown(name)}: {len(wrong)} wrong lines; the first {LINES_SHOWN} are shown")
    return REFUSED if wrong else OK


def _answered(
    name: str, reader: Reader, order: Sequence[str], at: str | None, sources: LookupSources, wrong: list[int]
) -> Iterator[AnsweredQuestion]:
    """Every line that is a question, with its answers; the numbers of the others go into `wrong`."""
    for fields in _lines(name, reader):
        try:
            spelled, question = _question(fields, order, at)
            yield AnsweredQuestion(spelled, *sources.find(question))
        except (ValueError, UsageProblem, KernelError) as error:
            wrong.append(reader.line_num)
            if len(wrong) <= LINES_SHOWN:
                at_line(name, reader.line_num, f"error: {error}")


def _lines(name: str, reader: Reader) -> Iterator[list[str]]:
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
) -> tuple[tuple[str, ...], BindingQuestion]:
    """One line: its cells, and the question that they are."""
    if len(fields) != len(order):
        raise ValueError(f"{len(fields)} fields, not {len(order)}")
    given = dict(zip(order, fields, strict=True))
    spelled = tuple(given.get(name, "").strip() for name in QUESTION_COLUMNS)
    addr, port, proto, time = spelled
    if proto not in PROTOCOLS:
        raise ValueError(f"'{proto}' is not tcp, udp or icmp")
    end = read_end_in_vlan(with_port(addr, port))
    when = moment(time) if time else at
    return spelled, BindingQuestion(end.address, end.port, proto or None, when, end.is_ipv6, end.vid)
