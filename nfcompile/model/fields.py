"""The keys of one part of a site, read one by one: faults are collected, a missing key has its default.

The defaults come from the schema, which is the only place that has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Path, SiteError
from nfcompile.model.parse import Fault

Data = dict[str, Any]
Value = TypeVar("Value")

TRUE_WORDS = (True, "on", "yes", "true", "enable")


class Problems:
    """The problems of a site in the order in which they were found."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def refuse(self, problem: Diagnostic) -> None:
        """Keep a problem. Raises SiteError with all of them at the thousandth."""
        self.found.append(problem)
        if len(self.found) == PROBLEMS_LIMIT:
            raise SiteError(tuple(self.found))

    def read(self, read: Callable[[str], Value], text: object, path: Path, key: bool = False) -> Value | None:
        """Read the scalar at a path, or its key; None where it is refused."""
        try:
            return read(str(text))
        except Fault as fault:
            span = (fault.start, fault.end)
            self.refuse(Diagnostic(fault.code, fault.message, path, key, span, fault.hint))
            return None


class Fields:
    """The keys of one mapping. A method reads one key and returns its value, or that of the default."""

    __slots__ = ("data", "defaults", "path", "problems")

    def __init__(self, data: Data | None, defaults: Data, path: Path, problems: Problems) -> None:
        self.data: Data = data or {}
        self.defaults = defaults
        self.path = path
        self.problems = problems

    def has(self, key: str) -> bool:
        """Whether the key is written; an empty value is none."""
        return self.data.get(key) is not None

    def plain(self, key: str) -> Any:
        """A value that the schema has checked and that needs no reading; None where there is none."""
        value = self.data.get(key)
        return self.defaults.get(key) if value is None else value

    def flag(self, key: str) -> bool:
        """A boolean, in any of its spellings."""
        return self.plain(key) in TRUE_WORDS

    def limit(self, key: str) -> int | None:
        """A number, or None for `nolimit`."""
        value = self.plain(key)
        return value if isinstance(value, int) else None

    def read(self, key: str, read: Callable[[str], Value]) -> Value | None:
        """A scalar as `read` understands it; None where it is missing without a default, or refused."""
        text = self.plain(key)
        return None if text is None else self.problems.read(read, text, (*self.path, key))

    def each(self, key: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
        """The entries of a list as `read` understands them, without those that it refuses."""
        path = (*self.path, key)
        entries = (
            self.problems.read(read, text, (*path, index)) for index, text in enumerate(self.plain(key) or ())
        )
        return tuple(entry for entry in entries if entry is not None)
