"""How many records of an output are in memory only, in a file that outlives the process: what a kill loses.

It is written at every change; the kernel keeps what was written when a process dies at once.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

_FORM = struct.Struct("<QQ")
FILE = "memory"


class MemoryMark:
    """The count of one output. `left` is what an earlier process had in memory when it was killed, at most:
    some of these may have been delivered; `was_killed` whether it ended without `close`, and `died` when it
    last gave a sign of life (microseconds since 1970)."""

    def __init__(self, folder: str) -> None:
        self._descriptor = os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.pread(self._descriptor, _FORM.size, 0)
        self.left, runs = _FORM.unpack(found) if len(found) == _FORM.size else (0, 0)
        self.was_killed = bool(runs)
        self.died = os.fstat(self._descriptor).st_mtime_ns // 1000
        self.note(0)

    def note(self, count: int) -> None:
        """So many records are in memory now. On a full disk the last count stays."""
        with suppress(OSError):
            os.pwrite(self._descriptor, _FORM.pack(count, 1), 0)

    def close(self) -> None:
        """Nothing is in memory, and the process ends as it should."""
        with suppress(OSError):
            os.pwrite(self._descriptor, _FORM.pack(0, 0), 0)
        os.close(self._descriptor)
