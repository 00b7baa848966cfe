"""What pictures are made of: boxes, questions with an exit, and directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LINES_MOST = 8
"""Lines of a box; what is more is counted."""


class WayBox(NamedTuple):
    """A title and lines of plain text; `kind` chooses its colour."""

    title: str
    lines: tuple[str, ...] = ()
    kind: str = "step"


class Decision(NamedTuple):
    """A question; `yes` is written at the way to `exit`, `no` at the way on. Without `exit` all go on."""

    box: WayBox
    exit: WayBox | None = None
    yes: str = ""
    no: str = ""


class Direction(NamedTuple):
    """One direction, from `start` through `steps`. Exits lead to `goal`, and `end` does if it `arrives`."""

    name: str
    start: WayBox
    steps: tuple[Decision, ...]
    end: WayBox
    arrives: bool
    goal: WayBox


def few(lines: Iterable[str]) -> tuple[str, ...]:
    """The first lines, and how many there are beyond."""
    found = tuple(lines)
    if len(found) <= LINES_MOST:
        return found
    return (*found[: LINES_MOST - 1], f"... and {len(found) - LINES_MOST + 1} more")
