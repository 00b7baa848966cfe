"""Diagnostics as text, json, github and sarif.

Knows nothing of sites: the document has the places, the diagnostics have the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile import __version__
from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Note, Place, dotted

if TYPE_CHECKING:
    from nfcompile.source.document import Document

NOWHERE = Place(1, 1, 1)
"""An unknown place, in the forms that need one."""
LINE_LIMIT = 160
BEFORE_CARET = 60
COLORS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m"}
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class _PlacedDiagnostic(NamedTuple):
    """A diagnostic whose place is known, or None; its notes with theirs."""

    diagnostic: Diagnostic
    place: Place | None
    notes: tuple[tuple[Note, Place | None], ...]


def render(
    diagnostics: Sequence[Diagnostic],
    document: Document | None,
    name: str,
    format: str,
    color: bool = False,
) -> str:
    """Render diagnostics in order of place and code; ends with a line end unless empty."""
    placed = [_placed(one, document) for one in diagnostics]
    placed.sort(key=lambda one: (one.place or NOWHERE, one.diagnostic.code, one.diagnostic.message))
    if format == "text":
        return "".join(_text(placed, document.lines if document else [], name, color))
    return FORMATS[format](placed, name)


def _placed(diagnostic: Diagnostic, document: Document | None) -> _PlacedDiagnostic:
    place = diagnostic.place
    if place is None and document is not None:
        place = document.place(diagnostic.path, diagnostic.key, diagnostic.span)
    if document is not None:
        diagnostic = diagnostic._replace(path=document.written(diagnostic.path))
    notes = tuple(
        (note, document.place(note.path, note.key, note.span) if document else None)
        for note in diagnostic.notes
    )
    return _PlacedDiagnostic(diagnostic, place, notes)


def _text(placed: list[_PlacedDiagnostic], lines: list[str], name: str, color: bool) -> Iterator[str]:
    for one, place, notes in placed:
        message = f"{visible(one.message)} [{one.code}]"
        yield from _finding(name, place, one.severity, message, lines, color)
        for note, note_place in notes:
            yield from _finding(name, note_place, "note", visible(note.message), lines, color)
        if one.hint:
            yield f"{_paint('hint:', BOLD, color)} {visible(one.hint)}\n"
    counts = []
    for severity in ("error", "warning"):
        count = sum(one.diagnostic.severity == severity for one in placed)
        if count:
            counts.append(f"{count} {severity}{'s' if count > 1 else ''}")
    if counts:
        most = max(Counter(one.diagnostic.code for one in placed).values())
        yield ", ".join(counts) + (", and no more were looked for\n" if most >= PROBLEMS_LIMIT else "\n")


def _finding(
    name: str, place: Place | None, severity: str, message: str, lines: list[str], color: bool
) -> Iterator[str]:
    """The line that stands alone, and below it the source line with carets."""
    line, column, end = place or NOWHERE
    columns = f"{column}-{end}" if end > column else str(column)
    where = _paint(f"{visible(name)}:{line}:{columns}:", BOLD, color)
    paint = COLORS.get(severity, BOLD)
    yield f"{where} {_paint(f'{severity}:', paint, color)} {message}\n"
    if place is not None and line <= len(lines):
        shown, before, carets = _excerpt(lines[line - 1], column, end)
        yield f"    {shown}\n    {' ' * before}{_paint('^' * carets, paint, color)}\n"


def _excerpt(line: str, column: int, end: int) -> tuple[str, int, int]:
    """A source line without its indentation, cut around the place: text, cells before it, cells in it."""
    indentation = len(line) - len(line.lstrip())
    start = min(indentation, column - 1)
    stop = len(line.rstrip())
    if stop - start > LINE_LIMIT:
        start = max(start, min(column - 1 - BEFORE_CARET, stop - LINE_LIMIT))
        stop = min(stop, start + LINE_LIMIT)
    lead = "..." if start > indentation else ""
    tail = "..." if stop < len(line.rstrip()) else ""
    before = lead + visible(line[start : column - 1])
    inside = visible(line[column - 1 : min(end, max(stop, column))])
    after = visible(line[min(end, max(stop, column)) : stop]) + tail
    return before + inside + after, _cells(before), max(_cells(inside), 1)


def visible(text: str) -> str:
    r"""Escape the characters that a terminal obeys or hides.

    >>> visible("a\x1b[1m\tb")
    'a\\x1b[1m\\tb'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _cells(text: str) -> int:
    """How wide a terminal shows it: East Asian letters take two cells, combining marks none."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def _paint(text: str, paint: str, color: bool) -> str:
    return f"{paint}{text}{PLAIN}" if color else text


def _columns(place: Place | None) -> dict[str, int]:
    line, column, end_column = place or NOWHERE
    return {"line": line, "column": column, "end_column": end_column}


def _json(placed: list[_PlacedDiagnostic], name: str) -> str:
    found = [
        {
            "code": one.code,
            "severity": one.severity,
            "message": one.message,
            "file": name,
            **_columns(place),
            "path": dotted(one.path),
            "hint": one.hint,
            "notes": [{"message": note.message, **_columns(at)} for note, at in notes],
        }
        for one, place, notes in placed
    ]
    return _dumped({"diagnostics": found})


def _dumped(value: Any) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"


def _github(placed: list[_PlacedDiagnostic], name: str) -> str:
    """Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions"""
    out = ""
    for one, place, _ in placed:
        line, column, end = place or NOWHERE
        command = one.severity if one.severity in ("error", "warning") else "notice"
        title = _property(one.code)
        at = f"file={_property(name)},line={line},col={column},endColumn={end},title={title}"
        out += f"::{command} {at}::{_escaped(one.message)}\n"
    return out


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(placed: list[_PlacedDiagnostic], name: str) -> str:
    """SARIF 2.1.0, for code scanning: one run, one rule a code."""
    codes = sorted({one.diagnostic.code for one in placed})
    results = []
    for one, place, notes in placed:
        result: dict[str, Any] = {
            "ruleId": one.code,
            "ruleIndex": codes.index(one.code),
            "level": one.severity if one.severity in ("error", "warning") else "note",
            "message": {"text": one.message + (f"\nhint: {one.hint}" if one.hint else "")},
            "locations": [_location(name, place)],
        }
        if notes:
            result["relatedLocations"] = [
                {**_location(name, at), "message": {"text": note.message}} for note, at in notes
            ]
        results.append(result)
    driver = {"name": "nfcompile", "version": __version__, "rules": [{"id": code} for code in codes]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return _dumped({"$schema": schema, "version": "2.1.0", "runs": [run]})


def _location(name: str, place: Place | None) -> dict[str, Any]:
    from urllib.parse import quote

    line, column, end = place or NOWHERE
    # SARIF's end column is the first one behind the region.
    region = {"startLine": line, "startColumn": column, "endLine": line, "endColumn": end + 1}
    return {"physicalLocation": {"artifactLocation": {"uri": quote(name)}, "region": region}}


FORMATS: dict[str, Callable[[list[_PlacedDiagnostic], str], str]] = {
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
