"""The keys of one part of a site, read one by one: faults are collected, a missing key has its default.

The defaults come from the schema, which is the only place that has them. A value with a fault is unread: its
path is kept, so that no check judges what depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Path
from nfcompile.model.parse import Fault

Data = dict[str, Any]
Value = TypeVar("Value")

BOOLEANS = {
    **dict.fromkeys(("on", "yes", "true", "enable"), True),
    **dict.fromkeys(("off", "no", "false", "disable"), False),
}
"""The words for booleans, where the schema has one."""


class Problems:
    """The first thousand problems of a site, as they were found, and the paths of all unread values.

    `above_unread` are the paths of everything that has an unread value in it.
    """

    __slots__ = ("above_unread", "found", "unread")

    def __init__(self, unread: frozenset[Path]) -> None:
        self.found: list[Diagnostic] = []
        self.unread = set(unread)
        self.above_unread = {path[:length] for path in unread for length in range(len(path) + 1)}

    def refuse(self, problem: Diagnostic, unread: Path | None = None) -> None:
        """Keep a problem, and the path whose value is therefore not known."""
        if len(self.found) < PROBLEMS_LIMIT:
            self.found.append(problem)
        if unread is not None:
            self.leave_out(unread)

    def leave_out(self, path: Path) -> None:
        """Keep the path of a value that is not known."""
        self.unread.add(path)
        self.above_unread.update(path[:length] for length in range(len(path) + 1))

    def read(self, read: Callable[[str], Value], text: object, path: Path, key: bool = False) -> Value | None:
        """Read the scalar at a path, or its key; None where it is refused, and the path is then unread."""
        try:
            return read(str(text))
        except Fault as fault:
            span = (fault.start, fault.end)
            self.refuse(Diagnostic(fault.code, fault.message, path, key, span, fault.hint), path)
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
        """Whether the key has a value that can be read; an empty value is none."""
        return self.data.get(key) is not None

    def is_unread(self, key: str) -> bool:
        """Whether the key has a value that could not be read, or a part of it could not."""
        return (*self.path, key) in self.problems.above_unread

    def plain(self, key: str) -> Any:
        """A value that the schema has checked and that needs no reading; None where there is none."""
        value = self.data.get(key)
        return self.defaults.get(key) if value is None else value

    def differing(self, *inherited: Data | None) -> frozenset[str]:
        """The written keys whose value is not the inherited one or the default, dotted below this mapping.

        `inherited` are the layers between this mapping and the defaults, the nearest last.
        """
        layers = [self.defaults, *(layer or {} for layer in inherited)]
        return frozenset(_differing(self.data, layers))

    def flag(self, key: str) -> bool:
        """A boolean, in any of its spellings."""
        return _plain(self.plain(key)) is True

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
            None if text is None else self.problems.read(read, text, (*path, index))
            for index, text in enumerate(self.plain(key) or ())
        )
        return tuple(entry for entry in entries if entry is not None)


def _differing(data: Data, layers: list[Data], above: str = "") -> Iterator[str]:
    for key, value in data.items():
        below = [layer[key] for layer in layers if layer.get(key) is not None]
        if isinstance(value, dict) and all(isinstance(layer, dict) for layer in below):
            yield from _differing(value, below, f"{above}{key}.")
        elif not below or _plain(value) != _plain(below[-1]):
            yield above + key


def _plain(value: object) -> object:
    """A value in one of its spellings: booleans may be words."""
    return BOOLEANS.get(value, value) if isinstance(value, str) else value
