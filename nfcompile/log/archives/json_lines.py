"""The log in JSON lines: files are searched for the address, not read line by line.

The two spellings of an address that are searched for stand in every line that matters, so a file passes at
the speed of the disk; files that logrotate has compressed too (gzip).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

from nfcompile.log.archive import ArchivedRecord, BadArchive
from nfcompile.log.records import BlockRecord, ConnectionRecord, LogEvent, Record, read_line
from nfcompile.model.ranges import address_text

BEGIN = re.compile(rb'\{"time":"[^"]*","event":"')
CHUNK = 1 << 24


class JsonLinesArchive:
    """Files of `nfcompile log`; `warn` is told of lines that cannot be read (file, what is wrong)."""

    def __init__(self, paths: Sequence[str], warn: Callable[[str, str], None]) -> None:
        self.name = ", ".join(paths)
        self._paths, self._warn = paths, warn
        self._all: list[Record] | None = None
        self._by: dict[tuple[str, int], list[Record]] = {}

    def read_all(self) -> None:
        """Read every line once, for many questions."""
        self._all = [*self._lines([b'"event":"'])]
        for one in self._all:
            if not isinstance(one, LogEvent):
                self._by.setdefault(("global_ip", one.address), []).append(one)
                self._by.setdefault(("subscriber", one.subscriber), []).append(one)

    def of_address(self, address: int, port: int | None, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_address`."""
        found = self._with("global_ip", address)
        return [ArchivedRecord("", one) for one in found if _matters(one, port, at)]

    def of_subscriber(self, subscriber: int, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_subscriber`."""
        found = self._with("subscriber", subscriber)
        return [ArchivedRecord("", one) for one in found if isinstance(one, BlockRecord) and one.at <= at]

    def events(self) -> Sequence[ArchivedRecord]:
        """As `Archive.events`."""
        found = self._all if self._all is not None else self._lines([b'"event":"log_'])
        return [ArchivedRecord("", one) for one in found if isinstance(one, LogEvent)]

    def _with(self, key: str, address: int) -> Sequence[Record]:
        if self._all is not None:
            return self._by.get((key, address), [])
        return [*self._lines([f'"{key}":"{address_text(address)}"'.encode()])]

    def _lines(self, needles: Sequence[bytes]) -> Iterator[Record]:
        """The records of the lines that have one of these words."""
        for path in self._paths:
            for line in self._found(path, needles[0]):
                try:
                    yield read_line(line.decode())
                except ValueError as error:
                    self._warn(path, f"not read: {error}")

    def _found(self, path: str, needle: bytes) -> Iterator[bytes]:
        try:
            with _opened(path) as file:
                rest = b""
                while chunk := file.read(CHUNK):
                    whole, _, rest = (rest + chunk).rpartition(b"\n")
                    yield from _lines_with(whole, needle)
                yield from _lines_with(rest, needle)
        except (OSError, EOFError) as error:
            raise BadArchive(f"cannot read '{path}': {getattr(error, 'strerror', None) or error}") from None


def is_own(path: str) -> bool:
    """Whether a file begins as `nfcompile log` writes it. Raises BadArchive where it cannot be read."""
    try:
        with _opened(path) as file:
            return BEGIN.match(file.read(100).lstrip()) is not None
    except (OSError, EOFError) as error:
        raise BadArchive(f"cannot read '{path}': {getattr(error, 'strerror', None) or error}") from None


def _opened(path: str) -> BinaryIO:
    opens = gzip.open if path.endswith(".gz") else open
    return cast(BinaryIO, opens(path, "rb"))


def _lines_with(data: bytes, needle: bytes) -> Iterator[bytes]:
    at = data.find(needle)
    while at >= 0:
        begin, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data[begin:end]
        at = data.find(needle, end)


def _matters(record: Record, port: int | None, at: int) -> bool:
    if isinstance(record, ConnectionRecord):
        return record.global_port == port
    if not isinstance(record, BlockRecord) or record.at > at:
        return False
    return port is None or not record.first or record.first <= port <= record.last
