"""Readings for a program that asks again and again: of the site that is live by then, at a bounded cost.

The history says which site is live; where it does not, the site is the one that the program began with.
Sessions are counted by a walk through all connections. A long one is used again for nine times as long as it
took: counting takes a tenth of one processor at most, and figures of a busy gateway are old, never absent.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from nfcompile.kernel import conntrack
from nfcompile.live import usage
from nfcompile.live.follow import FollowedSite, ScrapedSite
from nfcompile.live.session_counts import SessionCounts, count_sessions
from nfcompile.live.usage import Usage
from nfcompile.records import store
from nfcompile.records.clock import microseconds

REST = 9
"""A long walk rests for so many times as long as it took."""


class ScrapeReading(NamedTuple):
    """The use of a site's pools, and of which site.

    is_live     whether the table in the kernel is that site's
    trial       seconds until the site that is on trial is taken back; None where none is
    changed     when the live site was loaded, seconds since 1970; None where the history does not say
    counted     seconds since the sessions were counted
    """

    usage: Usage
    site: ScrapedSite
    is_live: bool
    trial: float | None
    changed: float | None
    counted: float


class Scraper:
    """Reads again and again; keeps the site that it has compiled, and the last walk."""

    def __init__(self, site: ScrapedSite, root: str | None, namespace: str | None, full: bool) -> None:
        self._followed = FollowedSite(site, root, namespace)
        self._namespace, self._full = namespace, full
        self._walk: SessionCounts | None = None
        self._walked, self._rests_until = 0.0, 0.0

    def read(self) -> ScrapeReading:
        """Ask the kernel and the history. Raises KernelError."""
        before = self._followed.site
        live, trial = self._followed.follow()
        site = self._followed.site
        if site is not before:
            self._walk = None
        found = usage.read(site.compiled, self._namespace, self._full, counted=self._counted)
        return ScrapeReading(
            found,
            site,
            not found.missing and (live is None or live.site == site.digest),
            None if trial is None else store.seconds_left(trial),
            None if live is None else microseconds(live.at) / 1_000_000,
            time.monotonic() - self._walked,
        )

    def _counted(self) -> SessionCounts:
        begun = time.monotonic()
        if self._walk is None or begun >= self._rests_until:
            self._walk = count_sessions(self._followed.site.compiled, conntrack.flows(self._namespace))
            self._walked = time.monotonic()
            is_long = conntrack.count(self._namespace)[0] > usage.SHORT_WALK
            self._rests_until = self._walked + REST * (self._walked - begun) if is_long else 0.0
        return self._walk
