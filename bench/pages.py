"""Writes the tables of docs/performance.md from the figures that are kept beside it; measures nothing.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; the prose around it is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import csit
import figures
import load
import packets
import results
from measure import Ratio

PAGE = figures.DIRECTORY.with_suffix(".md")
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(where: Path = figures.DIRECTORY, page: Path = PAGE) -> None:
    """Fill all tables of the page."""
    page.write_text(
        TABLE.sub(lambda found: found[1] + "\n" + TABLES[found[2]](where) + found[3], page.read_text())
    )
    print(page)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *["--:"] * (len(columns) - 1)]
    return "".join("| " + " | ".join(line) + " |\n" for line in (columns, ruler, *rows)) + "\n"


# Our own commands


def machine(where: Path) -> str:
    """What the figures were taken on."""
    return f"Measured on {figures.read('packets', where)[0]}.\n\n"


def rulesets(where: Path) -> str:
    """Elements and text: they depend on the ports, not on the subscribers."""
    _, rows = figures.read("commands", where)
    lines = []
    for ports in csit.PORTS:
        built = [row for row in rows if row["command"] == "build" and row["ports"] == ports]
        lines.append(
            (
                f"{ports:,}",
                f"{csit.sites.PORTS // ports:,}",
                _range([row["elements"] for row in built], ""),
                _range([row["text_kb"] for row in built], " KB"),
                f"{max(row['addresses'] for row in built):,}",
            )
        )
    largest = f"addresses for {max(results.sizes(rows)):,} subscribers"
    return _table(["ports each", "subscribers on an address", "map elements", "ruleset", largest], lines)


def _range(values: Sequence[float], unit: str) -> str:
    low, high = min(values), max(values)
    return f"{low:,g}{unit}" if low == high else f"{low:,g}-{high:,g}{unit}"


def build(where: Path) -> str:
    """`build` and `nft -f` by subscribers and ports."""
    _, rows = figures.read("commands", where)
    columns = [f"{word}, {ports:,} ports" for word in ("build", "load") for ports in csit.PORTS]
    lines = []
    for count in results.sizes(rows):
        found = [
            results.command(rows, word, count, ports) for word in ("build", "load") for ports in csit.PORTS
        ]
        lines.append((f"{count:,}", *(f"{one.middle:.1f}" if one else "" for one in found)))
    return _table(["subscribers", *columns], lines)


def commands(where: Path) -> str:
    """The commands that ask and change."""
    _, rows = figures.read("commands", where)
    names = ("apply, first", "apply, nothing to change", "lookup", "mappings")
    lines = []
    for count in results.sizes(rows):
        line = [f"{count:,}"]
        for name in names:
            row, times = results.one(rows, command=name, subscribers=count), None
            if row:
                times = results.command(rows, name, count, csit.CSIT_PORTS)
            if row and times:
                seconds = results.median(results.column(row, "costs", results.CPU))
                line.append(f"{times.middle:,.0f} ({seconds:.2f} s)")
        row = results.one(rows, command="mappings", subscribers=count)
        assert row
        line.append(f"{results.median(results.column(row, 'costs', results.RSS)):.0f} MB")
        lines.append(line)
    return _table(["subscribers", *names, "memory of `mappings`"], lines)


# Loading


def _loads(where: Path, cell: results.Cell, form: Callable[[float], str], empty: bool = False) -> str:
    _, rows = figures.read("load", where)
    shapes = (load.EMPTY, *results.SHAPES) if empty else results.SHAPES
    lines = [
        (shape, *(one if isinstance(one, str) else form(one) for one in results.loads(rows, shape, cell)))
        for shape in shapes
    ]
    lines = [(shape, *map(_brief, cells)) for shape, *cells in lines]
    return _table(["", *(f"{count:,}" for count in results.sizes(rows))], lines)


def _brief(cell: str) -> str:
    """Why there is no figure, short enough for a cell."""
    if cell.startswith("not tried"):
        return "not tried"
    return cell.replace("more than ", "> ").removesuffix(" of memory").removesuffix(" of CPU")


def _times(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


# Packets


def _packets(where: Path, kind: str) -> str:
    _, rows = figures.read("packets", where)
    counts = results.sizes(rows)
    columns = [f"{count:,}: {base}" for count in counts for base in (packets.BASE, packets.NO_NAT)]
    lines = []
    for case in results.CASES:
        line = [case]
        for count in counts:
            to_base = results.against(rows, kind, case, packets.BASE, count)
            to_none = results.against(rows, kind, case, packets.NO_NAT, count)
            line += [_ratio(to_base), _middle(to_none)]
        lines.append(line)
    return _table(["", *columns], lines)


def _ratio(found: Ratio | str) -> str:
    if isinstance(found, str):
        return results.reason(found)
    if found.middle < 10:
        return str(found)
    return f"{found.middle:,.0f} ({found.low:,.0f}-{found.high:,.0f})"


def _middle(found: Ratio | str) -> str:
    return "" if isinstance(found, str) else _times(found.middle)


def rates(where: Path) -> str:
    """Packets a second, as orientation."""
    _, rows = figures.read("packets", where)
    counts = results.sizes(rows)
    columns = [f"{count:,}: {word}" for count in counts for word in ("new", "established")]
    lines = []
    for case in results.CASES:
        line = [case]
        for count in counts:
            for kind in ("new", "established"):
                found = results.rate(rows, kind, case, count)
                line.append(f"{found:,.0f}" if found else "")
        lines.append(line)
    return _table(["", *columns], lines)


def refused(where: Path) -> str:
    """Whatever was not measured, and why. (What could not be loaded is not said again of its packets.)"""
    found = []
    known = set()
    for name, key in (("load", "shape"), ("packets", "case")):
        for row in figures.read(name, where)[1]:
            case = row[key], row["subscribers"]
            if "note" in row and case not in known:
                kind = f"{row['kind']}: " if "kind" in row else "loading: "
                found.append((kind + row[key], f"{row['subscribers']:,}", row["note"]))
                if name == "load":
                    known.add(case)
    return _table(["", "subscribers", "why"], found)


TABLES: dict[str, Callable[[Path], str]] = {
    "machine": machine,
    "rulesets": rulesets,
    "build": build,
    "commands": commands,
    "load_cpu": lambda where: _loads(where, results.loading("load"), _times, empty=True),
    "load_again": lambda where: _loads(where, results.loading("again"), _times),
    "load_wall": lambda where: _loads(where, results.wall, "{:.2f}".format),
    "load_memory": lambda where: _loads(where, results.memory, "{:,.0f}".format),
    "load_kernel": lambda where: _loads(where, results.kernel, "{:.1f}".format, empty=True),
    "load_text": lambda where: _loads(where, results.text, "{:,.2f}".format),
    "new": lambda where: _packets(where, "new"),
    "established": lambda where: _packets(where, "established"),
    "rates": rates,
    "refused": refused,
}

if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
