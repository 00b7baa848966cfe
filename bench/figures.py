"""Where the figures of a run are kept: one JSON file a bench, one row a line, in docs/performance/.

Plots and tables (`plots.py`, `pages.py`) are made from them, so both can be made again without measuring.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import measure
from measure import Cost

DIRECTORY = measure.ROOT / "docs" / "performance"

Row = dict[str, Any]


def replace(name: str, rows: Sequence[Row], into: Path | None) -> None:
    """Keep the rows of one size; what was kept of other sizes stays. (No ratio is made across sizes.)"""
    if into is None:
        return
    new = {row["subscribers"] for row in rows}
    kept = [row for row in read(name, into)[1] if row["subscribers"] not in new]
    write(name, sorted([*kept, *rows], key=lambda row: row["subscribers"]), into)


def write(name: str, rows: Iterable[Row], into: Path | None) -> None:
    """Keep the rows of a bench; nowhere when `into` is None."""
    if into is None:
        return
    into.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    text = f'{{\n "machine": {json.dumps(measure.machine())},\n "rows": [\n{lines}\n ]\n}}\n'
    (into / f"{name}.json").write_text(text)


def read(name: str, where: Path = DIRECTORY) -> tuple[str, list[Row]]:
    """The machine and the rows of a bench; no rows when there is no such file."""
    path = where / f"{name}.json"
    if not path.exists():
        return "", []
    kept = json.loads(path.read_text())
    return kept["machine"], kept["rows"]


def costs(runs: Iterable[Cost]) -> list[list[float]]:
    """Runs as JSON has them: wall s, CPU s, RSS MB."""
    return [[round(run.wall, 5), round(run.cpu, 5), round(run.rss, 1)] for run in runs]


def runs(row: Row, key: str) -> list[Cost]:
    """And back."""
    return [Cost(*run) for run in row.get(key, [])]
