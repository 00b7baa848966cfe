"""`nfcompile history`: what was live when, who changed it, and the result."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from nfcompile.cli import state
from nfcompile.cli.exit_status import OK, to_stderr
from nfcompile.cli.options import Options
from nfcompile.cli.table import TableSection, show
from nfcompile.records import history, store
from nfcompile.records.history import Event

COLUMNS = ("change", "time (UTC)", "result", "site", "file", "by", "version")
DIGEST_SHOWN = 12


def run(options: Options) -> int:
    """List the events, the oldest first."""
    state.examine(options)
    path = store.directory(options.state_dir or store.DEFAULT, options.netns)
    log = store.read(path)
    if options.is_json:
        events = [
            event._asdict() | {"stored": event.site and os.path.join(path, "sites", event.site)}
            for event in log.events
        ]
        print(json.dumps({"events": events, "damaged": log.damaged}, indent=2))
        return OK
    if rows := [_row(event) for event in shown(log.events)]:
        show([TableSection(COLUMNS, rows)], color=options.color)
    elif not options.quiet:
        to_stderr(f"no history in '{path}'")
    return OK


def shown(events: Sequence[Event]) -> list[Event]:
    """Without the beginnings of changes that have an end."""
    ended = {event.change for event in events if event.result != history.LOADING}
    return [event for event in events if event.result != history.LOADING or event.change not in ended]


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
