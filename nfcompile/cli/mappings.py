"""`nfcompile mappings`: the whole allocation, written while it is computed."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from typing import Any

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem


def run(
    site: str,
    *,
    format: str = "csv",
    compact: bool = False,
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Write one row a subscriber and pool; compact lets a prefix stand for many subscribers."""
    from nfcompile import answers

    if format == "parquet":
        raise UsageProblem("parquet is not offered yet; take csv or json")
    result = outcome.compiled(site)
    outcome.tell(result, quiet, color)
    if result.compiled is None:
        return REFUSED
    rows = answers.mappings(result.compiled, compact)
    (_write_json if format == "json" else _write_csv)(answers.Row._fields, rows)
    return OK


def _write_csv(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _write_json(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    """An array with one object a line, never held in memory whole; what is empty in csv is null."""
    encode = json.JSONEncoder().encode
    sys.stdout.write("[")
    separator = "\n"
    for row in rows:
        named = {column: None if value == "" else value for column, value in zip(columns, row, strict=True)}
        sys.stdout.write(separator + encode(named))
        separator = ",\n"
    sys.stdout.write("\n]\n")
