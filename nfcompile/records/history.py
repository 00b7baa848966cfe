"""What was live when: the events of a state directory as values, and what follows from them.

Events are only ever appended. A change begins with `loading`, before the kernel is touched, and ends with
what came of it; what is between the two is not known to the microsecond, and is never said to be.

Knows neither files nor the kernel.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

LOADING = "loading"
APPLIED = "applied"
TRIAL = "trial"
CONFIRMED = "confirmed"
REVERTED = "reverted"
ROLLBACK = "rollback"
BOOT = "boot"
REFUSED = "refused"
FAILED = "failed"

KEPT = frozenset({APPLIED, CONFIRMED, ROLLBACK, BOOT})
"""Results after which a site is live until somebody changes it."""


class Event(NamedTuple):
    """One line of the history.

    change   number of the change, from 1; what came of it has the same number
    at       when it was written, UTC to the microsecond: 2026-05-01T10:00:00.000000Z
    result   loading | applied | trial | confirmed | reverted | rollback | boot | refused | failed
    site     digest (SHA-256, hex) of the site that is live after it, or that was refused; None is no table
    file     the name of that site, as it was given
    user, uid, host, version   by whom, where, with which nfcompile
    kernel   boot id and network namespace; uptime is seconds since that boot
    seconds  for how long the site is on trial, where it is
    why      what the kernel or the compiler had against it, where it was refused
    """

    change: int
    at: str
    result: str
    site: str | None
    file: str | None
    user: str
    uid: int
    host: str
    version: str
    kernel: str
    uptime: float
    seconds: int | None = None
    why: str = ""


class EventLog(NamedTuple):
    """The events in order, and the numbers of the lines that are no events (torn by a crash)."""

    events: tuple[Event, ...]
    damaged: tuple[int, ...] = ()


class LiveSite(NamedTuple):
    """A site that is live, None for no table, and the event since when."""

    site: str | None
    since: Event


def line(event: Event) -> bytes:
    """One event as one line of JSON."""
    return json.dumps(event._asdict(), separators=(",", ":")).encode() + b"\n"


def read(data: bytes) -> EventLog:
    """Read the lines of a history. What a crash or a full disk has torn is left out and counted."""
    events: list[Event] = []
    damaged: list[int] = []
    for number, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        event = _event(text)
        if event is None:
            damaged.append(number)
        else:
            events.append(event)
    return EventLog(tuple(events), tuple(damaged))


def _event(text: bytes) -> Event | None:
    try:
        data: Any = json.loads(text)
        return Event(**{name: data[name] for name in Event._fields if name in data})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def settled(events: Iterable[Event]) -> list[Event]:
    """The events that changed what is live: without refusals, and `loading` only where nothing followed."""
    events = list(events)
    refused = {one.change for one in events if one.result == REFUSED}
    ended = {one.change for one in events if one.result not in (LOADING, FAILED)}
    return [
        one
        for one in events
        if one.change not in refused
        and one.result != FAILED
        and not (one.result == LOADING and one.change in ended)
    ]


def trial(events: Iterable[Event], kernel: str) -> Event | None:
    """The event of the change that is on trial in that kernel and namespace, if one is.

    A trial that was interrupted while it was loaded is one, too. Trials of another boot, or of a namespace
    that is gone, are over.
    """
    done = settled(events)
    if not done or done[-1].kernel != kernel:
        return None
    last = done[-1]
    return last if last.result == TRIAL or (last.result == LOADING and last.seconds) else None


def kept(events: Iterable[Event], kernel: str | None = None) -> Event | None:
    """The last event that left a site (or, site None, no table) to stay; with `kernel`, only of that one."""
    stays = (one for one in reversed(settled(events)) if one.result in KEPT or one.result == REVERTED)
    return next((one for one in stays if kernel is None or one.kernel == kernel), None)


def earlier(events: Iterable[Event]) -> list[Event]:
    """Sites that were live to stay, each once, last first, without the one that is live now."""
    done = settled(events)
    seen = {done[-1].site} if done else set()
    found = []
    for one in reversed(done):
        if one.result in KEPT and one.site is not None and one.site not in seen:
            seen.add(one.site)
            found.append(one)
    return found


class Timeline(NamedTuple):
    """What was live from when to the next such time; `at` is sorted."""

    at: tuple[str, ...]
    live: tuple[tuple[LiveSite, ...], ...]

    def when(self, moment: str) -> tuple[LiveSite, ...]:
        """What was live at a moment (written as `Event.at`): nothing where the history begins later.

        More than one while a change was under way, or where it is not known how it ended.
        """
        index = bisect_right(self.at, moment) - 1
        return self.live[index] if index >= 0 else ()


def timeline(events: Sequence[Event]) -> Timeline:
    """The whole history as stretches of time."""
    refused = {one.change for one in events if one.result == REFUSED}
    at: list[str] = []
    stretches: list[tuple[LiveSite, ...]] = []
    now: tuple[LiveSite, ...] = ()
    for one in events:
        if one.change in refused or one.result == FAILED:
            continue
        if one.result == LOADING:
            now = (*(now or (LiveSite(None, one),)), LiveSite(one.site, one))
        elif one.result == CONFIRMED and len(now) == 1 and now[0].site == one.site:
            continue
        else:
            now = (LiveSite(one.site, one),)
        at.append(max(one.at, at[-1]) if at else one.at)  # a clock that was set back
        stretches.append(tuple({each.site: each for each in reversed(now)}.values())[::-1])
    return Timeline(tuple(at), tuple(stretches))
