"""A trial: `confirm` keeps it, otherwise its timer, a process of its own, goes back to what was live before.

`apply --confirm` starts the timer before it loads. The timer compiles the way back at once, so that at the
end it needs nothing but the kernel. Whatever dies, no trial is without an end: a timer whose `apply` is gone
before the load goes back at once, and where the timer is gone, the next verb goes back.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from nfcompile.deploy import change, host_half, timer
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
    """Keep the site that is on trial. Raises KernelError where none is, or its time is over.

    `confirm` and the timer may meet: the time decides. A trial that cannot be taken back is kept.
    """
    nothing = KernelError("no site is on trial")
    if not store.read(state.path).events:
        raise nothing
    with store.locked(state.path):
        trial = _current(state)
        if trial is None:
            raise nothing
        if trial.result == history.LOADING:
            raise KernelError(
                f"'{trial.file}' was interrupted while it was loaded, so it may not be live; "
                "'nfcompile apply' loads it again, 'nfcompile rollback' goes back"
            )
        if store.seconds_left(trial) <= 0:
            back = None
            with suppress(KernelError):
                back = _go_back(state, trial)
            if back is not None:
                raise KernelError(ended_text(trial, back))
        event = change.stamped(trial._replace(result=history.CONFIRMED, seconds=None, back=None))
        store.append(state.path, event)
        return event


def ended_text(trial: Event, back: Event) -> str:
    """What became of a trial that was not confirmed in time."""
    live = "no table" if back.site is None else f"'{back.file}'"
    return f"the trial of '{trial.file}' is over: {live} is live again"


def overdue(state: StateDir) -> Event | None:
    """The trial whose time is over and that has not been taken back: its timer is gone."""
    trial = _current(state)
    return trial if trial is not None and store.seconds_left(trial) <= 0 else None


def finish(state: StateDir) -> Event | None:
    """Take back a trial whose time is over; None where it has ended meanwhile.

    Raises KernelError where the way back fails: the trial goes on.
    """
    with store.locked(state.path):
        trial = overdue(state)
        return None if trial is None else _go_back(state, trial)


def end(state: StateDir) -> Event | None:
    """Take back the site that is on trial now; None where none is. Raises KernelError."""
    if not store.read(state.path).events:
        return None
    with store.locked(state.path):
        trial = _current(state)
        return None if trial is None else _go_back(state, trial)


def _current(state: StateDir) -> Event | None:
    return history.trial(store.read(state.path).events, state.kernel)


def _go_back(state: StateDir, trial: Event) -> Event:
    """Load what was live before, and record it. The caller holds the lock. Raises KernelError."""
    compiled = way_back(state, trial)
    try:
        why = _load(state, compiled, trial.change)
    except SiteError as error:
        raise KernelError(f"the kernel refuses what was live before: {error}") from None
    event = _reverted(state, trial, why)
    store.append(state.path, event)
    return event


def way_back(state: StateDir, trial: Event) -> Compiled | None:
    """What a trial goes back to, compiled; None for no table."""
    from nfcompile.deploy.recorded_site import recorded_node
    from nfcompile.pipeline import compile_text

    back = _back(state, trial)
    if back.site is None:
        return None
    compiled = compile_text(store.site(state.path, back.site), back.site, recorded_node(back)).compiled
    if compiled is None:
        raise KernelError(
            f"this version of nfcompile rejects '{back.file}', which version {back.version} loaded and "
            "the trial would go back to"
        )
    return compiled


def _back(state: StateDir, trial: Event) -> Event:
    """The event of what a trial goes back to; of an earlier version's trial: of the site that was kept."""
    events = [event for event in store.read(state.path).events if event.change != trial.change]
    kept = history.kept(events, state.kernel)
    digest = trial.back if trial.back is not None else (kept.site if kept else None)
    given = [event for event in events if event.site == digest and event.result != history.REVERTED]
    none = trial._replace(site=None, file=None)
    return given[-1] if digest and given else none._replace(site=digest or None)


