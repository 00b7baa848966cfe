"""A trial: `confirm` keeps it, otherwise its timer, a process of its own, goes back to what was live before.

`apply --confirm` starts the timer before it loads. The timer compiles the way back at once, so that at the
end it needs nothing but the kernel.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nfcompile.deploy import change, timer
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.history import Event
from nfcompile.records.store import StateDir

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled

ATTEMPTS = 10
PAUSE_SECONDS = 5


def confirm(state: StateDir) -> Event:
    """Keep the site that is on trial. Raises KernelError where none is.

    `confirm` and the timer may meet: the first one decides.
    """
    nothing = KernelError("no site is on trial")
    if not store.read(state.path).events:
        raise nothing
    with store.locked(state.path):
        trial = history.trial(store.read(state.path).events, state.kernel)
        if trial is None:
            raise nothing
        if trial.result == history.LOADING:
            raise KernelError(
                f"'{trial.file}' was interrupted while it was loaded, so it may not be live; apply it again"
            )
        event = change.stamped(trial._replace(result=history.CONFIRMED, seconds=None))
        store.append(state.path, event)
        return event


def main(arguments: Sequence[str]) -> None:
    """The timer's process: state directory, namespace, change, digest to go back to, pipe."""
    from nfcompile.pipeline import compile_text

    path, netns, number, back, pipe = arguments
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        state = StateDir(path, netns or None, store.identity(netns or None))
        compiled = None
        if back:
            compiled = compile_text(store.site(path, back), back).compiled
            if compiled is None:
                raise KernelError(
                    "this version of nfcompile rejects the site that the trial would go back to"
                )
    except KernelError as error:
        timer.tell(pipe, str(error))
        return
    timer.tell(pipe, timer.READY)
    wait(state, int(number), compiled, back or None)


def wait(state: StateDir, number: int, compiled: Compiled | None, back: str | None) -> None:
    """Return when the trial is over, whoever ended it."""
    trial = _open(state, number)
    failures = 0
    while trial is not None and failures < ATTEMPTS:
        remaining = _remaining(trial)
        if remaining > 0:
            time.sleep(min(remaining, 1))
        elif _is_gone(state):
            return
        elif not _go_back(state, trial, compiled, back):
            failures += 1
            time.sleep(PAUSE_SECONDS)
        trial = _open(state, number, trial)


def _open(state: StateDir, number: int, known: Event | None = None) -> Event | None:
    """The trial, if it is still this one; as it was known where the history has vanished.

    A later change that is only being loaded does not end it: it may be refused, or never end.
    """
    events = store.read(state.path).events
    if not events:
        return known
    begun = [one for one in events if one.change == number or one.result != history.LOADING]
    trial = history.trial(begun, state.kernel)
    return trial if trial is not None and trial.change == number else None


def _remaining(trial: Event) -> float:
    return trial.uptime + (trial.seconds or 0) - store.uptime()


def _is_gone(state: StateDir) -> bool:
    """Whether the namespace is no more, or its name is another one's."""
    try:
        return store.identity(state.netns) != state.kernel
    except KernelError:
        return True


def _go_back(state: StateDir, trial: Event, compiled: Compiled | None, back: str | None) -> bool:
    """Load what was live before; False where that failed, True also where the trial goes on or has ended."""
    with store.locked(state.path):
        current = _open(state, trial.change, trial)
        if current is None or _remaining(current) > 0:
            return True
        ended = change.stamped(trial._replace(site=back, seconds=None))
        try:
            if compiled is None:
                change.remove_table(state.netns)
            else:
                change.load_site(compiled, state.netns)
            store.append(state.path, ended._replace(result=history.REVERTED))
        except (SiteError, KernelError) as error:
            with suppress(store.StateError):
                store.append(state.path, ended._replace(result=history.FAILED, why=str(error)))
            return False
    return True
