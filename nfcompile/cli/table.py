"""Tables of text: aligned columns in a pipe, drawn by rich on a terminal.

A column is written as its heading; '>' before it is a column of numbers, which is aligned to the right.
Control characters in cells are spelled out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.report import visible

if TYPE_CHECKING:
    from rich.console import Console, Group

Row = Sequence[str]


class TableSection(NamedTuple):
    """One table, with a title where it is drawn."""

    columns: tuple[str, ...]
    rows: Sequence[Row]
    title: str = ""


def show(sections: Sequence[TableSection], head: Sequence[str] = (), color: bool = True) -> None:
    """Print lines and tables, as a terminal or a pipe wants them."""
    if sys.stdout.isatty():
        terminal(color).print(drawn(head, sections))
    else:
        sys.stdout.writelines(f"{line}\n" for line in plain(head, sections))


def plain(head: Iterable[str], sections: Iterable[TableSection]) -> Iterator[str]:
    """Lines for a pipe or file; an empty one between two tables."""
    lines = [*map(visible, head)]
    for section in sections:
        lines += [""] if lines else []
        lines += aligned(section.columns, section.rows)
    return iter(lines)


def aligned(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """The heading and the rows of one table, columns two spaces apart."""
    names = [column.removeprefix(">") for column in columns]
    right = [column != name for column, name in zip(columns, names, strict=True)]
    return _aligned([names, *([visible(cell) for cell in row] for row in rows)], right)


def listed(rows: Sequence[Row]) -> Iterator[str]:
    """Rows without a heading, aligned to the left."""
    return _aligned([[visible(cell) for cell in row] for row in rows], [False] * len(rows[0]))


def streamed(columns: Sequence[str], widths: Sequence[int], rows: Iterable[Row]) -> Iterator[str]:
    """A table whose rows are not all known: cells of given widths at least."""
    names = [column.removeprefix(">") for column in columns]
    right = [column != name for column, name in zip(columns, names, strict=True)]
    yield _line(names, widths, right)
    for row in rows:
        yield _line([visible(cell) for cell in row], widths, right)


def _aligned(rows: Sequence[Row], right: Sequence[bool]) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return (_line(row, widths, right) for row in rows)


def _line(row: Row, widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = zip(row, widths, right, strict=True)
    return "  ".join(cell.rjust(width) if end else cell.ljust(width) for cell, width, end in cells).rstrip()


def drawn(head: Iterable[str], sections: Iterable[TableSection]) -> Group:
    """Something that rich shows on a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Table | Text] = [Text(visible(line)) for line in head]
    for section in sections:
        table = Table(title=section.title or None, title_justify="left", box=SIMPLE_HEAD)
        for column in section.columns:
            name = column.removeprefix(">")
            table.add_column(name, justify="left" if name == column else "right", overflow="fold")
        for row in section.rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        parts.append(table)
    return Group(*parts)


def terminal(color: bool) -> Console:
    """Where rich draws; without colours also without bold and italic, which are escapes all the same."""
    from rich.console import Console

    return Console(color_system="auto" if color else None, highlight=False)
