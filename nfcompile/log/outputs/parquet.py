"""Apache Parquet files in a directory: a new one every hour, and after a million records.

Records are in a journal until the hour is over (`parquet_files`); what a killed process left there becomes a
file at the next start. No reader ever sees a part of a file.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from nfcompile.log import parquet_files
from nfcompile.log.delivery import OutputAway
from nfcompile.log.destination import BadDestination, OutputSettings
from nfcompile.log.parquet_files import JOURNAL, PARQUET
from nfcompile.log.records import Record

SECONDS, ROWS = 3600, 1_000_000
PREFIX = "nfcompile-"


class ParquetOutput:
    """The files of one directory, written by one thread."""

    def __init__(self, folder: str, settings: OutputSettings) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise BadDestination(parquet_files.INSTALL) from None
        self.name = f"parquet:{folder}"
        self._folder, self._gateway = folder, settings.gateway
        self._path, self._descriptor, self._size, self._rows, self._until = "", -1, 0, 0, 0.0
        self._due = True
        self._busy = threading.Lock()
        try:
            os.makedirs(folder, mode=0o750, exist_ok=True)
            os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise BadDestination(f"cannot write '{folder}': {error.strerror}") from None

    def deliver(self, records: Sequence[Record]) -> None:
        """Write the records to the journal; they are in a file when it is due."""
        with self._busy:
            try:
                if self._due or self._rows >= ROWS or time.monotonic() >= self._until:
                    self._finish()
                self._append(parquet_files.batch(records, self._gateway))
                self._rows += len(records)
            except OSError as error:
                raise OutputAway(f"cannot write to '{self._folder}': {error.strerror or error}") from None

    def reopen(self) -> None:
        """Make a file of what there is, when the next record comes."""
        self._due = True

    def close(self) -> None:
        """Make a file of what there is; what cannot be written now stays in its journal."""
        if self._busy.acquire(blocking=False):
            with suppress(OSError):
                self._finish()
            self._busy.release()

    def _append(self, data: bytes) -> None:
        """All or nothing: a torn batch would hide those behind it."""
        if self._descriptor < 0:
            self._begin()
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def _begin(self) -> None:
        now = time.time_ns() // 1000
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 1_000_000))
        name = f"{PREFIX}{stamp}.{now % 1_000_000:06}Z"
        self._path = os.path.join(self._folder, f".{name}{JOURNAL}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o640)
        self._size = self._rows = 0
        self._until = time.monotonic() + SECONDS

    def _finish(self) -> None:
        """Make a Parquet file of each journal. Raises OSError; then the journals are there."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        for name in sorted(os.listdir(self._folder)):
            if name.startswith(f".{PREFIX}") and name.endswith(JOURNAL):
                made = name.removeprefix(".").removesuffix(JOURNAL) + PARQUET
                parquet_files.make(os.path.join(self._folder, name), os.path.join(self._folder, made))
        self._due, self._rows = False, 0
