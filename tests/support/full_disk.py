"""A disk with room for so many bytes, in place of `os.write`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable


def writing(room: list[int]) -> Callable[[int, bytes], int]:
    """Writes while there is room, and takes that from `room[0]`; without any it fails as a full disk does."""
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        took = write(descriptor, data[: room[0]])
        room[0] -= took
        return took

    return full
