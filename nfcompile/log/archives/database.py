"""The log in PostgreSQL (`log/database`): each question is a look-up in an index of each day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from nfcompile.log import database
from nfcompile.log.archive import ArchivedRecord, BadArchive
from nfcompile.log.database import BLOCKS, CONNECTIONS, EVENTS, LAST_PORT, LogTable
from nfcompile.log.records import BlockRecord, ConnectionRecord, LogEvent
from nfcompile.model.ranges import address_text
from nfcompile.records.clock import EPOCH

_MICROSECOND = timedelta(microseconds=1)


class DatabaseArchive:
    """One connection for all questions; it only reads."""

    def __init__(self, url: str, gateway: str | None) -> None:
        if not url.startswith(database.URLS):
            raise BadArchive(f"'{database.public(url)}' is not a URL like postgresql://HOST/DATABASE")
        self.name = database.public(url)
        self._gateway = gateway
        try:
            self._connection = database.connected(url)
            self._connection.execute("SET default_transaction_read_only = on")
        except ImportError:
            raise BadArchive(database.INSTALL) from None
        except database.BadDatabase as problem:
            raise BadArchive(str(problem)) from None
        except Exception as error:
            raise self._unreadable(error) from None

    def of_address(self, address: int, port: int | None, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_address`."""
        where, values = "global_ip = %s AND time <= %s", [address_text(address), _time(at)]
        if port is not None:
            where, values = f"{where} AND port_first <= %s AND port_last >= %s", [*values, port, port]
        found = [*map(_block, self._rows(BLOCKS, where, values))]
        if port is not None:
            where, values = "global_ip = %s AND global_port = %s", [address_text(address), port]
            found += map(_connection, self._rows(CONNECTIONS, where, values))
        return found

    def of_subscriber(self, subscriber: int, at: int) -> Sequence[ArchivedRecord]:
        """As `Archive.of_subscriber`."""
        values = [address_text(subscriber), _time(at)]
        return [*map(_block, self._rows(BLOCKS, "subscriber = %s AND time <= %s", values))]

    def events(self) -> Sequence[ArchivedRecord]:
        """As `Archive.events`."""
        return [*map(_event, self._rows(EVENTS, "true", []))]

    def _rows(self, table: LogTable, where: str, values: list[Any]) -> Iterator[tuple[Any, ...]]:
        if self._gateway is not None:
            where, values = f"({where}) AND gateway = %s", [*values, self._gateway]
        columns = table.names
        for name in ("subscriber", "global_ip", "remote"):
            columns = columns.replace(f"{name},", f"{name} - '0.0.0.0'::inet,")
        query: Any = f"SELECT {columns} FROM {table.name} WHERE {where} ORDER BY time"
        try:
            yield from self._connection.execute(query, values).fetchall()
        except Exception as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> BadArchive:
        import psycopg

        if not isinstance(error, psycopg.Error):
            raise error
        return BadArchive(f"{self.name}: {' '.join(str(error).split())}")


def _block(row: tuple[Any, ...]) -> ArchivedRecord:
    at, event, gateway, pool, priority, subscriber, address, first, last, number = row
    ports = (0, 0) if (first, last) == (0, LAST_PORT) else (first, last)
    record = BlockRecord(event, _microseconds(at), pool, priority, subscriber, number, address, *ports)
    return ArchivedRecord(gateway, record)


def _connection(row: tuple[Any, ...]) -> ArchivedRecord:
    at, event, gateway, pool, rule, *numbers, opened, began = row
    since = _microseconds(began) if began else 0
    values = event, _microseconds(at), since, pool or "", rule or "", *numbers, opened == "outside"
    return ArchivedRecord(gateway, ConnectionRecord._make(values))


def _event(row: tuple[Any, ...]) -> ArchivedRecord:
    at, event, gateway, source, count = row
    return ArchivedRecord(gateway, LogEvent(event, _microseconds(at), source or "", count or 0))


def _time(at: int) -> datetime:
    return EPOCH + at * _MICROSECOND


def _microseconds(at: datetime) -> int:
    return (at.astimezone(UTC) - EPOCH) // _MICROSECOND
