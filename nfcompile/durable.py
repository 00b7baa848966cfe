"""Files that stand whole after a crash: written beside their place, synced, and moved there."""

from __future__ import annotations

import os

BEGUN = ".nfcompile-"
"""How the names of files begin that are still being written."""


def replace(target: str, data: bytes, mode: int = 0o600) -> None:
    """Put a file in the place of the last one, on the disk when this returns. Raises OSError."""
    import tempfile

    folder = os.path.dirname(target)
    descriptor, temporary = tempfile.mkstemp(prefix=BEGUN, dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(folder)


def sweep(folder: str) -> None:
    """Remove the files that killed processes had begun to write in a directory; only while nothing else may
    write there. What cannot be removed stays."""
    from contextlib import suppress

    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(BEGUN):
                os.unlink(os.path.join(folder, name))


def sync_folder(path: str) -> None:
    """Return when the names in a directory are on the disk. Raises OSError."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
