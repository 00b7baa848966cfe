"""The logs that `nfcompile lookup --log` and `--db` read."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from nfcompile.cli import files
from nfcompile.cli.exit_status import UsageProblem, to_stderr
from nfcompile.cli.options import Options
from nfcompile.records import assignment_log

if TYPE_CHECKING:
    from nfcompile.log.answers import LogReader

PARQUET = ".parquet"


def opened(options: Options) -> LogReader | None:
    """The log of `nfcompile log` that the command line names; None without one, and where it is ulogd2's."""
    from nfcompile.log import archives
    from nfcompile.log.answers import LogReader

    if options.db is not None:
        return LogReader(archives.opened_database(options.db, options.node))
    for one in options.log:
        if one != files.STDIN and not os.path.exists(one):
            raise UsageProblem(f"cannot read '{one}': {os.strerror(errno.ENOENT)}")
    parquet = [os.path.isdir(one) or one.endswith(PARQUET) for one in options.log]
    if any(parquet):
        if not all(parquet):
            raise UsageProblem("Parquet files and other files are not read together")
        return LogReader(archives.opened_parquet(options.log, options.node))
    return _json_lines(options)


def _json_lines(options: Options) -> LogReader | None:
    from nfcompile.log.answers import LogReader
    from nfcompile.log.archive import BadArchive
    from nfcompile.log.archives.json_lines import JsonLinesArchive, is_own

    if not options.log or files.STDIN in options.log:
        return None
    try:
        own = [is_own(one) for one in options.log]
    except BadArchive as problem:
        raise UsageProblem(str(problem)) from None
    if not all(own):
        if any(own):
            raise UsageProblem("logs of 'nfcompile log' and of ulogd2 are not read together")
        return None
    archive = JsonLinesArchive(options.log, _warn)
    if options.bulk is not None:
        archive.read_all()
    return LogReader(archive)


def _warn(name: str, text: str) -> None:
    to_stderr(f"{files.shown(name)}: warning: {text}")


def assignments(names: Sequence[str]) -> Iterator[assignment_log.Assignment]:
    """The assignments of logs; lines that cannot be read are warned of, since an answer may hang on them."""
    now = datetime.now(UTC)
    for name in names:
        with open_text(name) as stream:
            yield from _of_lines(name, stream, now)


def _of_lines(name: str, stream: TextIO, now: datetime) -> Iterator[assignment_log.Assignment]:
    for number, line in enumerate(stream, 1):
        try:
            found = assignment_log.read_line(line, now)
        except (ValueError, KeyError, TypeError) as error:
            at_line(name, number, f"warning: not read: {error}")
            continue
        if found is not None:
            yield found


def at_line(name: str, number: int, text: str) -> None:
    """Print on stderr what a line of a file has."""
    to_stderr(f"{files.shown(name)}:{number}: {text}")


def open_text(name: str) -> TextIO:
    """A text that the command line names; - is standard input."""
    if name == files.STDIN and sys.stdin is not None:
        return sys.stdin
    try:
        return open(name, encoding="utf-8-sig", errors="replace", newline="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(f"cannot read '{name}': {reason}") from None
