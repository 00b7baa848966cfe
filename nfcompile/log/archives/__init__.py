"""Logs that are read again: JSON lines, Parquet files, PostgreSQL. Each gives the records that an answer
may hang on; what follows from them is in `log/answers`."""

from __future__ import annotations

from collections.abc import Sequence

from nfcompile.log.archive import Archive


def opened_database(url: str, gateway: str | None) -> Archive:
    """The log in a database; of that gateway, where one is named. Raises BadArchive."""
    from nfcompile.log.archives.database import DatabaseArchive

    return DatabaseArchive(url, gateway)


def opened_parquet(paths: Sequence[str], gateway: str | None) -> Archive:
    """The log in Parquet files, and in directories of them. Raises BadArchive."""
    from nfcompile.log.archives.parquet import ParquetArchive

    return ParquetArchive(paths, gateway)
