"""When the events of a history happened, although the clock of the gateway may have been wrong.

The file has the events in their true order, and each one has the boot it belongs to and the seconds since
that boot, which no setting of the clock disturbs. Within a boot, the clock minus those seconds is the time
of the boot: one value where the clock was never set, several where it was. A value is impossible where it
puts an event before this program existed or into the future, or a boot before the last event of the boot
that came before it. What is left bounds the time of every event. All times here are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROGRAM_BEGAN = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""No event is older than the first version."""
SAME_CLOCK = 2_000_000
"""Readings of one clock agree within two seconds: leap seconds, and the time between two readings."""


FOREVER = 1 << 62


class ClockReading(NamedTuple):
    """One reading of the clock: the boot, microseconds since it, and what the clock showed."""

    boot: str
    uptime: int
    clock: int


class Bounds(NamedTuple):
    """The earliest and the latest time at which something can have happened."""

    earliest: int
    latest: int


class _Boot(NamedTuple):
    """The readings of one boot, and the times of the boot (earliest, latest) that are still possible."""

    readings: tuple[ClockReading, ...]
    began: tuple[Bounds, ...]

    def time(self, reading: ClockReading, began: Bounds) -> Bounds:
        """The time of a reading if the boot was then; its own clock where that is the one meant."""
        if began.earliest <= reading.clock - reading.uptime <= began.latest:
            return Bounds(reading.clock, reading.clock)
        return Bounds(began.earliest + reading.uptime, began.latest + reading.uptime)


def bounds(readings: Sequence[ClockReading], now: ClockReading) -> list[Bounds]:
    """The bounds of each reading's true time, in ascending order; `now` is the present clock, which is
    trusted not to be behind. Equal bounds mean that the time is certain."""
    boots = [_boot(tuple(group), now) for _, group in groupby(readings, key=lambda one: one.boot)]
    boots = _without_conflicts([_possible(boot, now) for boot in boots])
    limits = _limits(boots)
    return _ordered(
        [
            bound
            for boot, limit in zip(boots, limits, strict=True)
            for bound in _times(boot, Bounds(limit.earliest, min(limit.latest, now.clock)))
        ]
    )


def microseconds(text: str) -> int:
    """Read a time of the history.

    >>> microseconds("1970-01-01T00:00:01.000005Z")
    1000005
    """
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def spelled(time: int) -> str:
    """Spell a time as the history does.

    >>> spelled(1000005)
    '1970-01-01T00:00:01.000005Z'
    """
    return (EPOCH + timedelta(microseconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _boot(readings: tuple[ClockReading, ...], now: ClockReading) -> _Boot:
    """The times of a boot by each clock that it has had."""
    began = sorted({one.clock - one.uptime for one in readings})
    if readings[0].boot == now.boot:
        began = sorted({*began, now.clock - now.uptime})
    clocks: list[Bounds] = []
    for time in began:
        if clocks and time - clocks[-1].earliest <= SAME_CLOCK:
            clocks[-1] = Bounds(clocks[-1].earliest, time)
        else:
            clocks.append(Bounds(time, time))
    return _Boot(readings, tuple(clocks))


def _possible(boot: _Boot, now: ClockReading) -> _Boot:
    """Without the clocks that put an event before this program existed or into the future."""
    first, last = boot.readings[0].uptime, boot.readings[-1].uptime
    kept = tuple(
        began
        for began in boot.began
        if began.latest + first >= PROGRAM_BEGAN and began.earliest + last <= now.clock + SAME_CLOCK
    )
    return boot._replace(began=kept)


def _without_conflicts(boots: list[_Boot]) -> list[_Boot]:
    """Without the clocks that contradict the order of the boots.

    A clock goes where a boot with only one clock contradicts it and its boot has another one. Boots that
    still contradict each other have no clock: either may be wrong.
    """
    while True:
        limits = _limits([boot if len(boot.began) == 1 else boot._replace(began=()) for boot in boots])
        left = [_kept(boot, limit) for boot, limit in zip(boots, limits, strict=True)]
        if left == boots:
            break
        boots = left
    limits = _limits(boots)
    return [
        boot if all(_fits(boot, began, limit) for began in boot.began) else boot._replace(began=())
        for boot, limit in zip(boots, limits, strict=True)
    ]


def _kept(boot: _Boot, limit: Bounds) -> _Boot:
    fitting = tuple(began for began in boot.began if _fits(boot, began, limit))
    return boot._replace(began=fitting) if fitting and len(boot.began) > 1 else boot


def _fits(boot: _Boot, began: Bounds, limit: Bounds) -> bool:
    """Whether a boot then lies between the end of all earlier boots and the begin of all later ones."""
    ended = began.earliest + boot.readings[-1].uptime
    return limit.earliest <= began.latest + SAME_CLOCK and ended <= limit.latest + SAME_CLOCK


def _limits(boots: list[_Boot]) -> list[Bounds]:
    """For each boot: when the last of those before it had ended, and the first of those after it began."""
    before, after = [0], [FOREVER]
    for boot in boots:
        ended = (began.earliest + boot.readings[-1].uptime for began in boot.began)
        before.append(max([before[-1], *ended]))
    for boot in reversed(boots):
        after.append(min([after[-1], *(began.latest for began in boot.began)]))
    return [Bounds(*pair) for pair in zip(before[:-1], after[-2::-1], strict=True)]


def _times(boot: _Boot, limit: Bounds) -> list[Bounds]:
    """The bounds of a boot's readings by the clocks that are left; without one, by the boots around it."""
    found = []
    last = boot.readings[-1].uptime
    for reading in boot.readings:
        times = [boot.time(reading, began) for began in boot.began]
        if not times:
            earliest = max(limit.earliest + reading.uptime, PROGRAM_BEGAN)
            times = [Bounds(earliest, limit.latest - (last - reading.uptime))]
        found.append(Bounds(min(one.earliest for one in times), max(one.latest for one in times)))
    return found


def _ordered(found: list[Bounds]) -> list[Bounds]:
    """Nothing happens before what came before it, nor after what came after it."""
    earliest = latest = 0
    forward = []
    for one in found:
        earliest = max(earliest, one.earliest)
        forward.append(earliest)
    ordered: list[Bounds] = []
    for low, one in zip(reversed(forward), reversed(found), strict=True):
        latest = min(latest, one.latest) if ordered else one.latest
        ordered.append(Bounds(low, max(low, latest)))
    return ordered[::-1]
