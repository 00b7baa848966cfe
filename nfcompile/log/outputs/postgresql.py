"""Records into PostgreSQL: a COPY for each kind of record, one transaction for each batch.

With each batch its number is committed. Where the connection breaks at the commit, that number says after
the reconnect whether the batch is in the database: it is in it once, not twice.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from nfcompile.log import database
from nfcompile.log.database import BLOCKS, CONNECTIONS, DELIVERIES, EVENTS, LAST_PORT, LogTable
from nfcompile.log.delivery import OutputAway
from nfcompile.log.destination import BadDestination, OutputSettings
from nfcompile.log.records import BlockRecord, ConnectionRecord, Record, time_text
from nfcompile.model.ranges import address_text

if TYPE_CHECKING:
    from nfcompile.log.database import Connection

NULL = r"\N"
DAY = 86_400_000_000
"""Microseconds."""


class PostgresqlOutput:
    """One connection, made when it is needed, and used by one thread."""

    def __init__(self, url: str, settings: OutputSettings) -> None:
        try:
            import psycopg
        except ImportError:
            raise BadDestination(database.INSTALL) from None
        try:
            database.parameters(url)
        except database.BadDatabase as problem:
            raise BadDestination(str(problem)) from None
        self.name = database.public(url)
        self._url, self._gateway, self._keep = url, settings.gateway, settings.keep
        self._failure = psycopg.Error
        self._connection: Connection | None = None
        self._days: set[tuple[str, date]] = set()
        self._writer, self._batch, self._doubtful = uuid.uuid4().hex, 1, False
        self._busy = threading.Lock()

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when these are committed."""
        with self._busy:
            try:
                self._write(records)
            except self._failure as error:
                self._shut()
                self._doubtful = True
                text = " ".join(str(error).split()) or type(error).__name__
                raise OutputAway(f"{self.name}: {text}") from None

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """End the connection, unless a thread is stuck in it: then the process ends it."""
        if self._busy.acquire(blocking=False):
            self._shut()
            self._busy.release()

    def _write(self, records: Sequence[Record]) -> None:
        connection = self._connected()
        if self._doubtful and self._is_committed(connection):
            self._next()
            return
        rows = _by_table(records, self._gateway)
        self._make_room(connection, records)
        with connection.transaction():
            for table, lines in rows.items():
                statement: Any = f"COPY {table.name} ({table.names}) FROM STDIN"
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write("".join(lines))
            upsert: Any = (
                f"INSERT INTO {DELIVERIES} VALUES (%s, %s, %s) ON CONFLICT (gateway) "
                "DO UPDATE SET writer = EXCLUDED.writer, batch = EXCLUDED.batch"
            )
            connection.execute(upsert, (self._gateway, self._writer, self._batch))
        self._next()

    def _next(self) -> None:
        self._batch += 1
        self._doubtful = False

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = database.connected(self._url)
            self._days.clear()
            database.prepare(self._connection)
            self._drop(self._connection)
        return self._connection

    def _is_committed(self, connection: Connection) -> bool:
        """Whether the batch whose commit was not answered is in the database."""
        query: Any = f"SELECT writer, batch FROM {DELIVERIES} WHERE gateway = %s"
        return connection.execute(query, (self._gateway,)).fetchone() == (self._writer, self._batch)

    def _make_room(self, connection: Connection, records: Sequence[Record]) -> None:
        """See that there is a partition for the day of each record."""
        wanted = {(_table(one).name, one.at // DAY) for one in records}
        missing = {(name, _day(number)) for name, number in wanted} - self._days
        for table in (BLOCKS, CONNECTIONS, EVENTS):
            days = sorted(day for name, day in missing if name == table.name)
            database.add_days(connection, table, days)
        if missing:
            self._days |= missing
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if self._keep:
            database.drop_days(connection, self._keep)

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _by_table(records: Sequence[Record], gateway: str) -> dict[LogTable, list[str]]:
    """The lines that COPY reads, in order."""
    found: dict[LogTable, list[str]] = {}
    for one in records:
        head = f"{time_text(one.at)}\t{one.event}\t{gateway}"
        found.setdefault(_table(one), []).append(f"{head}\t{_rest(one)}\n")
    return found


def _table(record: Record) -> LogTable:
    if isinstance(record, BlockRecord):
        return BLOCKS
    return CONNECTIONS if isinstance(record, ConnectionRecord) else EVENTS


def _rest(record: Record) -> str:
    """The columns behind the first three. Pools and rules have names that the schema has checked."""
    if isinstance(record, BlockRecord):
        first, last = (record.first, record.last) if record.first else (0, LAST_PORT)
        return (
            f"{record.pool}\t{record.priority}\t{address_text(record.subscriber)}\t"
            f"{address_text(record.address)}\t{first}\t{last}\t{record.number}"
        )
    if isinstance(record, ConnectionRecord):
        return (
            f"{record.pool or NULL}\t{record.rule or NULL}\t{record.priority}\t{record.protocol}\t"
            f"{address_text(record.subscriber)}\t{record.port}\t{address_text(record.address)}\t"
            f"{record.global_port}\t{address_text(record.remote)}\t{record.remote_port}\t"
            f"{'outside' if record.inward else 'inside'}\t"
            f"{time_text(record.began) if record.began else NULL}"
        )
    return f"{record.source or NULL}\t{record.messages if record.source else NULL}"


def _day(number: int) -> date:
    return datetime.fromtimestamp(number * 86400, UTC).date()
