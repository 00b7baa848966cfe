"""The log in PostgreSQL: its tables, a partition for each day (UTC), and how long they are kept.

Written by `outputs/postgresql`, read by `archives/database`. psycopg is an extra.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.records.clock import PROGRAM_BEGAN

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

URLS = ("postgresql://", "postgres://")
INSTALL = "postgresql needs psycopg: pip install 'nfcompile[postgresql]'"
WAITS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""libpq's parameters by which a server that is silently gone is noticed; the URL may say otherwise."""
LAST_PORT = 65535
"""A whole address is the ports 0 to 65535 in a table, so that one condition finds both kinds of blocks."""


class LogTable(NamedTuple):
    """One kind of records: its columns in the order in which they are written, and its indexes."""

    name: str
    columns: tuple[str, ...]
    indexes: tuple[str, ...]

    @property
    def names(self) -> str:
        """The names of its columns, as COPY and SELECT want them."""
        return ", ".join(column.split()[0] for column in self.columns)


_HEAD = ("time timestamptz NOT NULL", "event text NOT NULL", "gateway text NOT NULL")
BLOCKS = LogTable(
    "nfcompile_blocks",
    (
        *_HEAD,
        *("pool text NOT NULL", "priority integer NOT NULL", "subscriber inet NOT NULL"),
        *("global_ip inet NOT NULL", "port_first integer NOT NULL", "port_last integer NOT NULL"),
        "number bigint NOT NULL",
    ),
    ("global_ip, port_first, port_last, time", "subscriber, time"),
)
CONNECTIONS = LogTable(
    "nfcompile_connections",
    (
        *_HEAD,
        *("pool text", "rule text", "priority integer NOT NULL", "protocol smallint NOT NULL"),
        *("subscriber inet NOT NULL", "subscriber_port integer NOT NULL"),
        *("global_ip inet NOT NULL", "global_port integer NOT NULL"),
        *("remote inet NOT NULL", "remote_port integer NOT NULL", "opened text NOT NULL"),
        "began timestamptz",
    ),
    ("global_ip, global_port, time", "subscriber, time"),
)
EVENTS = LogTable("nfcompile_events", (*_HEAD, "source text", "count bigint"), ("time",))
TABLES = (BLOCKS, CONNECTIONS, EVENTS)
DROP_WAITS = "2s"
"""For readers of a partition that is to go; meanwhile nothing is written."""
DELIVERIES = "nfcompile_deliveries"
"""The last batch that each gateway has committed: after a broken connection it says whether to send again."""
_DAY_NAME = re.compile(r"_(\d{8})\"?$", re.ASCII)


class BadDatabase(ValueError):
    """A URL of a database that cannot be followed."""


def parameters(url: str) -> dict[str, Any]:
    """What a URL says of the database, with WAITS. Raises BadDatabase; ImportError without psycopg."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return WAITS | conninfo_to_dict(url)
    except ProgrammingError:
        raise BadDatabase(f"'{public(url)}' is not the URL of a PostgreSQL database") from None


def public(url: str) -> str:
    """A URL without its password.

    >>> public("postgresql://ann:secret@db:5433/nat?password=x&sslmode=require")
    'postgresql://ann@db:5433/nat?sslmode=require'
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    place, question, words = path.partition("?")
    kept = [word for word in words.split("&") if not word.startswith(("password=", "sslpassword="))]
    query = question + "&".join(kept) if any(kept) else ""
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{place}{query}"


def connected(url: str) -> Connection:
    """A connection in autocommit mode, in UTC. Raises psycopg.Error, BadDatabase, ImportError."""
    import psycopg

    made = psycopg.connect(**parameters(url), autocommit=True)
    made.execute("SET timezone = 'UTC'")
    return made


def prepare(connection: Connection) -> None:
    """Make the tables that are missing. Raises psycopg.Error."""
    if all(_exists(connection, name) for name in (*(one.name for one in TABLES), DELIVERIES)):
        return
    with _alone(connection):
        for table in TABLES:
            columns = ", ".join(table.columns)
            connection.execute(
                _sql(f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}) PARTITION BY RANGE (time)")
            )
            for number, index in enumerate(table.indexes, 1):
                connection.execute(
                    _sql(f"CREATE INDEX IF NOT EXISTS {table.name}_by_{number} ON {table.name} ({index})")
                )
        columns = "gateway text PRIMARY KEY, writer text NOT NULL, batch bigint NOT NULL"
        connection.execute(_sql(f"CREATE TABLE IF NOT EXISTS {DELIVERIES} ({columns})"))


def add_days(connection: Connection, table: LogTable, days: Iterable[date]) -> None:
    """Make the partitions of these days where they are missing. Raises psycopg.Error."""
    for day in days:
        name = f"{table.name}_{day:%Y%m%d}"
        if _exists(connection, name):
            continue
        first, last = f"{day.isoformat()} 00:00Z", f"{(day + timedelta(1)).isoformat()} 00:00Z"
        # CREATE ... PARTITION OF would wait for every report that is being read; ATTACH waits for none.
        bounds = f"FROM ('{first}') TO ('{last}')"
        with _alone(connection):
            if not _exists(connection, name):
                connection.execute(_sql(f"CREATE TABLE {name} (LIKE {table.name})"))
                connection.execute(
                    _sql(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES {bounds}")
                )


def drop_days(connection: Connection, keep: int) -> None:
    """Drop the partitions of days that are more than `keep` days over, by the clock of the database.

    What a gateway's wrong clock has put before this program existed stays. A partition that is in use is
    dropped the next time. Raises psycopg.Error.
    """
    import psycopg

    row = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date").fetchone()
    assert row is not None
    began = datetime.fromtimestamp(PROGRAM_BEGAN / 1e6, UTC).date()
    for name, day in _partitions(connection):
        if began <= day < row[0] - timedelta(keep):
            try:
                with connection.transaction():
                    connection.execute(_sql(f"SET LOCAL lock_timeout = '{DROP_WAITS}'"))
                    connection.execute(_sql(f"DROP TABLE IF EXISTS {name}"))
            except psycopg.errors.LockNotAvailable:
                continue


def _partitions(connection: Connection) -> Iterator[tuple[str, date]]:
    """The partitions of all tables, and the day of each."""
    for table in TABLES:
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", (table.name,)
        ).fetchall()
        for (name,) in found:
            day = _DAY_NAME.search(name)
            if day is not None:
                yield name, datetime.strptime(day[1], "%Y%m%d").date()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """A transaction in which no other gateway makes tables."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('nfcompile'))")
        yield


def _exists(connection: Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return bool(row and row[0])


def _sql(text: str) -> Any:
    """A statement that is made of names of this file alone."""
    return text
