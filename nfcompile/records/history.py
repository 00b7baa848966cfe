"""The events of a state directory as values, and what follows from their order.

Events are only ever appended. A change begins with `loading`, before the kernel is touched, and ends with its
result. When each event happened, and what was live then, is in `timeline`.

Knows neither files nor the kernel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from nfcompile.records.clock import microseconds

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
"""Results after which a site is live until another change."""


RESULTS = frozenset({LOADING, TRIAL, REVERTED, REFUSED, FAILED, *KEPT})


class Event(NamedTuple):
    """One line of the history.

    change   number of the change, from 1; its result has the same number
    at       when it was written, UTC to the microsecond: 2026-05-01T10:00:00.000000Z
    result   loading | applied | trial | confirmed | reverted | rollback | boot | refused | failed
    site     digest (SHA-256, hex) of the site that is live after it, or that was refused; None is no table
    file     the name of that site, as it was given
    user, uid, host, version   of the process that made the change
    kernel   boot id and network namespace; uptime is seconds since that boot
    seconds  for how long the site is on trial, where it is
    why      why the kernel or the compiler refused it, where they did
    back     digest of the site that a trial goes back to, '' for no table; None where it is no trial
    node     the node of the site's fleet that this gateway is; '' where the site is one gateway's
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
    back: str | None = None
    node: str = ""


class EventLog(NamedTuple):
    """The events in order; the numbers of the lines that are damaged (torn by a crash, or edited), and how
    many events stand before each of them."""

    events: tuple[Event, ...]
    damaged: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()


def line(event: Event) -> bytes:
    """One event as one line of JSON."""
    return json.dumps(event._asdict(), separators=(",", ":")).encode() + b"\n"


def read(data: bytes) -> EventLog:
    """Read the lines of a history. A line that is no event is left out and counted."""
    events: list[Event] = []
    damaged: list[int] = []
    gaps: list[int] = []
    for number, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        event = _event(text)
        if event is None:
            damaged.append(number)
            gaps.append(len(events))
        else:
            events.append(event)
    return EventLog(tuple(events), tuple(damaged), tuple(gaps))


TEXT, OPTIONAL_TEXT = (str,), (str, type(None))
TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("at", "result", "user", "host", "version", "kernel", "why", "node"), TEXT),
    **dict.fromkeys(("site", "file", "back"), OPTIONAL_TEXT),
    **dict.fromkeys(("change", "uid"), (int,)),
    "uptime": (int, float),
    "seconds": (int, type(None)),
}
NUMBERS_LIMIT = 1 << 53


def _event(text: bytes) -> Event | None:
    try:
        data: Any = json.loads(text)
        event = Event(**{name: data[name] for name in Event._fields if name in data})
        return event if _is_sound(event) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_sound(event: Event) -> bool:
    """Whether every value has its type and a meaning. Raises ValueError for a time that is none."""
    microseconds(event.at)
    numbers = (event.change, event.uid, event.uptime, event.seconds or 0)
    return (
        all(type(getattr(event, name)) in types for name, types in TYPES.items())
        and all(0 <= number < NUMBERS_LIMIT for number in numbers)
        and event.result in RESULTS
        and "/" not in (event.site or "")
    )


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


def live(events: Iterable[Event], kernel: str) -> Event | None:
    """The event of what is live in that kernel and namespace; None where the history does not say."""
    return next((one for one in reversed(settled(events)) if one.kernel == kernel), None)


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
