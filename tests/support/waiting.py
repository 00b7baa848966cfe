"""Wait for what another process does; how long it takes says nothing of the compiler."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds until something that does not happen is a failure, on a machine that has much else to do."""
_PAUSE_SECONDS = 0.02


def until(ready: Callable[[], object], said: Callable[[], object] = lambda: "it did not happen") -> None:
    """Return when it is so; fail with what is said where it is not so after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, said()
        time.sleep(_PAUSE_SECONDS)
