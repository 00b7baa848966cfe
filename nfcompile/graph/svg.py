"""The way as a picture: one column of questions, their exits beside them, and a bar that all reach.

Written without a library: the layout is three columns, and text of fixed width needs no measuring.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from textwrap import wrap
from typing import NamedTuple

from nfcompile.graph.boxes import Decision, Direction, WayBox
from nfcompile.graph.columns import CHARACTER, MARGIN, PADDING, Columns, columns
from nfcompile.graph.way import Way

LINE = 17
GAP, SHORT_GAP = 34, 22
"""Between two boxes, with a word at the arrow and without."""
HEADING = 34
HEADING_CHARACTER = 9.8
"""Width of one character of the heading, 16 px."""

STYLE = """
  text { font: 12px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1c2130 }
  .title { font-weight: bold }
  .heading { font-weight: bold; font-size: 16px }
  .word { fill: #5b6478 }
  rect { stroke-width: 1.2; rx: 5 }
  path { stroke: #5b6478; stroke-width: 1.2; fill: none; marker-end: url(#arrow) }
  .page { fill: #ffffff; stroke: none; rx: 0 }
  .side { fill: #e8eaf0; stroke: #5b6478 }
  .rules { fill: #fdf3d8; stroke: #b58900 }
  .step { fill: #ffffff; stroke: #5b6478 }
  .translated { fill: #e0f0e3; stroke: #3b7d4a }
  .untouched { fill: #e3eef8; stroke: #3a6ea5 }
  .leaks { fill: #fde3cf; stroke: #c2610c }
  .dropped { fill: #f8e1e1; stroke: #a53a3a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e8ee }
    .word { fill: #a5adbd }
    path { stroke: #a5adbd }
    .page { fill: #14161c }
    .side { fill: #2a2f3b; stroke: #a5adbd }
    .rules { fill: #3a3217; stroke: #d9ad2b }
    .step { fill: #1e212a; stroke: #a5adbd }
    .translated { fill: #17301d; stroke: #6fb583 }
    .untouched { fill: #16283a; stroke: #6ea8e0 }
    .leaks { fill: #43270f; stroke: #f0984a }
    .dropped { fill: #3a1b1b; stroke: #e08585 }
  }
"""
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" style="fill:context-stroke;stroke:none;marker-end:none"/></marker>'
)


class Drawn(NamedTuple):
    """Lines of SVG, and where the next thing begins."""

    lines: list[str]
    bottom: int


def svg(way: Way) -> str:
    """Write the picture; all text of the site is escaped."""
    top = MARGIN + 20
    lines = [_text(MARGIN, top, way.title, "heading")]
    top += 14
    at = columns(way.flows, int(len(way.title) * HEADING_CHARACTER))
    for flow in way.flows:
        drawn = _flow(flow, top, at)
        lines += drawn.lines
        top = drawn.bottom + MARGIN
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{at.width}" height="{top}"'
        f' viewBox="0 0 {at.width} {top}">',
        f"<title>{escape(way.title)}</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{ARROW}</defs>",
        f'<rect class="page" width="{at.width}" height="{top}"/>',
    )
    return "\n".join((*head, *lines, "</svg>", ""))


def _flow(flow: Direction, top: int, place: Columns) -> Drawn:
    lines = [_text(place.step, top + 22, flow.name, "title word")]
    begin = at = top + HEADING
    lines += _box(flow.start, place.step, at, place.step_width)
    at += _height(flow.start, place.step_width)
    word = ""
    for step in flow.steps:
        lines += _down(at, word, place)
        drawn = _step(step, at + _gap(word), place)
        lines += drawn.lines
        at, word = drawn.bottom, step.no
    lines += _down(at, word, place)
    at += _gap(word)
    height = _height(flow.end, place.step_width)
    lines += _box(flow.end, place.step, at, place.step_width)
    if flow.arrives:
        lines += _across(place.step + place.step_width, place.bar, at + height // 2, "")
    at += height
    lines += _box(flow.goal, place.bar, begin, place.bar_width, at - begin)
    return Drawn(lines, at)


def _step(step: Decision, top: int, place: Columns) -> Drawn:
    """A question and beside it its exit, at the same height."""
    height = _height(step.box, place.step_width)
    lines = list(_box(step.box, place.step, top, place.step_width))
    if step.exit is None:
        return Drawn(lines, top + height)
    beside = _height(step.exit, place.exit_width)
    middle = top + min(height, beside) // 2
    lines += _across(place.step + place.step_width, place.exit, middle, step.yes)
    lines += _box(step.exit, place.exit, top, place.exit_width)
    lines += _across(place.exit + place.exit_width, place.bar, middle, "")
    if beside > height:
        middle_x = place.step + place.step_width // 2
        lines.append(_path(middle_x, top + height, f"V{top + beside}", False))
    return Drawn(lines, top + max(height, beside))


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, int((width - 2 * PADDING) / CHARACTER), subsequent_indent="  ") or [""]


def _rows(box: WayBox, width: int) -> list[tuple[str, str]]:
    title = [(row, "title") for row in _wrapped(box.title, width)]
    return title + [(row, "") for line in box.lines for row in _wrapped(line, width)]


def _height(box: WayBox, width: int) -> int:
    return len(_rows(box, width)) * LINE + 2 * PADDING - 4


def _box(box: WayBox, x: int, y: int, width: int, height: int = 0) -> Iterator[str]:
    height = height or _height(box, width)
    yield f'<rect class="{box.kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>'
    for number, (row, style) in enumerate(_rows(box, width)):
        yield _text(x + PADDING, y + PADDING + 9 + number * LINE, row, style)


def _text(x: int, y: int, text: str, style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x}" y="{y}" xml:space="preserve">{escape(text)}</text>'


def _gap(word: str) -> int:
    return GAP if word else SHORT_GAP


def _down(y: int, word: str, place: Columns) -> Iterator[str]:
    middle = place.step + place.step_width // 2
    yield _path(middle, y, f"V{y + _gap(word)}")
    if word:
        yield _text(middle + 10, y + GAP // 2 + 4, word, "word")


def _across(start: int, end: int, y: int, word: str) -> Iterator[str]:
    yield _path(start, y, f"H{end}")
    if word:
        yield _text(start + 8, y - 6, word, "word")


def _path(x: int, y: int, way: str, arrow: bool = True) -> str:
    plain = "" if arrow else ' style="marker-end:none"'
    return f'<path d="M{x},{y} {way}"{plain}/>'