def _reverted(state: StateDir, trial: Event, why: str) -> Event:
    """The event that ends a trial: the digest and the file of what is live again, and why the host's half is
    not."""
    back = _back(state, trial)
    live = trial._replace(site=back.site, file=back.file, node=back.node, seconds=None, back=None)
    return change.stamped(live._replace(result=history.REVERTED, why=why))


def _load(state: StateDir, compiled: Compiled | None, number: int) -> str:
    """Go back, the host's half first, so that nothing is forwarded without a table; why that half did not."""
    why = host_half.go_back(state, number)
    if compiled is None:
        change.remove_table(state.netns)
    else:
        change.load_site(compiled, state.netns)
    return why


# ---- the process of the timer


def main(arguments: Sequence[str]) -> None:
    """Wait for the end of a trial: state directory, namespace, number of the change, pipe."""
    path, netns, number, pipe = arguments
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        state = StateDir(path, netns or None, store.identity(netns or None))
        trial = _open(state, int(number))
        if trial is None:
            raise KernelError("the trial has ended before its timer has begun")
        compiled = way_back(state, trial)
    except KernelError as error:
        timer.tell(pipe, str(error))
        return
    if timer.tell(pipe, timer.READY):
        wait(state, trial, compiled)
    else:
        _abandoned(state, trial, compiled)


def _abandoned(state: StateDir, trial: Event, compiled: Compiled | None) -> None:
    """`apply` has died before it heard of its timer, so it has loaded nothing: end its trial at once."""
    with _locked(state):
        current = _open(state, trial.change, trial)
        if current is not None and current.result == history.LOADING:
            _try_to_go_back(state, current, compiled)


def wait(state: StateDir, trial: Event, compiled: Compiled | None) -> None:
    """Return when the trial is over, whatever ended it."""
    current: Event | None = trial
    failures = 0
    while current is not None and failures < ATTEMPTS:
        remaining = store.seconds_left(current)
        if remaining > 0:
            time.sleep(min(remaining, 1))
        elif _is_gone(state):
            return
        elif not _end_of_time(state, current, compiled):
            failures += 1
            time.sleep(PAUSE_SECONDS)
        current = _open(state, trial.change, current)


def _open(state: StateDir, number: int, known: Event | None = None) -> Event | None:
    """The trial, if it is still this one; as it was known where the history cannot be read or has vanished.

    A later change that is only being loaded does not end it: it may be refused, or never end.
    """
    try:
        events = store.read(state.path).events
    except store.StateError:
        return known
    if not events:
        return known
    begun = [event for event in events if event.change == number or event.result != history.LOADING]
    trial = history.trial(begun, state.kernel)
    return trial if trial is not None and trial.change == number else None


def _is_gone(state: StateDir) -> bool:
    """Whether the namespace is no more, or its name is another one's."""
    try:
        return store.identity(state.netns) != state.kernel
    except KernelError:
        return True


def _end_of_time(state: StateDir, trial: Event, compiled: Compiled | None) -> bool:
    """Go back; False where that failed, True also where the trial goes on or has ended."""
    with _locked(state):
        current = _open(state, trial.change, trial)
        if current is None or store.seconds_left(current) > 0:
            return True
        return _try_to_go_back(state, current, compiled)


def _try_to_go_back(state: StateDir, trial: Event, compiled: Compiled | None) -> bool:
    try:
        why = _load(state, compiled, trial.change)
        store.append(state.path, _reverted(state, trial, why))
    except (SiteError, KernelError) as error:
        failed = trial._replace(result=history.FAILED, seconds=None, back=None, why=str(error))
        with suppress(store.StateError):
            store.append(state.path, change.stamped(failed))
        return False
    return True


@contextmanager
def _locked(state: StateDir) -> Iterator[None]:
    """Hold the lock where there still is one: the way back is loaded from a disk that has failed, too."""
    with ExitStack() as held:
        with suppress(store.StateError):
            held.enter_context(store.locked(state.path))
        yield
