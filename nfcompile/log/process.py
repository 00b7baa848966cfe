"""A daemon as a process: one of a kind for each gateway, and what signals ask of it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nfcompile.kernel import KernelError
from nfcompile.records import store


class Signals(NamedTuple):
    """What a signal has asked for since the last look; `descriptor` becomes readable then."""

    descriptor: int
    ends: Callable[[], bool]
    reopens: Callable[[], bool]


@contextmanager
def alone(folder: str, verb: str) -> Iterator[None]:
    """Make the folder of the daemon that a verb runs, and keep another daemon out of it."""
    try:
        store.refuse_unsafe(os.path.dirname(folder))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KernelError(f"cannot write '{folder}': {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise KernelError(f"another 'nfcompile {verb}' runs for this gateway already") from None
    finally:
        os.close(descriptor)


@contextmanager
def signals() -> Iterator[Signals]:
    """SIGTERM and SIGINT end, SIGHUP opens files anew; each wakes poll(2)."""
    asked: set[int] = set()
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)

    def note(number: int, _: object) -> None:
        asked.add(number)

    def reopens() -> bool:
        _drain(near)
        found = signal.SIGHUP in asked
        asked.discard(signal.SIGHUP)
        return found

    before = {one: signal.signal(one, note) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    woken = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    try:
        yield Signals(near.fileno(), lambda: bool(asked & {signal.SIGTERM, signal.SIGINT}), reopens)
    finally:
        signal.set_wakeup_fd(woken)
        for one, handler in before.items():
            signal.signal(one, handler)
        near.close()
        far.close()


def _drain(link: socket.socket) -> None:
    try:
        while link.recv(4096):
            pass
    except BlockingIOError:
        pass
