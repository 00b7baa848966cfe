"""Dynamic pools: which subscriber had the number of a block, by the log of assignments.

The log is that of `nfcompile log`, or ulogd2's in its JSON or its syslog form (LOGEMU), where each message is
a subscriber's first packet with the number as its mark. ulogd2's has no release: there a block is its last
owner's until another subscriber gets it.

Knows nothing of files and of the kernel.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from nfcompile.allocation.lookup import Answer
from nfcompile.ipalloc import Block
from nfcompile.model import parse
from nfcompile.model.ranges import address_text

TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
PREFIX = "nfcompile assign "
EVENT = '"event":"block_'
_SYSLOG = re.compile(
    r"(\w{3} +\d+ \d\d:\d\d:\d\d) .*?nfcompile assign (\S+) .*? ?SRC=(\S+) .*MARK=(?:0x)?([0-9a-fA-F]+)"
)


class Assignment(NamedTuple):
    """One message: when (as `history.Event.at`), of which pool, which subscriber got which number; or, with
    `released`, was left without it."""

    at: str
    pool: str
    subscriber: int
    number: int
    released: bool = False


class AssignmentLog:
    """All assignments of a log, by number and by subscriber, each in order of time."""

    __slots__ = ("_of_number", "_of_subscriber")

    def __init__(self, assignments: Iterable[Assignment]) -> None:
        self._of_number: dict[tuple[str, int], list[Assignment]] = {}
        self._of_subscriber: dict[tuple[str, int], list[Assignment]] = {}
        for one in sorted(assignments, key=lambda one: (one.at, not one.released)):
            self._of_number.setdefault((one.pool, one.number), []).append(one)
            self._of_subscriber.setdefault((one.pool, one.subscriber), []).append(one)

    def owner(self, pool: str, number: int, moment: str) -> Assignment | None:
        """The last assignment of a number until then, unless it was released."""
        found = _until(self._of_number.get((pool, number), []), moment)
        return found[-1] if found and not found[-1].released else None

    def owned(self, pool: str, subscriber: int, moment: str, most: int) -> list[Assignment]:
        """What a subscriber was given last until then, at most so many, and no other one since."""
        given = _until(self._of_subscriber.get((pool, subscriber), []), moment)
        newest = {one.number: one for one in given if not one.released}.values()
        still = [one for one in newest if self.owner(pool, one.number, moment) == one]
        return sorted(still)[-most:]


def _until(assignments: list[Assignment], moment: str) -> list[Assignment]:
    return assignments[: bisect_right(assignments, moment, key=lambda one: one.at)]


def read_line(line: str, now: datetime) -> Assignment | None:
    """One line of a log; None is a line about something else. Raises ValueError for a broken one.

    The syslog form has neither zone nor year: it is read as local time, and as the last such time before
    `now`. The JSON form has the seconds of the epoch.
    """
    if EVENT in line:
        data = json.loads(line)
        released = data["event"] == "block_released"
        subscriber, number = _address(data["subscriber"]), int(data["number"])
        return Assignment(str(data["time"]), str(data["pool"]), subscriber, number, released)
    if PREFIX not in line:
        return None
    if line.startswith("{"):
        data = json.loads(line)
        moment = datetime.fromtimestamp(int(data["oob.time.sec"]), UTC)
        moment = moment.replace(microsecond=int(data.get("oob.time.usec", 0)))
        pool = str(data["oob.prefix"]).removeprefix(PREFIX).strip()
        return Assignment(moment.strftime(TIME), pool, _address(data["src_ip"]), int(data["oob.mark"]))
    match = _SYSLOG.search(line)
    if match is None:
        raise ValueError("no subscriber, number or time in it")
    at, pool, source, mark = match.groups()
    local = datetime.strptime(f"{now.year} {at}", "%Y %b %d %H:%M:%S").astimezone(UTC)
    if local > now:
        local = datetime.strptime(f"{now.year - 1} {at}", "%Y %b %d %H:%M:%S").astimezone(UTC)
    return Assignment(local.strftime(TIME), pool, _address(source), int(mark, 16))


def _address(text: object) -> int:
    try:
        return parse.address(str(text))
    except parse.Fault as fault:
        raise ValueError(fault.message) from None


def answer(pool: str, subscriber: int, block: Block) -> Answer:
    """The answer where an assignment is known."""
    first, last = (block.first, block.last) if block.first else (None, None)
    return Answer(pool, address_text(subscriber), address_text(block.address), first, last, "translate")
