"""Records on the disk while a collector is away: JSON lines in segments, the oldest first.

A segment is deleted when all of it has been delivered; what a crash leaves is delivered again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from nfcompile import durable
from nfcompile.log.records import Record, line, read_line

SEGMENT_BYTES = 16 << 20
_MIDDLE = 10**9
"""Number of the first segment; those put in front of it have lower ones."""


class SpoolFull(Exception):
    """There is no room for more records."""


class Spool:
    """The segments of one directory, of at most so many bytes together."""

    def __init__(self, folder: str, most: int) -> None:
        self._folder, self._most = folder, most
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._sizes = {
            int(name.removesuffix(".jsonl")): os.path.getsize(os.path.join(folder, name))
            for name in sorted(os.listdir(folder))
            if name.endswith(".jsonl")
        }
        self._writing: tuple[int, int] | None = None
        self._reading: tuple[int, list[bytes], int] | None = None
        self.unreadable = 0

    @property
    def size(self) -> int:
        """What the segments take on the disk."""
        return sum(self._sizes.values())

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def write(self, records: Sequence[Record]) -> None:
        """Add records behind all others. Raises SpoolFull; OSError where the disk does not take them."""
        data = _encoded(records)
        if self.size + len(data) > self._most:
            raise SpoolFull
        if self._writing is None:
            self._writing = self._begun(max(self._sizes, default=_MIDDLE - 1) + 1)
        number, descriptor = self._writing
        self._append(number, descriptor, data)
        if self._sizes[number] >= SEGMENT_BYTES:
            self._end_writing()

    def put_in_front(self, records: Sequence[Record]) -> None:
        """Add records before all others; they are what was not delivered when the program ends."""
        if records:
            number, descriptor = self._begun(min(self._sizes, default=_MIDDLE) - 1)
            try:
                self._append(number, descriptor, _encoded(records))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, most: int) -> list[Record]:
        """The next records, at most so many; they stay until `done`. Empty where there are no more."""
        while self._sizes:
            if self._reading is None:
                self._reading = self._opened(min(self._sizes))
            number, lines, at = self._reading
            if at >= len(lines):
                self._delete(number)
                continue
            found = []
            for text in lines[at : at + most]:
                try:
                    found.append(read_line(text.decode()))
                except ValueError:
                    self.unreadable += 1
            if found:
                return found
            self._reading = number, lines, at + most
        return []

    def done(self, most: int) -> None:
        """The records of the last `read` of so many have been delivered."""
        if self._reading is not None:
            number, lines, at = self._reading
            self._reading = number, lines, at + most
            if at + most >= len(lines):
                self._delete(number)

    def close(self) -> None:
        """End with what was not delivered on the disk, and nothing else."""
        self._end_writing()
        if self._reading is not None:
            number, lines, at = self._reading
            durable.replace(self._path(number), b"".join(lines[at:]))
            self._reading = None

    def _begun(self, number: int) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path(number), flags, 0o600)
        self._sizes[number] = 0
        return number, descriptor

    def _append(self, number: int, descriptor: int, data: bytes) -> None:
        """All or nothing: a part of a line would spoil the next one."""
        before = self._sizes[number]
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            os.ftruncate(descriptor, before)
            raise
        self._sizes[number] = before + len(data)

    def _opened(self, number: int) -> tuple[int, list[bytes], int]:
        if self._writing is not None and self._writing[0] == number:
            self._end_writing()
        with open(self._path(number), "rb") as file:
            return number, file.readlines(), 0

    def _delete(self, number: int) -> None:
        self._reading = None
        del self._sizes[number]
        with suppress(FileNotFoundError):
            os.unlink(self._path(number))

    def _end_writing(self) -> None:
        if self._writing is not None:
            os.fsync(self._writing[1])
            os.close(self._writing[1])
            self._writing = None

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:012}.jsonl")


def _encoded(records: Sequence[Record]) -> bytes:
    return "".join(line(one) + "\n" for one in records).encode()
