"""JSON lines in a file, or on stdout; the file is opened anew where it was moved away (`reopen`)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nfcompile.log.delivery import OutputAway, OutputEnded
from nfcompile.log.destination import BadDestination
from nfcompile.log.records import Record, line

STDOUT = "-"


class JsonLines:
    """A file that grows. A batch that the disk took in part goes on where it stopped."""

    def __init__(self, path: str) -> None:
        self.name = f"json:{path}"
        self._path, self._left, self._reopen = path, b"", False
        self._descriptor: int | None = 1 if path == STDOUT else None
        try:
            self._open()
        except OSError as error:
            raise BadDestination(f"cannot write '{path}': {error.strerror}") from None

    def deliver(self, records: Sequence[Record]) -> None:
        """Write the lines."""
        try:
            if not self._left:
                if self._reopen:
                    self._close()
                self._left = "".join(line(one) + "\n" for one in records).encode()
            self._open()
            assert self._descriptor is not None
            while self._left:
                self._left = self._left[os.write(self._descriptor, self._left) :]
        except BrokenPipeError:
            raise OutputEnded(f"'{self._path}' is not read any more") from None
        except OSError as error:
            raise OutputAway(f"cannot write '{self._path}': {error.strerror}") from None

    def reopen(self) -> None:
        """Write the next lines to a file of that name, a new one where it was moved away."""
        self._reopen = self._path != STDOUT

    def close(self) -> None:
        """Close the file."""
        if self._path != STDOUT:
            self._close()

    def _open(self) -> None:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)

    def _close(self) -> None:
        self._reopen = False
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
