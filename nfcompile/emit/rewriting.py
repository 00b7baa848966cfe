"""Nested values with some of their parts changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nfcompile.emit.expressions import Element, Verdict
from nfcompile.model.ranges import Range

T = TypeVar("T")


def rewritten(value: T, change: Callable[[Any], Any]) -> T:
    """A value with those of its parts changed that `change` does not give back as they are.

    Not looked into: what `change` has made, ranges, and elements of numbers (there are many).
    """
    found: T = change(value)
    numbers = isinstance(value, Range) or (isinstance(value, Element) and not isinstance(value.data, Verdict))
    if found is not value or numbers or not isinstance(value, tuple):
        return found
    parts = [rewritten(part, change) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)  # type: ignore[return-value]
