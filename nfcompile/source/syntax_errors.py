"""Why the YAML parser cannot read a text, in our own words.

libyaml and PyYAML's own parser differ in their wording; `MESSAGES` knows both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from nfcompile.diagnostics import Diagnostic, Place
from nfcompile.source.nodes import TOO_DEEP, clip, code_of


class _Failure(NamedTuple):
    """Where the YAML parser stopped (`line`, `column`, from 0) and where the unfinished construct began."""

    lines: list[str]
    line: int
    column: int
    opened_line: int
    opened_column: int

    @property
    def character(self) -> str:
        return self.lines[self.line][self.column : self.column + 1]

    @property
    def before(self) -> str:
        return self.lines[self.line][: self.column]

    def here(self, message: str, hint: str = "", code: str = "yaml-syntax") -> Diagnostic:
        place = Place(self.line + 1, self.column + 1, self.column + 1)
        return Diagnostic(code, message, hint=hint, place=place)

    def opened(self, message: str, hint: str = "", code: str = "yaml-syntax") -> Diagnostic:
        return self._replace(line=self.opened_line, column=self.opened_column).here(message, hint, code)

    def neighbour(self) -> tuple[str, int]:
        """The nearest line above with a key or value, without its indentation, and its column."""
        for text in reversed(self.lines[: self.line]):
            bare = text.strip()
            if bare and not bare.startswith("#"):
                return bare, len(text) - len(text.lstrip()) + 1
        return "", 1


Message = Callable[[_Failure], Diagnostic]


def syntax_error(error: yaml.YAMLError, lines: list[str]) -> Diagnostic:
    """Return a diagnostic for an error of the YAML parser."""
    mark = getattr(error, "problem_mark", None)
    line, column = _inside(lines, mark)
    opened = getattr(error, "context_mark", None)
    failure = _Failure(lines or [""], line, column, *_inside(lines, opened or mark))
    words = f"{getattr(error, 'context', '')} | {getattr(error, 'problem', '')}"
    for needle, message in MESSAGES:
        if needle in words:
            return message(failure)
    return failure.here("this is not YAML")


def _inside(lines: list[str], mark: Any) -> tuple[int, int]:
    """A mark as line and column; the end of the file is behind its last character."""
    if mark is None or not lines:
        return 0, 0
    if mark.line >= len(lines):
        return len(lines) - 1, len(lines[-1])
    return mark.line, mark.column


def _open_quote(failure: _Failure) -> Diagnostic:
    return failure.opened("this quote is never closed", "close it on the same line")


def _open_bracket(failure: _Failure) -> Diagnostic:
    bracket = failure.lines[failure.opened_line][failure.opened_column]
    close = "]" if bracket == "[" else "}"
    outer = failure.lines[failure.opened_line]
    here = failure.lines[failure.line]
    outdented = len(here) - len(here.lstrip()) <= len(outer) - len(outer.lstrip())
    if not failure.character or (failure.line != failure.opened_line and outdented):
        return failure.opened(f"'{bracket}' is never closed", f"add the '{close}'")
    hint = f"the '{bracket}' of line {failure.opened_line + 1} is still open"
    return failure.here(f"',' or '{close}' is missing before this", hint)


def _cannot_start(failure: _Failure) -> Diagnostic:
    if not failure.character:
        return failure.here("the file ends inside brackets", "close what is open")
    hint = "put the value in quotes"
    if failure.character in ",]}":
        hint = f"put the value in quotes, or remove the '{failure.character}'"
    return failure.here(f"'{failure.character}' cannot start a value", hint)


def _missing_colon(failure: _Failure) -> Diagnostic:
    text = code_of(failure.lines[failure.opened_line])
    column = failure.opened_column
    words = text[column:]
    place = Place(failure.opened_line + 1, column + 1, max(len(text), column + 1))
    hint = f"write '{clip(words.split()[0])}: ...'" if len(words.split()) > 1 else "write 'key: value'"
    return Diagnostic("yaml-syntax", f"'{clip(words)}' has no ':'", place=place, hint=hint)


def _colon_in_value(failure: _Failure) -> Diagnostic:
    """A ':' inside a value: a second one in a line, or a line that YAML reads as more of the value."""
    if re.search(r":(\s|$)", failure.before):
        return failure.here("a second ':' on one line", "put a value that holds ': ' in quotes")
    key = failure.before.strip()
    bare, column = failure.neighbour()
    first = len(failure.before) - len(failure.before.lstrip())
    place = Place(failure.line + 1, first + 1, max(failure.column, first + 1))
    message = f"'{clip(key)}' continues the value above and cannot be a key"
    hint = f"start it in column {column}, like the line above"
    if not re.search(r":(\s|$)", bare):
        hint = f"the line above, '{clip(bare)}', has no ':'"
    return Diagnostic("yaml-syntax", message, place=place, hint=hint)


def _indentation(failure: _Failure) -> Diagnostic:
    if failure.before.strip():
        if failure.character in ("]", "}"):
            return failure.here(f"'{failure.character}' closes nothing", "remove it")
        return failure.here("text after the end of a value", "put the whole value in quotes")
    if failure.column == failure.opened_column:
        return failure.here("a key is missing here", "write 'key: value'")
    _, column = failure.neighbour()
    hint = f"start it in column {failure.opened_column + 1}"
    if column != failure.opened_column + 1:
        hint += f" or, like the line above, in column {column}"
    return failure.here("this line is not indented like its neighbours", hint)


def _block_text(failure: _Failure) -> Diagnostic:
    mark = failure.lines[failure.opened_line][failure.opened_column]
    hint = f"put text that starts with '{mark}' in quotes"
    return failure.opened(f"'{mark}' starts a block of text, which must follow below it", hint)


def _fixed(text: str, hint: str, code: str = "yaml-syntax", opened: bool = False) -> Message:
    """A message that needs nothing of the failure but its place."""

    def message(failure: _Failure) -> Diagnostic:
        return (failure.opened if opened else failure.here)(text, hint, code)

    return message


MESSAGES: tuple[tuple[str, Message], ...] = (
    # libyaml 0.2.6 stops at level 1,000, before it hands over level 51 of one line: it reads ahead.
    ("maximum nesting depth", _fixed(TOO_DEEP, "", "yaml-nesting")),
    ("an alias", _fixed("'*' starts an alias", "put it in quotes", "yaml-alias", True)),
    ("an anchor", _fixed("'&' starts an anchor", "put it in quotes", "yaml-alias", True)),
    ("directive", _fixed("'%' starts a directive", "remove the line", opened=True)),
    ("incompatible", _fixed("this version of YAML is not known", "remove the line")),
    ("tag", _fixed("'!' starts a tag", "put it in quotes", "yaml-tag", True)),
    (
        "document start",
        _fixed("a second document starts here", "one file describes one gateway", "yaml-documents"),
    ),
    ("unexpected end of stream", _open_quote),
    ("unexpected document", _open_quote),
    ("escape", _fixed("this escape is not known", "use single quotes, where '\\' is plain")),
    ("hexdecimal", _fixed("this escape is not known", "use single quotes, where '\\' is plain")),
    ("cannot start any token", _cannot_start),
    ("expected ':'", _missing_colon),
    ("mapping values are not", _colon_in_value),
    ("sequence entries are not", _fixed("a list cannot start here", "start it on its own line")),
    ("mapping keys are not", _fixed("a key cannot start here", "put it on its own line")),
    ("flow sequence", _open_bracket),
    ("flow mapping", _open_bracket),
    ("block scalar", _block_text),
    ("block mapping", _indentation),
    ("block collection", _fixed("a list goes on here, and this has no '-'", "write '- value'")),
    ("node content", _cannot_start),
)
"""Part of the YAML parser's wording -> our message; the first that fits counts."""
