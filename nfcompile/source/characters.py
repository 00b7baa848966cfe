"""Bytes -> text, and the characters that are refused before YAML is read: invisible ones, and tabs."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Place
from nfcompile.source.nodes import offset_place

# Line separators other than LF and CRLF are refused because editors disagree with YAML about what
# line they are in, and a byte order mark inside the file because it is invisible.
INVISIBLE = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
INVISIBLE_IN_ASCII = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
"""What INVISIBLE has of ASCII, and a carriage return alone; a tenth as long to compile as the whole."""
TABS = re.compile(r"^(?:(?!^#| #)[^\t\n])*(\t+)", re.MULTILINE)
"""The first tabs of a line; those in a comment do no harm."""


def decode(data: bytes) -> tuple[str, Diagnostic | None]:
    """The text of a file; a diagnostic where it is not UTF-8."""
    hint = "save the file as UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "the file is UTF-16, not UTF-8"
        return "", Diagnostic("yaml-encoding", message, place=Place(1, 1, 1), hint=hint)
    try:
        return data.decode("utf-8").removeprefix("\ufeff"), None
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        place = offset_place(before, len(before))
        text = data.decode("utf-8", "backslashreplace").removeprefix("\ufeff")
        return text, Diagnostic("yaml-encoding", message, place=place, hint=hint)


@cache
def _invisible_anywhere() -> re.Pattern[str]:
    """Asked where a text is not ASCII only: Python takes half a millisecond to compile it."""
    return re.compile(rf"[{INVISIBLE}]|\r(?!\n)")


def has_invisible(value: str) -> bool:
    """Whether a value has a character that INVISIBLE names, a tab or the end of a line.

    >>> has_invisible("a b"), has_invisible("a" + chr(0x2028)), has_invisible("a" + chr(9))
    (False, True, True)
    """
    if value.isprintable():  # none of these characters is
        return False
    return not {"\t", "\r", "\n"}.isdisjoint(value) or _invisible_anywhere().search(value) is not None


def refused_characters(text: str) -> list[Diagnostic]:
    """The first invisible character of a text or, where there is none, each line's tabs."""
    found = (INVISIBLE_IN_ASCII if text.isascii() else _invisible_anywhere()).search(text)
    if found:
        place = offset_place(text, found.start())
        message, hint = f"control character U+{ord(found[0]):04X}", "remove it"
        if found[0] == "\r":
            message, hint = "carriage return without a line feed", "end lines with LF or CRLF"
        elif found[0] == "\0":
            hint = "is this a text file in UTF-8?"
        return [Diagnostic("yaml-character", message, place=place, hint=hint)]
    problems = []
    for tabs in islice(TABS.finditer(text), PROBLEMS_LIMIT) if "\t" in text else ():
        indentation = not tabs[0].strip()
        message = "tab in the indentation" if indentation else "tab between words"
        hint = "indent with spaces" if indentation else "put spaces instead"
        place = offset_place(text, tabs.start(1), len(tabs[1]))
        problems.append(Diagnostic("yaml-tab", message, place=place, hint=hint))
    return problems
