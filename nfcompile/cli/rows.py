"""Rows as csv, JSON or Apache Parquet on stdout, written while they are computed."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from nfcompile.cli.exit_status import AnswerCut, UsageProblem
from nfcompile.kernel import KernelError

Cells = Sequence[str | int | None]
CHUNK_ROWS = 4096
PARQUET_GROUP_ROWS = 1 << 16


def write(columns: Sequence[str], rows: Iterable[Cells], format: str) -> None:
    """Write rows in the order in which they come; None or '' is an empty cell in csv, otherwise null."""
    {"csv": _csv, "json": _json, "parquet": _parquet}[format](columns, iter(rows))


def _csv(columns: Sequence[str], rows: Iterator[Cells]) -> None:
    """The header comes with the first rows: what fails before them leaves nothing on stdout."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    chunk = [*islice(rows, CHUNK_ROWS)]
    writer.writerow(columns)
    while chunk:
        writer.writerows(chunk)
        chunk = [*islice(rows, CHUNK_ROWS)]


def _json(columns: Sequence[str], rows: Iterator[Cells]) -> None:
    """An array with one object a line; it is ended also where a later row cannot be read."""
    encode = json.JSONEncoder().encode
    before = "[\n"
    try:
        while chunk := [*islice(rows, CHUNK_ROWS)]:
            objects = (encode(_object(columns, row)) for row in chunk)
            sys.stdout.write(before + ",\n".join(objects))
            before = ",\n"
    except KernelError as problem:
        if before == "[\n":
            raise
        sys.stdout.write("\n]\n")
        raise AnswerCut(str(problem)) from None
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _object(columns: Sequence[str], row: Cells) -> dict[str, str | int | None]:
    return {name: None if cell == "" else cell for name, cell in zip(columns, row, strict=True)}


def _parquet(columns: Sequence[str], rows: Iterator[Cells]) -> None:
    """Ports are 32-bit integers, everything else is text."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise UsageProblem("parquet needs pyarrow: pip install 'nfcompile[parquet]'") from None
    if sys.stdout.isatty():
        raise UsageProblem("parquet is not for terminals; write it to a file: ... --format parquet > FILE")
    types = {"port_first": pyarrow.int32(), "port_last": pyarrow.int32()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
    with ParquetWriter(pyarrow.PythonFile(sys.stdout.buffer, "w"), schema) as file:
        while group := [*islice(rows, PARQUET_GROUP_ROWS)]:
            cells = ([None if cell == "" else cell for cell in cells] for cells in zip(*group, strict=True))
            file.write_table(pyarrow.table([*cells], schema=schema))
