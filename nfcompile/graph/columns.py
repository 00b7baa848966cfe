"""Where the three columns of a picture stand: each as wide as its longest line asks, up to a limit.

Both directions of a gateway share them, so that its boxes stand below each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import NamedTuple

from nfcompile.graph.boxes import Direction, WayBox

CHARACTER = 7.3
"""Width of one character of 12 px monospace, rounded up."""
PADDING = 12
MARGIN = 24
STEP_MOST, EXIT_MOST, BAR_MOST = 440, 400, 180
"""Widths beyond which lines are wrapped."""
LEAST = 90
BESIDE_WORD = 28
"""What an arrow needs besides the word at it: space before the word, and its head."""
TO_BAR = 36


class Columns(NamedTuple):
    """Left edges and widths in px: questions, exits, and the bar that exits reach; and the whole picture."""

    step: int
    step_width: int
    exit: int
    exit_width: int
    bar: int
    bar_width: int
    width: int


def columns(flows: Iterable[Direction], heading: int) -> Columns:
    """The columns for all flows; the picture is at least as wide as its heading of that width."""
    flows = tuple(flows)
    step_width = _width((box for flow in flows for box in _questions(flow)), STEP_MOST)
    exits = [step.exit for flow in flows for step in flow.steps if step.exit is not None]
    exit_width = _width(exits, EXIT_MOST) if exits else 0
    bar_width = _width((flow.goal for flow in flows), BAR_MOST)
    word = max((len(step.yes) for flow in flows for step in flow.steps), default=0)
    exit_at = MARGIN + step_width + ceil(word * CHARACTER) + BESIDE_WORD
    bar = (exit_at + exit_width if exits else MARGIN + step_width) + TO_BAR
    width = max(bar + bar_width, heading + MARGIN) + MARGIN
    return Columns(MARGIN, step_width, exit_at, exit_width, bar, bar_width, width)


def _questions(flow: Direction) -> Iterator[WayBox]:
    yield flow.start
    yield from (step.box for step in flow.steps)
    yield flow.end


def _width(boxes: Iterable[WayBox], most: int) -> int:
    longest = max((len(line) for box in boxes for line in (box.title, *box.lines)), default=0)
    return min(most, max(LEAST, ceil(longest * CHARACTER) + 2 * PADDING))
