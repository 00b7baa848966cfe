"""Rows in columns: plain text that any program cuts apart, and a table for terminals."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]


def columns(rows: Sequence[Row], numbers: int | None = None) -> Iterator[str]:
    """Align cells two spaces apart; from column `numbers` on to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) if numbers is None else numbers
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = (cell.rjust(w) if at >= first else cell.ljust(w) for at, (cell, w) in enumerate(cells))
        yield "  ".join(aligned).rstrip()


def show(head: Row, rows: Sequence[Row], numbers: int, color: bool = True) -> None:
    """Print a table: drawn by rich in a terminal, plain columns in a pipe."""
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{line}\n" for line in columns([head, *rows], numbers))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, word in enumerate(head):
        table.add_column(word, justify="right" if at >= numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    terminal(color).print(table)


def terminal(color: bool) -> Console:
    """Where rich draws; without colours also without bold and italic, which are escapes all the same."""
    from rich.console import Console

    wanted = color and not os.environ.get("NO_COLOR")
    return Console(color_system="auto" if wanted else None, highlight=False)
