"""The state directory as a verb meets it: what is damaged in the history, and a trial whose time is over."""

from __future__ import annotations

from nfcompile.cli.exit_status import note
from nfcompile.cli.options import Options
from nfcompile.records.history import EventLog


def tell_damaged(path: str, log: EventLog, options: Options) -> None:
    """Print which lines of a history are left out, if any are."""
    if log.damaged and not options.quiet:
        lines = ", ".join(map(str, log.damaged[:LINES_SHOWN]))
        more = f" and {len(log.damaged) - LINES_SHOWN} more" if len(log.damaged) > LINES_SHOWN else ""
        word = "line" if len(log.damaged) == 1 else "lines"
        note(f"'{path}/history.jsonl': {word} {lines}{more} damaged and left out")


LINES_SHOWN = 10
