"""The timer of a trial: waits in a process of its own, and goes back if nobody has confirmed.

`apply --confirm` starts it before it loads. What it goes back to is compiled at once, so that at the end
nothing is needed but the kernel.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from nfcompile.cli import change, outcome
from nfcompile.cli.change import Records
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError, timer
from nfcompile.records import history, store
from nfcompile.records.history import Event

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled

ATTEMPTS = 10
PAUSE_SECONDS = 5


def main() -> None:
    """Arguments: the state directory, the namespace, the change, the digest to go back to, the pipe."""
    path, netns, number, back, pipe = sys.argv[1:]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        kept = Records(path, netns or None, store.identity(netns or None))
        compiled = None
        if back:
            done = outcome.compiled_text(store.site(path, back), back)
            if done.compiled is None:
                raise KernelError("this nfcompile does not take the site that a trial would go back to")
            compiled = done.compiled
    except KernelError as error:
        timer.tell(pipe, str(error))
        return
    timer.tell(pipe, timer.READY)
    wait(kept, int(number), compiled, back or None)


def wait(kept: Records, number: int, compiled: Compiled | None, back: str | None) -> None:
    """Return when the trial is over, whoever ended it."""
    trial = _open(kept, number)
    failures = 0
    while trial is not None and failures < ATTEMPTS:
        remaining = _remaining(trial)
        if remaining > 0:
            time.sleep(min(remaining, 1))
        elif _is_gone(kept):
            return
        elif not _go_back(kept, trial, compiled, back):
            failures += 1
            time.sleep(PAUSE_SECONDS)
        trial = _open(kept, number, trial)


def _open(kept: Records, number: int, known: Event | None = None) -> Event | None:
    """The trial, if it is still this one; as it was known where the history has vanished.

    A later change that is only being loaded does not end it: it may be refused, or never end.
    """
    events = store.read(kept.path).events
    if not events:
        return known
    begun = [one for one in events if one.change == number or one.result != history.LOADING]
    trial = history.trial(begun, kept.kernel)
    return trial if trial is not None and trial.change == number else None


def _remaining(trial: Event) -> float:
    return trial.uptime + (trial.seconds or 0) - store.uptime()


def _is_gone(kept: Records) -> bool:
    """Whether the namespace is no more, or its name is another one's."""
    try:
        return store.identity(kept.netns) != kept.kernel
    except KernelError:
        return True


def _go_back(kept: Records, trial: Event, compiled: Compiled | None, back: str | None) -> bool:
    """Load what was live before; False where that failed, True also where the trial goes on or has ended."""
    with store.locked(kept.path):
        current = _open(kept, trial.change, trial)
        if current is None or _remaining(current) > 0:
            return True
        ended = change.stamped(trial._replace(site=back, seconds=None))
        try:
            if compiled is None:
                change.remove(kept.netns)
            else:
                change.bring(compiled, kept.netns)
            store.append(kept.path, ended._replace(result=history.REVERTED))
        except (SiteError, KernelError) as error:
            with suppress(store.StateError):
                store.append(kept.path, ended._replace(result=history.FAILED, why=str(error)))
            return False
    return True
