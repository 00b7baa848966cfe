"""Small tables of text: aligned columns in a pipe, drawn ones on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Group


class Section(NamedTuple):
    """One table: columns with '>' before their name are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plain(head: Iterable[str], sections: Iterable[Section]) -> Iterator[str]:
    """Lines for a pipe or file."""
    yield from head
    for section in sections:
        names = tuple(column.lstrip(">") for column in section.columns)
        widths = [max(map(len, cells)) for cells in zip(names, *section.rows, strict=True)]
        yield ""
        for row in (names, *section.rows):
            cells = [
                cell.rjust(width) if column[0] == ">" else cell.ljust(width)
                for cell, width, column in zip(row, widths, section.columns, strict=True)
            ]
            yield "  ".join(cells).rstrip()
    yield ""


def drawn(head: Iterable[str], sections: Iterable[Section]) -> Group:
    """Something that rich shows on a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Table | Text] = [Text(line) for line in head]
    for section in sections:
        table = Table(title=section.title, title_justify="left", box=SIMPLE_HEAD)
        for column in section.columns:
            table.add_column(column.lstrip(">"), justify="right" if column[0] == ">" else "left")
        for row in section.rows:
            table.add_row(*map(Text, row))
        parts.append(table)
    return Group(*parts)
