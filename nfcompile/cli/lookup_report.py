"""The answers of `nfcompile lookup` with the configurations that they come from: text, JSON, csv."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nfcompile import __version__
from nfcompile.allocation.lookup import NOBODY
from nfcompile.cli import rows
from nfcompile.records import store
from nfcompile.records.lookup_at import Attribution, BindingQuestion
from nfcompile.report import visible

COLUMNS = (
    *("addr", "port", "proto", "time"),
    *("pool", "subscriber", "global_ip", "port_first", "port_last", "action", "assigned"),
    *("site", "file", "live_since", "asked_at", "version"),
)


class AnsweredQuestion(NamedTuple):
    """A question as it was spelled (addr, port, proto, time), and its answers."""

    spelled: tuple[str, ...]
    found: Sequence[Attribution]


def write(asked: str, question: BindingQuestion, found: Sequence[Attribution], format: str) -> None:
    """Write question, answers, and the configuration behind each."""
    data = {
        "question": {
            "asked": asked,
            "protocol": question.proto,
            "time": question.at,
            "asked_at": store.now(),
            "version": __version__,
        },
        "answers": [_as_data(one) for one in found],
    }
    if format == "json":
        print(json.dumps(data, indent=2))
        return
    print(_lines(data["question"]))
    for one in data["answers"]:
        print("\n" + _lines(one))
    if not found:
        print("\nanswer:         no binding")


def write_csv(answered: Iterable[AnsweredQuestion]) -> None:
    """Write a line for each binding, or one with the action `none`."""
    asked_at = store.now()
    rows.write(COLUMNS, (row for one in answered for row in _rows(one, asked_at)), "csv")


def spelled(question: BindingQuestion, asked: str) -> tuple[str, ...]:
    """A question of the command line as csv has it."""
    addr, _, port = asked.partition(":")
    return addr, port, question.proto or "", question.at or ""


def _rows(answered: AnsweredQuestion, asked_at: str) -> Iterator[tuple[str | int | None, ...]]:
    question = tuple(map(visible, answered.spelled))
    if not answered.found:
        yield (*question, *NOBODY, "", "", "", "", asked_at, __version__)
    for answer, configuration, assigned in answered.found:
        since = configuration.since.at if configuration.since else ""
        source = (configuration.site, visible(configuration.file), since)
        yield (*question, *answer, assigned, *source, asked_at, __version__)


def _as_data(found: Attribution) -> dict[str, object]:
    site, file, since = found.configuration
    configuration = {
        "file": file,
        "sha256": site,
        "live_since": since.at if since else None,
        "result": since.result if since else None,
        "applied_by": f"{since.user}@{since.host}" if since else None,
        "applied_with": since.version if since else None,
    }
    return found.answer._asdict() | {"assigned": found.assigned or None, "configuration": configuration}


def _lines(data: object) -> str:
    pairs: list[tuple[str, object]] = []
    assert isinstance(data, dict)
    for word, value in data.items():
        if isinstance(value, dict):
            pairs += value.items()
        else:
            pairs.append((word, value))
    return "\n".join(
        f"{word.replace('_', ' ') + ':':<16}{visible(str(value))}"
        for word, value in pairs
        if value is not None
    )
