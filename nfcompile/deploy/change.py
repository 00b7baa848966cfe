"""A change of what is live, and its line in the history: the only way from a verb to the kernel.

The order makes it safe to die at any point: the history is written before the kernel is touched, and the
timer of a trial runs before the trial is loaded.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nfcompile import __version__
from nfcompile.deploy import live_site
from nfcompile.deploy.site_file import SiteFile
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError, interrupts
from nfcompile.records import history, store
from nfcompile.records.history import Event
from nfcompile.records.store import StateDir

if TYPE_CHECKING:
    from nfcompile.kernel.apply import KnownTable, LoadResult
    from nfcompile.pipeline import Compiled

NO_TABLE = "table {0}\ndelete table {0}\n"
TIMER = "import sys; sys.path[:0] = [{0!r}]; from nfcompile.deploy.trial import main; main(sys.argv[1:])"
TOO_LATE = "interrupted when the site was loaded already; 'nfcompile rollback' takes it back"
MEANWHILE = "another change was made in the meantime; look at the difference again"


class AppliedChange(NamedTuple):
    """A change that was made: its last event, and what it did in the kernel.

    `unrecorded` says why it is not in the history: a boot, or a rollback, needs no disk that can be written.
    """

    event: Event
    result: LoadResult
    unrecorded: str = ""


def writable(root: str | None, netns: str | None) -> tuple[StateDir | None, str]:
    """The records of a gateway; None and the reason where this user may not write to the default root.

    Raises StateError where a root was named, or where something else is wrong with it.
    """
    state = store.state_dir(root, netns)
    try:
        with store.locked(state.path):
            return state, ""
    except store.StateError as error:
        if root is not None or not error.forbidden:
            raise
        return None, str(error)


def apply_and_record(
    state: StateDir,
    site: SiteFile,
    compiled: Compiled,
    result: str,
    *,
    seconds: int | None = None,
    events_seen: int | None = None,
) -> AppliedChange:
    """Load a site; the history says what came of it, whatever happens.

    With `seconds` the site is on trial for that time; without, a trial is in the way unless `result` is
    ROLLBACK. `events_seen` is the number of events that the operator's answer is about. Raises SiteError
    where the kernel refuses, and KernelError.
    """
    required = result not in (history.BOOT, history.ROLLBACK)
    with store.locked(state.path):
        events = store.read(state.path).events
        if seconds is None and result != history.ROLLBACK:
            refuse_during_trial(state, events)
        if events_seen is not None and len(events) != events_seen:
            raise KernelError(MEANWHILE)
        back = _way_back(state, events) if seconds is not None else None
        event = _event(state, _next(events), history.LOADING, site, seconds, back)
        known = live_site.known_table(state, compiled)
        unrecorded = _begin(state, site, event, required)
        if unrecorded:
            _refuse_without_record(events, state, event, unrecorded)
        if seconds is not None:
            _start_timer(state, event)
        with interrupts.held(TOO_LATE):
            loaded = _load_or_refuse(state, compiled, event, known, recorded=not unrecorded)
            live_site.note_loaded(state, compiled, loaded.generation)
            event = stamped(event._replace(result=history.TRIAL if seconds is not None else result))
            return AppliedChange(event, loaded, _end(state, event, required))


def _load_or_refuse(
    state: StateDir, compiled: Compiled, event: Event, known: KnownTable | None, recorded: bool
) -> LoadResult:
    """Load a site; a refusal goes into the history before it is raised, and so does Ctrl-C."""
    try:
        return load_site(compiled, state.netns, known)
    except (SiteError, KernelError, KeyboardInterrupt) as error:
        if recorded:
            why = str(error) or "interrupted before the load"
            store.append(state.path, stamped(event._replace(result=history.REFUSED, why=why)))
        raise


def _end(state: StateDir, event: Event, required: bool) -> str:
    """Write how a change ended; where that needs not be, why it cannot be written is returned."""
    try:
        store.append(state.path, event)
    except store.StateError as error:
        if required:
            raise
        return str(error)
    return ""


def _begin(state: StateDir, site: SiteFile, event: Event, required: bool) -> str:
    """Write that a change begins. What is only loaded again from the history needs no new line in it: why
    there is none is returned."""
    from nfcompile.deploy import timer

    timer.sweep(state.path)
    try:
        store.keep(state.path, site.data)
        store.append(state.path, event, reserve=False)
    except store.StateError as error:
        if required:
            raise
        return str(error)
    return ""


def _refuse_without_record(events: tuple[Event, ...], state: StateDir, event: Event, unrecorded: str) -> None:
    """A timer learns from the history alone that its trial has ended; without it, it would load its own site
    over another one."""
    trial = history.trial(events, state.kernel)
    if trial is not None and (trial.back or None) != event.site:
        raise KernelError(
            f"{unrecorded}; so only 'rollback --trial' or 'rollback' to the site before the trial is possible"
        )


def record_live(state: StateDir, site: SiteFile, events_seen: int) -> None:
    """Record a site that is live already, unless the history says so. `events_seen` is the number of events
    when the kernel was read."""
    with store.locked(state.path):
        events = store.read(state.path).events
        refuse_during_trial(state, events)
        digest = store.keep(state.path, site.data)
        last = history.kept(events, state.kernel)
        if last is None or last.site != digest or history.settled(events)[-1] != last:
            if len(events) != events_seen:
                raise KernelError(MEANWHILE)
            store.append(state.path, _event(state, _next(events), history.APPLIED, site))


def event_count(root: str | None, netns: str | None) -> int:
    """How many events there are; 0 where this user may not read them."""
    try:
        return len(store.read(store.state_dir(root, netns).path).events)
    except KernelError:
        return 0


def on_trial(state: StateDir) -> Event | None:
    """The event of the site that is on trial, if one is."""
    return history.trial(store.read(state.path).events, state.kernel)


def refuse_during_trial(state: StateDir, events: tuple[Event, ...]) -> None:
    """Raise KernelError where a site is on trial. One whose `apply` was killed while it loaded is in no
    other change's way: what is loaded next replaces it."""
    trial = history.trial(events, state.kernel)
    if trial is None or trial.result == history.LOADING:
        return
    left = round(store.seconds_left(trial))
    raise KernelError(
        f"'{trial.file}' is on trial{f' for {left} s' if left > 0 else ''}; 'nfcompile confirm' keeps it, "
        "'nfcompile rollback --trial' goes back, 'apply --confirm' puts another site on trial"
    )


