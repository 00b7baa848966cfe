"""A change of what is live, and its line in the history: the one way from a verb to the kernel.

The order is what makes it safe to die anywhere: the history is written before the kernel is touched, and
the timer of a trial runs before the trial does.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nfcompile import __version__
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.history import Event

if TYPE_CHECKING:
    from nfcompile.kernel.apply import Result
    from nfcompile.pipeline import Compiled

NO_TABLE = "table ip nfcompile\ndelete table ip nfcompile\n"
TIMER = "import sys; sys.path[:0] = [{0!r}]; from nfcompile.cli.revert import main; main()"


class Records(NamedTuple):
    """Where the history of a gateway is, and which kernel and namespace it is about."""

    path: str
    netns: str | None
    kernel: str


class Given(NamedTuple):
    """A site as it was given: its bytes and the name of its file."""

    data: bytes
    file: str


class Made(NamedTuple):
    """A change that was made: its last event, and what it did in the kernel."""

    event: Event
    result: Result


def records(state_dir: str | None, netns: str | None) -> Records:
    """The history of a gateway; `state_dir` None is the default one."""
    path = store.directory(state_dir or store.DEFAULT, netns)
    return Records(os.path.abspath(path), netns, store.identity(netns))


def records_if_allowed(state_dir: str | None, netns: str | None, quiet: bool = False) -> Records | None:
    """The same; None, and said, where this user may not write to the default directory."""
    found = records(state_dir, netns)
    try:
        with store.locked(found.path):
            return found
    except store.StateError as error:
        if state_dir is not None or not error.forbidden:
            raise
        if not quiet:
            print(f"nfcompile: note: no history is kept: {error}", file=sys.stderr)
        return None


def live(state_dir: str | None, netns: str | None) -> bytes | None:
    """The text of the site that is live, None where the history does not say, or not to this user."""
    try:
        kept = records(state_dir, netns)
        done = history.settled(store.read(kept.path).events)
        last = next((one for one in reversed(done) if one.kernel == kept.kernel), None)
        return store.site(kept.path, last.site) if last is not None and last.site else None
    except KernelError:
        return None


def make(
    kept: Records, given: Given, compiled: Compiled, result: str, seconds: int | None = None, seen: int = -1
) -> Made:
    """Load a site; what came of it is in the history whatever happens.

    With `seconds` it is on trial for so long; otherwise a site on trial is in the way, unless the change
    is a `rollback`. `seen` is the number of events that the operator's answer is about. Raises SiteError
    where the kernel refuses, and KernelError.
    """
    with store.locked(kept.path):
        events = store.read(kept.path).events
        if seconds is None and result != history.ROLLBACK:
            refuse_during_trial(kept, events)
        if seen >= 0 and len(events) != seen:
            raise KernelError("somebody else has made a change in the meantime; look again")
        back = _way_back(kept, events) if seconds is not None else None
        digest = store.keep(kept.path, given.data)
        event = _event(kept, _next(events), history.LOADING, digest, given.file, seconds)
        store.append(kept.path, event, reserve=False)
        try:
            if seconds is not None:
                _start_timer(kept, event.change, back)
            brought = bring(compiled, kept.netns)
        except (SiteError, KernelError) as error:
            store.append(kept.path, stamped(event._replace(result=history.REFUSED, why=str(error))))
            raise
        event = stamped(event._replace(result=history.TRIAL if seconds is not None else result))
        store.append(kept.path, event)
        return Made(event, brought)


def note(kept: Records, given: Given, seen: int) -> None:
    """Write down a site that is live already, if the history does not know it as that. `seen` is the number
    of events when the kernel was asked."""
    with store.locked(kept.path):
        events = store.read(kept.path).events
        refuse_during_trial(kept, events)
        digest = store.keep(kept.path, given.data)
        last = history.kept(events, kept.kernel)
        if last is None or last.site != digest or history.settled(events)[-1] != last:
            if len(events) != seen:
                raise KernelError("somebody else has made a change in the meantime; look again")
            store.append(kept.path, _event(kept, _next(events), history.APPLIED, digest, given.file))


def seen(state_dir: str | None, netns: str | None) -> int:
    """How many events there are; 0 where this user may not know."""
    try:
        return len(store.read(records(state_dir, netns).path).events)
    except KernelError:
        return 0


def on_trial(kept: Records) -> Event | None:
    """The event of the site that is on trial, if one is."""
    return history.trial(store.read(kept.path).events, kept.kernel)


def refuse_during_trial(kept: Records, events: tuple[Event, ...]) -> None:
    """Raise KernelError where a site is on trial."""
    if trial := history.trial(events, kept.kernel):
        raise KernelError(
            f"'{trial.file}' is on trial{left(trial)}; 'nfcompile confirm' keeps it, "
            "'nfcompile rollback' goes back, 'apply --confirm' puts another site on trial"
        )


def left(trial: Event) -> str:
    """How long a trial has still to go, in words."""
    seconds = round(trial.uptime + (trial.seconds or 0) - store.uptime())
    return f" for {seconds} s" if seconds > 0 else ""


def bring(compiled: Compiled, netns: str | None) -> Result:
    """Make a compiled site live: with `remove`, the only call that changes the kernel."""
    from nfcompile.kernel import apply
    from nfcompile.live.continuity import Continuity

    return apply.bring(compiled.text.text, compiled.text.origin, netns, Continuity(compiled))


def remove(netns: str | None) -> None:
    """Make no table live; sessions go on as connection tracking has them."""
    from nfcompile.kernel import apply

    apply.load(NO_TABLE, lambda line: (), netns)


def stamped(event: Event) -> Event:
    """The event as if it happened now, by whoever runs this."""
    return event._replace(
        at=store.now(), uptime=store.uptime(), user=_user(), uid=os.getuid(), host=os.uname().nodename
    )


def _event(
    kept: Records, change: int, result: str, site: str, file: str, seconds: int | None = None
) -> Event:
    blank = Event(change, "", result, site, file, "", 0, "", __version__, kept.kernel, 0, seconds)
    return stamped(blank)


def _next(events: tuple[Event, ...]) -> int:
    return max((one.change for one in events), default=0) + 1


def _user() -> str:
    """Who is behind sudo, or who this is."""
    if behind := os.environ.get("SUDO_USER"):
        return behind
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _way_back(kept: Records, events: tuple[Event, ...]) -> str:
    """The digest of the site that a trial goes back to, '' for no table."""
    from nfcompile.kernel import netns, nft

    if not netns.inside(kept.netns, nft.has_table):
        return ""
    last = history.kept(events, kept.kernel)
    if last is None or (last.site is None and history.trial(events, kept.kernel) is None):
        raise KernelError(
            "a table is live that the history does not know, so a trial could not go back to it; "
            "apply its site without --confirm first"
        )
    return last.site or ""


def _start_timer(kept: Records, change: int, back: str | None) -> None:
    from nfcompile.kernel import timer

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    netns = os.path.abspath(kept.netns) if kept.netns and "/" in kept.netns else kept.netns or ""
    command = [sys.executable, "-c", TIMER.format(here), kept.path, netns, str(change), back or ""]
    timer.start(command, kept.path)
