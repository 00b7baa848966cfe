"""The bytes of a foreign file -> its lines. Any bytes can be read; what is no text is shown escaped."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

SHOWN_MOST = 200
"""Characters of a foreign line that a comment or a message repeats."""


class SourceText(NamedTuple):
    """A file by name; line n is `lines[n - 1]`, without its line end."""

    name: str
    lines: tuple[str, ...]


class Token(NamedTuple):
    """A word and where it begins, both counted from 1."""

    text: str
    line: int
    column: int


def read_text(name: str, data: bytes) -> SourceText:
    """Split a file at LF; a CR before it, and a byte order mark, are no part of the text.

    Invisible characters are written as escapes, so that no reader copies them into a site.
    """
    text = _decoded(data)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return SourceText(name, tuple(_seen(line.removesuffix("\r")) for line in lines))


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "backslashreplace")
    return data.decode("utf-8", "backslashreplace").removeprefix("\ufeff")


def _seen(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() or one == "\t" else _visible(one) for one in line)


def _visible(character: str) -> str:
    """Spaces of any kind are spaces: terminals and web pages write no-break spaces."""
    return " " if character.isspace() else _escape(character)


def joined(lines: Sequence[str]) -> str:
    """Physical lines as the one that they are, without the backslashes at their ends."""
    return " ".join(line.strip().removesuffix("\\").strip() for line in lines)


def shown(text: str, most: int = SHOWN_MOST) -> str:
    """Foreign text for one line of a comment or a message: nothing unseen in it, and not endless.

    >>> shown("a\\tb\\x00")
    'a b\\\\x00'
    """
    clean = text[: most + 1]
    if not clean.isprintable():
        clean = "".join(one if one.isprintable() else _escape(one) for one in clean)
    clean = clean.strip()
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def _escape(character: str) -> str:
    return " " if character == "\t" else character.encode("unicode_escape").decode()
