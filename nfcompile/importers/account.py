"""The account: what became of every line of the input. Each line has exactly one fate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nfcompile.importers.lines import SourceText, joined, shown

FATES = ("ignored", "folded", "translated", "not-translated", "unknown")
"""From the least to the most that a reader should know of: a line that has two is told by the later one."""
REFUSED_FATES = ("not-translated", "unknown")


class Origin(NamedTuple):
    """Lines `line` to `end_line` of file number `file`; `column` is the word that matters, from 1."""

    file: int
    line: int
    end_line: int
    column: int = 1


class Entry(NamedTuple):
    """Lines that share a fate. `to` names the entries of the site; `number` is the file's, from 0."""

    number: int
    file: str
    line: int
    end_line: int
    column: int
    text: str
    fate: str
    to: str = ""
    code: str = ""
    reason: str = ""


class Guess(NamedTuple):
    """What the input does not say; `option` is how to say it."""

    what: str
    value: str
    reason: str
    option: str = ""


class Account(NamedTuple):
    """All entries in the order of the input, and what was guessed."""

    kind: str
    files: tuple[str, ...]
    entries: tuple[Entry, ...]
    guesses: tuple[Guess, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Lines by fate; the sum is the number of lines of the input."""
        totals = dict.fromkeys(("translated", "folded", "ignored", "not-translated", "unknown"), 0)
        for entry in self.entries:
            totals[entry.fate] += entry.end_line - entry.line + 1
        return totals

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not any(entry.fate in REFUSED_FATES for entry in self.entries)

    @property
    def left_out(self) -> frozenset[tuple[int, int]]:
        """File number and first line of every entry that is not translated."""
        refused = (entry for entry in self.entries if entry.fate in REFUSED_FATES)
        return frozenset((entry.number, entry.line) for entry in refused)

    def refuted(self, lines: Mapping[tuple[int, int], str]) -> Account:
        """The account after a comparison has shown lines to do something else, with the reason of each."""
        entries = tuple(
            entry._replace(fate="not-translated", code="differs", reason=lines[(entry.number, entry.line)])
            if (entry.number, entry.line) in lines
            else entry
            for entry in self.entries
        )
        return self._replace(entries=entries)

    def as_data(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "kind": self.kind,
            "files": list(self.files),
            "lines": [
                {key: value for key, value in entry._asdict().items() if key != "number"}
                for entry in self.entries
            ],
            "totals": self.totals,
            "guesses": [guess._asdict() for guess in self.guesses],
        }


class _LineFate(NamedTuple):
    fate: str
    to: tuple[str, ...]
    code: str
    reason: str
    column: int


class Accounting:
    """Collects fates while the passes run; `account` closes it."""

    def __init__(self, texts: Sequence[SourceText]) -> None:
        self.texts = texts
        self.guesses: list[Guess] = []
        self._notes: list[list[_LineFate | None]] = [[None] * len(text.lines) for text in texts]
        self._ends: list[dict[int, int]] = [{} for _ in texts]
        self._later: list[tuple[tuple[Origin, ...], tuple[str, str, str]]] = []

    def join(self, origin: Origin) -> None:
        """Make several physical lines one entry."""
        if origin.end_line > origin.line:
            self._ends[origin.file][origin.line] = origin.end_line

    def note(
        self, origins: Iterable[Origin], fate: str, code: str = "", reason: str = "", to: str = ""
    ) -> None:
        """Say what became of lines. Of two fates the later one of FATES stays; names of entries add up."""
        for origin in origins:
            new = _LineFate(fate, (to,) if to else (), code, reason, origin.column)
            notes = self._notes[origin.file]
            for line in range(origin.line, origin.end_line + 1):
                notes[line - 1] = _merged(notes[line - 1], new)

    def later(self, origins: Iterable[Origin], fate: str, code: str, reason: str) -> None:
        """Say what becomes of lines unless something else does: jumps that lead to several rules."""
        self._later.append((tuple(origins), (fate, code, reason)))

    def fate(self, origin: Origin) -> str | None:
        """What is known of a line so far."""
        note = self._notes[origin.file][origin.line - 1]
        return note.fate if note else None

    def guess(self, what: str, value: str, reason: str, option: str = "") -> None:
        """Say once what was taken for granted."""
        guess = Guess(what, value, reason, option)
        if guess not in self.guesses:
            self.guesses.append(guess)

    def quoted(self, origins: Iterable[Origin]) -> tuple[str, ...]:
        """A comment for what lines became: 'rules.v4:12: -A POSTROUTING ... and 3 more lines'."""
        first, *more = origins
        text = self.texts[first.file]
        words = joined(text.lines[first.line - 1 : first.end_line])
        many = f" and {len(more)} more lines" if more else ""
        name = shown(text.name.rpartition("/")[2])
        return (f" {name}:{first.line}: {shown(words, COMMENT_MOST)}{many}",)

    def account(self, kind: str) -> Account:
        """Every line with its fate; a line that no reader spoke of is unknown."""
        for origins, (fate, code, reason) in self._later:
            open_ones = (one for one in origins if self.fate(one) in (None, "ignored"))
            self.note(open_ones, fate, code, reason)
        names = tuple(shown(text.name) for text in self.texts)
        entries = tuple(
            entry for file in range(len(self.texts)) for entry in self._entries(file, names[file])
        )
        return Account(kind, names, entries, tuple(self.guesses))

    def _entries(self, file: int, name: str) -> Iterator[Entry]:
        lines, notes, ends = self.texts[file].lines, self._notes[file], self._ends[file]
        number = 1
        while number <= len(lines):
            end = min(ends.get(number, number), len(lines))
            note = notes[number - 1] or _blank(lines[number - 1])
            text = shown(joined(lines[number - 1 : end]))
            yield Entry(
                file, name, number, end, note.column, text, note.fate, _named(note.to), note.code, note.reason
            )
            number = end + 1


COMMENT_MOST = 100
"""Characters of a foreign line in a comment of the site; the account has more."""
TO_MOST = 5
"""So many entries of the site are named for one line; a jump may lead to thousands."""


def _merged(old: _LineFate | None, new: _LineFate) -> _LineFate:
    if old is None:
        return new
    first, second = (old, new) if FATES.index(old.fate) >= FATES.index(new.fate) else (new, old)
    if len(first.to) > TO_MOST:
        return first
    to = (*first.to, *(one for one in second.to if one not in first.to))
    return first._replace(to=to[: TO_MOST + 1])


def _named(to: tuple[str, ...]) -> str:
    return ", ".join(to[:TO_MOST]) + (" and more" if len(to) > TO_MOST else "")


def _blank(line: str) -> _LineFate:
    if line.strip():
        return _LineFate("unknown", (), "unread", "this is not understood", 1)
    return _LineFate("ignored", (), "", "empty line", 1)
