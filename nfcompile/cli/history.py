"""`nfcompile history`: what was live when, by whom, and what came of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from nfcompile.cli.guard import OK
from nfcompile.records import history, store
from nfcompile.records.history import Event

COLUMNS = ("change", "time (UTC)", "result", "site", "file", "by", "version")
DIGEST_SHOWN = 12


def run(netns: str | None, state_dir: str | None, *, format: str = "text", quiet: bool = False) -> int:
    """List the events, the oldest first."""
    path = store.directory(state_dir or store.DEFAULT, netns)
    log = store.read(path)
    if format == "json":
        events = [
            one._asdict() | {"stored": one.site and os.path.join(path, "sites", one.site)}
            for one in log.events
        ]
        print(json.dumps({"events": events, "damaged": log.damaged}, indent=2))
        return OK
    rows = [_row(one) for one in shown(log.events)]
    if rows:
        _table([COLUMNS, *rows])
    elif not quiet:
        print(f"no history in '{path}'", file=sys.stderr)
    if log.damaged and not quiet:
        lines = ", ".join(map(str, log.damaged))
        print(f"nfcompile: note: torn by a crash and left out: line {lines} of the history", file=sys.stderr)
    return OK


def shown(events: Sequence[Event]) -> list[Event]:
    """Without the beginnings of changes that have an end."""
    ended = {one.change for one in events if one.result != history.LOADING}
    return [one for one in events if one.result != history.LOADING or one.change not in ended]


def _row(event: Event) -> tuple[str, ...]:
    result = f"trial {event.seconds} s" if event.result == history.TRIAL else event.result
    return (
        str(event.change),
        event.at[:19].replace("T", " "),
        result,
        event.site[:DIGEST_SHOWN] if event.site else "no table",
        (event.file or "") if event.site else "",
        f"{event.user or event.uid}@{event.host}",
        event.version,
    )


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
