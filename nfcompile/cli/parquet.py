"""Rows as Apache Parquet on stdout, written while they are computed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice

from nfcompile.allocation.mappings import MappingRow
from nfcompile.cli.guard import UsageProblem

GROUP_ROWS = 1 << 16


def write(rows: Iterable[MappingRow]) -> None:
    """The columns of csv; where there are no ports they are null."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise UsageProblem("parquet needs pyarrow: pip install 'nfcompile[parquet]'") from None
    if sys.stdout.isatty():
        raise UsageProblem("parquet is not for terminals; write it to a file: ... --format parquet > FILE")
    types = {"port_first": pyarrow.int32(), "port_last": pyarrow.int32()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in MappingRow._fields])
    waiting = iter(rows)
    with ParquetWriter(pyarrow.PythonFile(sys.stdout.buffer, "w"), schema) as file:
        while group := [*islice(waiting, GROUP_ROWS)]:
            columns = ([None if cell == "" else cell for cell in cells] for cells in zip(*group, strict=True))
            file.write_table(pyarrow.table([*columns], schema=schema))
