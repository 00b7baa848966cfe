"""One at a time in a network namespace: a lock on the namespace itself, which ends with its holder.

No file is made for it: Linux locks the object that /proc/self/ns/net names, wherever it is opened from.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nfcompile.kernel import KernelError
from nfcompile.kernel.interrupts import unless_interrupted

LOCK_TIMEOUT_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


@contextmanager
def exclusive(timeout: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Wait until no other process changes our table in this namespace, at most `timeout` seconds."""
    descriptor = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    until = time.monotonic() + timeout
    try:
        while not _locked(descriptor):
            unless_interrupted()
            if time.monotonic() > until:
                raise KernelError(
                    f"another nfcompile has been changing this network namespace for {timeout:g} s; "
                    "nothing was changed, try again when it has ended"
                )
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
