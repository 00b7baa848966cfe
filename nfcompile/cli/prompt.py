"""Ask before a change is made, where a person sits at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable


def confirmed(question: Callable[[], str], yes: bool) -> bool:
    """Whether to go on: with `--yes`, without a terminal to ask at, or by the answer."""
    if yes or sys.stdin is None or not sys.stdin.isatty():
        return True
    print(f"{question()} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
