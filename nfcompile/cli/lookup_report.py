"""The answers of `nfcompile lookup` with the configurations that they come from: text, JSON, csv."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from nfcompile import __version__
from nfcompile.allocation.lookup import NOBODY
from nfcompile.cli import rows
from nfcompile.records import store
from nfcompile.records.lookup_at import Attribution, BindingQuestion
from nfcompile.records.timeline import LiveSite, Moment
from nfcompile.report import visible

COLUMNS = (
    *("addr", "port", "proto", "time"),
    *("pool", "subscriber", "global_ip", "port_first", "port_last", "action", "assigned"),
    *("site", "file", "live_since", "asked_at", "version", "certain"),
)


class AnsweredQuestion(NamedTuple):
    """A question as it was spelled (addr, port, proto, time), and its answers."""

    spelled: tuple[str, ...]
    found: Sequence[Attribution]
    moment: Moment | None = None
    log_doubt: str = ""

    @property
    def doubt(self) -> str:
        """Why the answers are not certain, by the history and by the log."""
        return "; ".join(filter(None, (self.moment.doubt if self.moment else "", self.log_doubt)))


def write(asked: str, question: BindingQuestion, answered: AnsweredQuestion, format: str) -> None:
    """Write question, answers, the configuration and the record behind each, and what is not certain."""
    moment = answered.moment
    doubtful = moment.live if moment and moment.doubt else ()
    data: dict[str, Any] = {
        "question": {
            "asked": asked,
            "protocol": question.proto,
            "time": question.at,
            "asked_at": store.now(),
            "version": __version__,
        },
        "certain": not answered.doubt,
        "doubt": answered.doubt or None,
        "may_have_been_live": [_live_data(one) for one in doubtful],
        "answers": [_as_data(one) for one in answered.found],
    }
    print(json.dumps(data, indent=2) if format == "json" else _text(data))


def _text(data: dict[str, Any]) -> str:
    paragraphs = [data["question"], *data["answers"]]
    if not data["answers"]:
        paragraphs.append({"answer": "no binding"})
    if not data["certain"]:
        paragraphs.append({"certain": f"no, {data['doubt']}"})
        paragraphs += [{"may have been": "live", **live} for live in data["may_have_been_live"]]
    return "\n\n".join(map(_lines, paragraphs))


def write_csv(answered: Iterable[AnsweredQuestion]) -> None:
    """Write a line for each binding, or one with the action `none`."""
    asked_at = store.now()
    rows.write(COLUMNS, (row for one in answered for row in _rows(one, asked_at)), "csv")


def spelled(question: BindingQuestion, asked: str) -> tuple[str, ...]:
    """A question of the command line as csv has it."""
    port = "" if question.port is None else str(question.port)
    addr = asked.removesuffix(f":{port}") if port else asked
    return addr.strip("[]"), port, question.proto or "", question.at or ""


def _rows(answered: AnsweredQuestion, asked_at: str) -> Iterator[tuple[str | int | None, ...]]:
    question = tuple(map(visible, answered.spelled))
    certain = "no" if answered.doubt else "yes"
    if not answered.found:
        yield (*question, *NOBODY, "", "", "", "", asked_at, __version__, certain)
    for answer, configuration, assigned, _ in answered.found:
        since = _since(configuration.since) or "" if configuration else ""
        source = (configuration.site, visible(configuration.file), since) if configuration else ("", "", "")
        yield (*question, *answer, assigned, *source, asked_at, __version__, certain)


def _as_data(found: Attribution) -> dict[str, object]:
    site, file, live = found.configuration or (None, None, None)
    configuration = _live_data(live) if live else {"file": file, "sha256": site, **dict.fromkeys(SINCE)}
    evidence = found.evidence
    return found.answer._asdict() | {
        "assigned": found.assigned or None,
        "configuration": configuration,
        "log": {name: value or None for name, value in evidence._asdict().items()} if evidence else None,
    }


SINCE = ("live_since", "live_since_between", "result", "applied_by", "applied_with")


def _live_data(live: LiveSite) -> dict[str, object]:
    event = live.since
    return {
        "file": live.file,
        "sha256": live.site,
        "live_since": _since(live),
        "live_since_between": None if _since(live) else [live.earliest, live.latest],
        "result": event.result,
        "applied_by": f"{event.user}@{event.host}",
        "applied_with": event.version,
    }


def _since(live: LiveSite | None) -> str | None:
    """Since when a site was live, where that is certain."""
    return live.earliest if live and live.earliest == live.latest else None


def _lines(data: object) -> str:
    pairs: list[tuple[str, object]] = []
    assert isinstance(data, dict)
    for word, value in data.items():
        if isinstance(value, dict):
            pairs += [(f"log {name}" if word == "log" else name, one) for name, one in value.items()]
        else:
            pairs.append((word, value))
    return "\n".join(
        f"{word.replace('_', ' ') + ':':<16}{visible(_spelled(value))}"
        for word, value in pairs
        if value is not None
    )


def _spelled(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
