"""Parts of a site that could not be read: they are left out, so that the rest can be checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nfcompile.diagnostics import Path


def covers(unread: frozenset[Path] | set[Path], path: Path) -> bool:
    """Whether a path, or something above it, is unread."""
    return any(path[:length] in unread for length in range(len(path) + 1))


def without(data: dict[str, Any], unread: Iterable[Path]) -> dict[str, Any]:
    """A copy of the data without the values at these paths; an entry of a list becomes None.

    >>> without({"a": 1, "b": [1, 2], "c": {"d": 3}}, [("a",), ("b", 0), ("c", "d"), ("x", "y")])
    {'b': [None, 2], 'c': {}}
    """
    from copy import deepcopy

    copy = deepcopy(data)
    for path in unread:
        if not path:
            return {}
        parent: Any = copy
        for step in path[:-1]:
            parent = _child(parent, step)
        if isinstance(parent, dict):
            parent.pop(path[-1], None)
        elif isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent):
            parent[path[-1]] = None
    return copy


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None
