"""`nfcompile mappings`: the whole allocation, written while it is computed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from nfcompile.allocation import mappings
from nfcompile.allocation.mappings import Holding, MappingRow
from nfcompile.cli import outcome, parquet
from nfcompile.cli.guard import OK, REFUSED

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled

CHUNK_LINES = 4096


def run(
    site: str,
    *,
    format: str = "csv",
    compact: bool = False,
    live: bool = False,
    netns: str | None = None,
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Write one row a subscriber and pool; compact lets a prefix stand for many subscribers.

    With `live` the blocks of dynamic pools are those that the kernel holds.
    """
    result = outcome.compiled(site)
    outcome.tell(result, quiet, color)
    if result.compiled is None:
        return REFUSED
    rows = mappings.mappings(
        result.compiled.allocations, compact, _held(result.compiled, netns) if live else None
    )
    if format == "parquet":
        parquet.write(rows)
        return OK
    lines = (_json_lines if format == "json" else _csv_lines)(rows)
    while chunk := "".join(islice(lines, CHUNK_LINES)):
        sys.stdout.write(chunk)
    return OK


def _held(compiled: Compiled, netns: str | None) -> dict[str, list[Holding]]:
    """All of it before the first row is written: what the kernel refuses leaves no half of a list."""
    from nfcompile.live.owners import Kernel
    from nfcompile.records.lookup_at import Known

    return Kernel(netns).holdings(Known(compiled))


def _csv_lines(rows: Iterable[MappingRow]) -> Iterator[str]:
    """Nothing is quoted: addresses, numbers and the names of pools need none."""
    yield ",".join(MappingRow._fields) + "\n"
    for row in rows:
        yield f"{row[0]},{row[1]},{row[2]},{row[3]},{row[4]},{row[5]}\n"


def _json_lines(rows: Iterable[MappingRow]) -> Iterator[str]:
    """An array with one object a line; what is empty in csv is null."""
    encode = json.JSONEncoder().encode
    before = "[\n"
    for row in rows:
        named: dict[str, str | int | None] = row._asdict()
        if row.port_first == "":
            named |= {"port_first": None, "port_last": None}
        yield before + encode(named)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
