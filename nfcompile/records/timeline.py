"""What was live when: the history as stretches of time, with the bounds within which each began."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nfcompile.records.clock import Bounds, ClockReading, bounds, microseconds, spelled
from nfcompile.records.history import (
    CONFIRMED,
    FAILED,
    LOADING,
    REFUSED,
    REVERTED,
    Event,
    EventLog,
)


class LiveSite(NamedTuple):
    """A site that is live, None for no table; the event since when, and when that was at the earliest and at
    the latest (as `Event.at`; equal where the time is certain). `file` is the name of the site's file."""

    site: str | None
    since: Event
    file: str
    earliest: str
    latest: str


class Moment(NamedTuple):
    """What was live at a time. Several sites while a change was under way, where its result is not known, and
    where the time of the change is not certain; none before the history begins.

    `doubt` says why it is not certain which of them was live, or whether it was one of them; '' where it is.
    The first site is the one that the clock of the gateway speaks for.
    """

    live: tuple[LiveSite, ...]
    doubt: str = ""


class Timeline(NamedTuple):
    """Stretches in order: the bounds of their begins, and what was live in each."""

    earliest: tuple[str, ...]
    latest: tuple[str, ...]
    stamped: tuple[str, ...]
    live: tuple[tuple[LiveSite, ...], ...]
    unknown: frozenset[int]
    """Stretches that a damaged line of the history follows."""

    @property
    def begins(self) -> str:
        """When the history begins; '' for an empty one."""
        return self.earliest[0] if self.earliest else ""

    def when(self, moment: str) -> Moment:
        """What was live at a moment (written as `Event.at`)."""
        last = bisect_right(self.earliest, moment) - 1
        first = bisect_right(self.latest, moment) - 1
        if last < 0:
            return Moment(())
        possible = list(range(max(first, 0), last + 1))
        by_clock = [index for index in possible if self.stamped[index] <= moment]
        if by_clock:
            possible.remove(by_clock[-1])
            possible.insert(0, by_clock[-1])
        found: dict[str | None, LiveSite] = {}
        for index in possible:
            for one in self.live[index]:
                found.setdefault(one.site, one)
        return Moment(tuple(found.values()), self._doubt(first, last))

    def _doubt(self, first: int, last: int) -> str:
        if first < last:
            return (
                f"the clock of the gateway was wrong or was set, and the change of {self.stamped[last]} "
                f"may have been between {self.earliest[last]} and {self.latest[last]}"
            )
        if last in self.unknown:
            return "a damaged line of the history may have been another change"
        return ""


def timeline(log: EventLog, now: ClockReading) -> Timeline:
    """The whole history as stretches of time; `now` is the present clock."""
    times = bounds([reading(event) for event in log.events], now)
    stretches = [*_stretches(log.events, times)]
    indices = [index for index, _ in stretches]
    return Timeline(
        tuple(spelled(times[index].earliest) for index in indices),
        tuple(spelled(times[index].latest) for index in indices),
        tuple(log.events[index].at for index in indices),
        tuple(live for _, live in stretches),
        frozenset(bisect_left(indices, gap) - 1 for gap in log.gaps),
    )


def _stretches(
    events: Sequence[Event], times: Sequence[Bounds]
) -> Iterator[tuple[int, tuple[LiveSite, ...]]]:
    """The index of each event that changes what is live, and what is live after it."""
    refused = {event.change for event in events if event.result == REFUSED}
    files = {event.site: event.file or "" for event in reversed(events) if event.result != REVERTED}
    live: tuple[LiveSite, ...] = ()
    for index, (event, time) in enumerate(zip(events, times, strict=True)):
        if event.change in refused or event.result == FAILED:
            continue
        site = _live(event, time, files)
        if event.result == LOADING:
            live = (*(live or (site._replace(site=None, file=""),)), site)
        elif event.result == CONFIRMED and len(live) == 1 and live[0].site == event.site:
            continue
        else:
            live = (site,)
        yield index, live


def reading(event: Event) -> ClockReading:
    """The clock and the uptime of an event."""
    boot = event.kernel.partition("/")[0]
    return ClockReading(boot, round(event.uptime * 1_000_000), microseconds(event.at))


def _live(event: Event, time: Bounds, files: dict[str | None, str]) -> LiveSite:
    """A trial that was taken back leaves another site than its own: the file is the one of that site."""
    file = files.get(event.site, "") if event.result == REVERTED else event.file or ""
    return LiveSite(event.site, event, file, spelled(time.earliest), spelled(time.latest))
