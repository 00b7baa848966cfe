"""From the rounds that were kept to the numbers that plots and tables show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import load
import packets
from commands import EMPTY_TABLE, PYTHON
from figures import Row
from measure import Ratio, ratio
from peers import PEERS

SHAPES = (load.OURS, load.DEFAULTS, *PEERS)
CASES = (*packets.PLAIN, *SHAPES)
WALL, CPU, RSS = range(3)


def sizes(rows: Sequence[Row]) -> list[int]:
    """The numbers of subscribers that were measured."""
    return sorted({row["subscribers"] for row in rows if row["subscribers"]})


def one(rows: Sequence[Row], **wanted: object) -> Row | None:
    """The row with these values."""
    for row in rows:
        if all(row[key] == value for key, value in wanted.items()):
            return row
    return None


def column(row: Row, key: str, which: int) -> list[float]:
    """The rounds of one quantity."""
    return [run[which] for run in row[key]]


# Loading


Cell = Callable[[Sequence[Row], Row], float | str]
"""What a cell shows of a row, given all rows of its size."""


def loading(key: str) -> Cell:
    """CPU of `nft -f` against our ruleset of the same size, by rounds."""

    def cell(rows: Sequence[Row], row: Row) -> float | str:
        ours = one(rows, shape=load.OURS)
        assert ours
        return "not measured" if not row[key] else ratio(column(row, key, CPU), column(ours, key, CPU)).middle

    return cell


def cpu(_: Sequence[Row], row: Row) -> float:
    """Seconds of CPU that the loading program and the kernel for it spend."""
    return median(column(row, "load", CPU))


def wall(_: Sequence[Row], row: Row) -> float:
    """Seconds until `nft -f` is done."""
    return median(column(row, "load", WALL))


def memory(_: Sequence[Row], row: Row) -> float:
    """The most memory that the loading program held (MB)."""
    return median(column(row, "load", RSS))


def kernel(_: Sequence[Row], row: Row) -> float | str:
    """What the kernel holds of the ruleset (MB)."""
    return float(median(row["kernel_mb"])) if row["kernel_mb"] else "not measured"


def text(_: Sequence[Row], row: Row) -> float:
    """The ruleset as text (MB)."""
    return float(row["text_kb"]) / 1000


def loads(rows: Sequence[Row], shape: str, cell: Cell) -> list[float | str]:
    """A shape at all sizes: what the cell shows, or why nothing was measured."""
    found: list[float | str] = []
    for count in sizes(rows):
        same = [row for row in rows if row["subscribers"] == count]
        row = one(same, shape=shape)
        assert row, f"no figures of {shape} at {count}"
        found.append(row["note"] if "note" in row else cell(same, row))
    return found


# Packets


def against(rows: Sequence[Row], kind: str, case: str, base: str, count: int) -> Ratio | str:
    """CPU of a packet against another case of the same size, by rounds; or why nothing was measured."""
    row, other = (one(rows, kind=kind, case=name, subscribers=count) for name in (case, base))
    assert row
    assert other
    if "note" in row:
        return str(row["note"])
    return ratio(row["ns"], other["ns"])


def reason(note: str) -> str:
    """Why there is no figure, in two or three words."""
    if note.startswith(("more than", "not tried", "no ")):
        return "not loaded"
    return "not measured" if "first packets take" in note else "does not work"


def rate(rows: Sequence[Row], kind: str, case: str, count: int) -> float | None:
    """Packets a second of one core, the sender's and the receiver's work included."""
    row = one(rows, kind=kind, case=case, subscribers=count)
    return 1e9 / median(row["ns"]) if row and "ns" in row else None


# Commands


def command(rows: Sequence[Row], name: str, count: int, ports: int) -> Ratio | None:
    """CPU of one of our commands against an empty Python program, of `nft -f` against an empty table."""
    row = one(rows, command=name, subscribers=count, ports=ports)
    base = one(rows, command=EMPTY_TABLE if name == "load" else PYTHON)
    if not row or not base:
        return None
    # Rows of another part of the run have a base of their own.
    bases = [one for one in rows if one["command"] == base["command"]]
    mine = bases[-1] if rows.index(row) > rows.index(bases[-1]) else bases[0]
    return ratio(column(row, "costs", CPU), column(mine, "costs", CPU))
