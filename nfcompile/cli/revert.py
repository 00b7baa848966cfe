"""The timer of a trial: waits in a process of its own, and goes back if nobody has confirmed.

`apply --confirm` starts it before it loads. What it goes back to is compiled at once, so that at the end
nothing is needed but the kernel.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

from nfcompile import history
from nfcompile.cli import change, outcome
from nfcompile.cli.change import Records
from nfcompile.diagnostics import SiteError
from nfcompile.history import Event
from nfcompile.kernel import KernelError, state, timer

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled

ATTEMPTS = 10
PAUSE_SECONDS = 5


def main() -> None:
    """Arguments: the state directory, the namespace, the change, the digest to go back to, the pipe."""
    path, netns, number, back, pipe = sys.argv[1:]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        kept = Records(path, netns or None, state.identity(netns or None))
        compiled = None
        if back:
            done = outcome.compiled_text(state.site(path, back), back)
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
    while trial is not None:
        remaining = trial.uptime + (trial.seconds or 0) - state.uptime()
        if remaining > 0:
            time.sleep(min(remaining, 1))
        elif _go_back(kept, number, compiled, back):
            return
        trial = _open(kept, number)


def _open(kept: Records, number: int) -> Event | None:
    """The trial, if it is still this one."""
    trial = history.trial(state.read(kept.path).events, kept.kernel)
    return trial if trial is not None and trial.change == number else None


def _go_back(kept: Records, number: int, compiled: Compiled | None, back: str | None) -> bool:
    """Load what was live before; False where the trial has been given more time."""
    for _ in range(ATTEMPTS):
        with state.locked(kept.path):
            trial = _open(kept, number)
            if trial is None or trial.uptime + (trial.seconds or 0) > state.uptime():
                return trial is None
            if state.identity(kept.netns) != kept.kernel:
                return True  # another namespace has that name now
            ended = change.stamped(trial._replace(site=back, seconds=None))
            try:
                change.bring(compiled, kept.netns)
            except (SiteError, KernelError) as error:
                state.append(kept.path, ended._replace(result=history.FAILED, why=str(error)))
            else:
                state.append(kept.path, ended._replace(result=history.REVERTED))
                return True
        time.sleep(PAUSE_SECONDS)
    return True
