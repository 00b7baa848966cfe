"""Ctrl-C while the ruleset is changed: before the transaction nothing has changed, after it all is finished.

Python raises KeyboardInterrupt wherever it is at work, and a table that is loaded but not in the history, or
whose sessions were not flushed, is neither of the two.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_noted = False
_child: int | None = None


@contextmanager
def held(too_late: str) -> Iterator[None]:
    """Only note SIGINT. At the end, where `unless_interrupted` was not met after it, KeyboardInterrupt is
    raised with that text.

    Without effect where SIGINT does not raise KeyboardInterrupt anyway: it is ignored, has a handler of its
    own, or this is not the main thread.
    """
    global _noted
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or not _replaced():
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        was_noted, _noted = _noted, False
    if was_noted:
        raise KeyboardInterrupt(too_late)


def _replaced() -> bool:
    """Note SIGINT from now on; False where this thread may not say so."""
    global _noted
    _noted = False
    try:
        signal.signal(signal.SIGINT, _note)
    except ValueError:
        return False
    return True


def unless_interrupted() -> None:
    """A moment at which nothing has changed yet: raises KeyboardInterrupt if SIGINT was noted."""
    if _noted:
        raise KeyboardInterrupt


@contextmanager
def passed_on(child: int) -> Iterator[None]:
    """What is noted a child process notes too, which works in a namespace for this one."""
    global _child
    _child = child
    try:
        yield
    finally:
        _child = None


def _note(number: int, frame: FrameType | None) -> None:
    global _noted
    _noted = True
    if _child is not None:
        os.kill(_child, signal.SIGINT)