def load_site(compiled: Compiled, netns: str | None, known: KnownTable | None = None) -> LoadResult:
    """Make a compiled site live: with `remove_table`, the only call that changes the kernel."""
    from nfcompile.kernel import apply
    from nfcompile.live.continuity import SiteStatePolicy

    policy = SiteStatePolicy(compiled)
    with interrupts.held(TOO_LATE):
        return apply.load_difference(compiled.text.text, compiled.text.origin, netns, policy, known)


def remove_table(netns: str | None) -> None:
    """Take our tables away; connection tracking keeps the sessions."""
    from nfcompile.kernel import apply, nft
    from nfcompile.kernel.netns import inside

    tables = [nft.TABLE, *([nft.TABLE6] if inside(netns, nft.listing6) else [])]
    apply.load("".join(map(NO_TABLE.format, tables)), lambda line: (), netns)


def stamped(event: Event) -> Event:
    """The event as if it happened now, by the user of this process."""
    return event._replace(
        at=store.now(), uptime=store.uptime(), user=_user(), uid=os.getuid(), host=os.uname().nodename
    )


def _event(
    state: StateDir,
    change: int,
    result: str,
    site: SiteFile,
    seconds: int | None = None,
    back: str | None = None,
) -> Event:
    event = Event(
        change=change,
        at="",
        result=result,
        site=store.digest(site.data),
        file=site.file,
        user="",
        uid=0,
        host="",
        version=__version__,
        kernel=state.kernel,
        uptime=0,
        seconds=seconds,
        back=back,
        node=site.node,
    )
    return stamped(event)


def _next(events: tuple[Event, ...]) -> int:
    return max((event.change for event in events), default=0) + 1


def _user() -> str:
    """The user that called sudo, or the one of this process."""
    if caller := os.environ.get("SUDO_USER"):
        return caller
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _way_back(state: StateDir, events: tuple[Event, ...]) -> str:
    """The digest of the site that a trial goes back to, '' for no table."""
    from nfcompile.kernel import netns, nft

    if not netns.inside(state.netns, nft.has_table):
        return ""
    last = history.kept(events, state.kernel)
    if last is None or (last.site is None and history.trial(events, state.kernel) is None):
        raise KernelError(
            "the history does not know the table that is live, so a trial could not go back to it; "
            "apply its site without --confirm first"
        )
    return last.site or ""


def _start_timer(state: StateDir, event: Event) -> None:
    """Start the timer of a trial that begins; without one, the history says that nothing was loaded."""
    from nfcompile.deploy import timer

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    netns = os.path.abspath(state.netns) if state.netns and "/" in state.netns else state.netns or ""
    command = [sys.executable, "-c", TIMER.format(here), state.path, netns, str(event.change)]
    try:
        timer.start(command, state.path)
    except BaseException as error:
        why = str(error) or "interrupted"
        store.append(state.path, stamped(event._replace(result=history.REFUSED, why=why)))
        raise
