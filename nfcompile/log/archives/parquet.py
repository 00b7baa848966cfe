"""The log in Parquet files (`log/parquet_files`), and in the journals of those that are not made yet.

Of each file only the row groups whose statistics allow the address are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nfcompile.log import parquet_files
from nfcompile.log.archive import ArchivedRecord, BadArchive
from nfcompile.log.parquet_files import JOURNAL, LAST_PORT, PARQUET
from nfcompile.log.records import (
    ASSIGNED,
    BEGAN,
    ENDED,
    HELD,
    RELEASED,
    BlockRecord,
    ConnectionRecord,
    LogEvent,
)
from nfcompile.model.parse import address as read_address
from nfcompile.model.ranges import address_text

BLOCK_EVENTS, CONNECTION_EVENTS = (ASSIGNED, HELD, RELEASED), (BEGAN, ENDED)


class ParquetArchive:
    """Files and directories of files."""

    def __init__(self, paths: Sequence[str], gateway: str | None) -> None:
        try:
            import pyarrow
        except ImportError:
            raise BadArchive(parquet_files.INSTALL) from None
        self.name = ", ".join(paths)
        self._gateway, self._unreadable = gateway, (OSError, pyarrow.ArrowException)
        try:
            try:
                self._data = _opened(paths)
            except FileNotFoundError:  # a journal has become a file in this moment
                self._data = _opened(paths)
        except self._unreadable as error:
            raise BadArchive(f"cannot read '{self.name}': {error}") from None

    def of_address(self, address: int, port: int | None, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_address`."""
        from pyarrow import compute

        field, time = compute.field, _time(at)
        blocks = field("event").isin(BLOCK_EVENTS) & (field("time") <= time)
        which = field("global_ip") == address_text(address)
        if port is None:
            return self._rows(which & blocks)
        which = which & (field("port_first") <= port) & (field("port_last") >= port)
        return self._rows(which & (blocks | field("event").isin(CONNECTION_EVENTS)))

    def of_subscriber(self, subscriber: int, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_subscriber`."""
        from pyarrow import compute

        field = compute.field
        which = (field("subscriber") == address_text(subscriber)) & (field("time") <= _time(at))
        return self._rows(which & field("event").isin(BLOCK_EVENTS))

    def events(self) -> Sequence[ArchivedRecord]:
        """As `Archive.events`."""
        from pyarrow import compute

        return self._rows(compute.field("global_ip").is_null())

    def _rows(self, condition: Any) -> Sequence[ArchivedRecord]:
        from pyarrow import compute

        if self._gateway is not None:
            condition = condition & (compute.field("gateway") == self._gateway)
        try:
            table = self._data.to_table(filter=condition)
        except self._unreadable as error:
            raise BadArchive(f"cannot read '{self.name}': {error}") from None
        for name in ("time", "began"):
            column = table.column(name).cast("int64")
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return [*_records(table.to_pylist())]


def _opened(paths: Sequence[str]) -> Any:
    """A dataset of the files and of the journals. Raises OSError, ArrowException, BadArchive."""
    from pyarrow import dataset

    found = [file for path in paths for file in _files(path)]
    wrong = [one for one in found if not one.endswith((JOURNAL, PARQUET))]
    if wrong:
        raise BadArchive(f"'{wrong[0]}' is not a Parquet file of 'nfcompile log'")
    if not found:
        raise BadArchive(f"no file of 'nfcompile log' is in '{', '.join(paths)}'")
    tables = [parquet_files.journal_table(one) for one in found if one.endswith(JOURNAL)]
    whole = [one for one in found if one.endswith(PARQUET)]
    files = [dataset.dataset(whole, parquet_files.schema(), "parquet")] if whole else []
    return dataset.dataset([*files, *map(dataset.dataset, tables)])


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise BadArchive(f"cannot read '{path}': {error.strerror}") from None
    yield from (os.path.join(path, name) for name in names if name.endswith((PARQUET, JOURNAL)))


def _time(at: int) -> Any:
    import pyarrow

    return pyarrow.scalar(at, pyarrow.timestamp("us", "UTC"))


def _records(rows: Iterable[dict[str, Any]]) -> Iterator[ArchivedRecord]:
    for row in rows:
        yield ArchivedRecord(row["gateway"], _record(row))


def _record(row: dict[str, Any]) -> BlockRecord | ConnectionRecord | LogEvent:
    event, at = row["event"], row["time"]
    if event in BLOCK_EVENTS:
        ports = row["port_first"], row["port_last"]
        return BlockRecord(
            *(event, at, row["pool"], row["priority"], read_address(row["subscriber"]), row["number"]),
            read_address(row["global_ip"]),
            *((0, 0) if ports == (0, LAST_PORT) else ports),
        )
    if event in CONNECTION_EVENTS:
        return ConnectionRecord(
            *(event, at, row["began"] or 0, row["pool"] or "", row["rule"] or "", row["priority"]),
            *(row["protocol"], read_address(row["subscriber"]), row["subscriber_port"]),
            *(read_address(row["global_ip"]), row["port_first"]),
            *(read_address(row["remote"]), row["remote_port"], row["opened"] == "outside"),
        )
    return LogEvent(event, at, row["source"] or "", row["count"] or 0)
