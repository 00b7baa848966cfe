"""JSON -> values that know their lines. The standard library's reader forgets where it was."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from nfcompile.importers.values import Unreadable

TOKEN = re.compile(
    r'[ \t\r\n]+|("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)|([{}\[\],:])'
)
DEPTH_MOST = 200


class Placed(NamedTuple):
    """A value with its first and last line; objects hold values by key, arrays a list."""

    value: dict[str, Placed] | list[Placed] | str | int | float | bool | None
    line: int
    end_line: int

    def get(self, *keys: str) -> Placed | None:
        """The value behind keys of objects within objects."""
        found: Placed | None = self
        for key in keys:
            if found is None or not isinstance(found.value, dict):
                return None
            found = found.value.get(key)
        return found

    @property
    def items(self) -> list[Placed]:
        """The members of an array, nothing of anything else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        """A scalar as text; None where it is null or no scalar."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return None if self.value is None or isinstance(self.value, dict | list) else str(self.value)


def read_json(text: str) -> Placed:
    """Read one document. Raises Unreadable with the line of the fault."""
    reader = _PlaceReader(text)
    found = reader.value(0)
    if reader.token:
        raise reader.fault("the document has ended before")
    return found


class _PlaceReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.token = ""
        self.kind = 0
        self.advance()

    def fault(self, reason: str) -> Unreadable:
        return Unreadable("syntax", f"line {self.line}: no JSON: {reason}")

    def advance(self) -> None:
        """Go to the next token; an empty one is the end."""
        while True:
            found = TOKEN.match(self.text, self.at)
            if found is None:
                if self.at < len(self.text):
                    raise self.fault(f"'{self.text[self.at]}' is out of place")
                self.token, self.kind = "", 0
                return
            self.at = found.end()
            if found.lastindex is None:
                self.line += found[0].count("\n")
                continue
            self.token, self.kind = found[0], found.lastindex
            return

    def take(self, mark: str) -> None:
        if self.kind != 3 or self.token != mark:
            raise self.fault(f"'{mark}' is missing")
        self.advance()

    def value(self, depth: int) -> Placed:
        if depth > DEPTH_MOST:
            raise self.fault("nested too deep")
        line = self.line
        if self.kind == 3 and self.token in "{[":
            found = self.object(depth) if self.token == "{" else self.array(depth)
            end = self.line
            self.advance()
            return Placed(found, line, end)
        if self.kind not in (1, 2):
            raise self.fault("a value is missing")
        try:
            scalar = json.loads(self.token)
        except ValueError:
            raise self.fault("a value cannot be read") from None
        self.advance()
        return Placed(scalar, line, line)

    def object(self, depth: int) -> dict[str, Placed]:
        found: dict[str, Placed] = {}
        self.take("{")
        while self.token != "}":
            if self.kind != 1:
                raise self.fault("a key is missing")
            try:
                key = json.loads(self.token)
            except ValueError:
                raise self.fault("a key cannot be read") from None
            self.advance()
            self.take(":")
            found[key] = self.value(depth + 1)
            if self.token != "}":
                self.take(",")
        return found

    def array(self, depth: int) -> list[Placed]:
        found: list[Placed] = []
        self.take("[")
        while self.token != "]":
            found.append(self.value(depth + 1))
            if self.token != "]":
                self.take(",")
        return found
