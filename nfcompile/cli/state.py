"""The state directory as a verb meets it: what is damaged in the history, and a trial whose time is over."""

from __future__ import annotations

from nfcompile.cli.exit_status import note
from nfcompile.cli.options import Options
from nfcompile.kernel import KernelError
from nfcompile.records import store
from nfcompile.records.history import EventLog
from nfcompile.records.store import StateDir

LINES_SHOWN = 10


def examine(options: Options, finish: bool = True) -> None:
    """Report damaged lines of the history; take back a trial whose time is over and whose timer is gone.

    Nothing happens where this user may not read the history: the verb itself goes on, or says so.
    """
    try:
        state = store.state_dir(options.state_dir, options.netns)
        log = store.read(state.path)
    except KernelError:
        return
    tell_damaged(state.path, log, options)
    if finish:
        _finish_trial(state)


def _finish_trial(state: StateDir) -> None:
    from nfcompile.deploy import trial

    overdue = trial.overdue(state)
    if overdue is None:
        return
    try:
        back = trial.finish(state)
    except KernelError as problem:
        note(f"the trial of '{overdue.file}' is over, but it cannot be taken back: {problem}")
        return
    if back is not None:
        note(trial.ended_text(overdue, back))


def tell_damaged(path: str, log: EventLog, options: Options) -> None:
    """Print which lines of a history are left out, if any are."""
    if log.damaged and not options.quiet:
        lines = ", ".join(map(str, log.damaged[:LINES_SHOWN]))
        more = f" and {len(log.damaged) - LINES_SHOWN} more" if len(log.damaged) > LINES_SHOWN else ""
        word = "line" if len(log.damaged) == 1 else "lines"
        note(f"'{path}/history.jsonl': {word} {lines}{more} damaged and left out")
