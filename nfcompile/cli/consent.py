"""Ask before something is done, when there is somebody to ask."""

from __future__ import annotations

import sys
from collections.abc import Callable


def agreed(question: Callable[[], str], yes: bool) -> bool:
    """Whether the operator wants it: by `--yes`, by having no terminal to be asked at, or by the answer."""
    if yes or sys.stdin is None or not sys.stdin.isatty():
        return True
    print(f"{question()} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
