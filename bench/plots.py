"""Draws docs/performance/*.svg from the figures that are kept there; measures nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import csit
import figures
import load
import packets
import results
from figures import Row
from peers import PEERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {
    "svg.hashsalt": "nfcompile",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}
COLOURS = dict(
    zip(
        (load.OURS, load.DEFAULTS, *PEERS),
        ("#0b6e4f", "#59b08f", "#c1440e", "#3d3d3d", "#8c8c8c", "#7b4fa3", "#1f5fa8", "#7fb0e0"),
        strict=True,
    )
)
MARKS = dict(zip(COLOURS, "oDsv^PX*", strict=True))
SIZE_COLOURS = ("#9ecae1", "#4292c6", "#08306b")


def main(where: Path = figures.DIRECTORY) -> int:
    """Draw all for which there are figures in that folder, beside them."""
    try:
        import matplotlib

        matplotlib.use("svg")
    except ImportError:
        print("*** LEFT OUT: plots: no matplotlib; pip install '.[bench]'", file=sys.stderr)
        return 0
    with matplotlib.rc_context(STYLE):
        for name, draw in PLOTS.items():
            figure = draw(where)
            if figure is None:
                print(f"*** LEFT OUT: {name}: no figures in {where}", file=sys.stderr)
                continue
            path = where / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None})
            path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
            print(path)
    return 0


def _panels(count: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, count, figsize=(width, height), layout="constrained", **options)
    return figure, list(axes) if count > 1 else [axes]


# Against the number of subscribers


def loading(where: Path) -> Figure | None:
    """CPU of loading, and both kinds of memory."""
    rows = figures.read("load", where)[1]
    if not rows:
        return None
    figure, axes = _panels(3, 9.6, 3.6)
    for axis, title, cell in zip(
        axes,
        ("CPU of loading, s", "memory of the loading program, MB", "memory of the kernel, MB"),
        (results.cpu, results.memory, results.kernel),
        strict=True,
    ):
        for shape in results.SHAPES:
            _line(axis, rows, shape, cell)
        _by_subscribers(axis, results.sizes(rows), title)
    axes[2].set_ylim(bottom=0.05)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _line(axis: Axes, rows: Sequence[Row], shape: str, cell: results.Cell) -> None:
    """What was measured; a line ends where the shape was stopped."""
    pairs = zip(results.sizes(rows), results.loads(rows, shape, cell), strict=True)
    known = [(count, value) for count, value in pairs if not isinstance(value, str)]
    axis.plot(
        [count for count, _ in known],
        [max(value, 0.01) for _, value in known],
        color=COLOURS[shape],
        marker=MARKS[shape],
        markersize=4,
        linewidth=2 if shape == load.OURS else 1.1,
        label=shape,
    )


def commands(where: Path) -> Figure | None:
    """Our own commands: they do not grow with the subscribers, except the one that lists them."""
    rows = figures.read("commands", where)[1]
    if not rows:
        return None
    figure, (axis,) = _panels(1, 6.4, 3.2)
    counts = results.sizes(rows)
    names = ("mappings", "apply, first", "apply, nothing to change", "lookup", "build")
    for name, colour in zip(names, ("#8c8c8c", "#1f5fa8", "#7fb0e0", "#c1440e", "#0b6e4f"), strict=True):
        found = [results.command(rows, name, count, csit.CSIT_PORTS) for count in counts]
        values = [ratio.middle for ratio in found if ratio]
        axis.plot(counts, values, marker="o", markersize=4, color=colour, label=name)
    _by_subscribers(axis, counts, "CPU, times an empty Python program")
    axis.set_ylim(bottom=1)
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def _by_subscribers(axis: Axes, counts: Sequence[int], title: str) -> None:
    axis.set_xscale("log", base=4)
    axis.set_yscale("log")
    axis.set_xticks(counts, [_short(count) for count in counts])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("subscribers")
    axis.set_title(title, fontsize=9, loc="left")


def _short(count: int) -> str:
    return f"{count >> 20}M" if count >= 1 << 20 else f"{count >> 10}k"


# Packets


def _packets(where: Path, kind: str, log: bool) -> Figure | None:
    rows = [row for row in figures.read("packets", where)[1] if row["kind"] == kind]
    if not rows:
        return None
    figure, (axis,) = _panels(1, 7.4, 4.2)
    counts = results.sizes(rows)
    cases = [case for case in results.CASES if case != packets.BASE]
    step = 0.8 / len(counts)
    for place, (count, colour) in enumerate(zip(counts, SIZE_COLOURS, strict=False)):
        for line, case in enumerate(cases):
            at = line + (place - (len(counts) - 1) / 2) * step
            found = results.against(rows, kind, case, packets.BASE, count)
            if isinstance(found, str):
                axis.text(1.03, at, results.reason(found), fontsize=6.5, color="#8c8c8c", va="center")
                continue
            axis.barh(at, found.middle - 1, step * 0.9, left=1, color=colour,
                      label=f"{count:,} subscribers" if case == load.OURS else None)  # fmt: skip
            axis.plot([found.low, found.high], [at, at], color="black", linewidth=0.8)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(cases)), cases)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    if log:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
    axis.set_xlabel(f"CPU of a packet, times {packets.BASE} (less is better; black: quartiles)")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure


def new(where: Path) -> Figure | None:
    """New connections."""
    return _packets(where, "new", log=True)


def established(where: Path) -> Figure | None:
    """Packets of established connections."""
    return _packets(where, "established", log=False)


PLOTS: dict[str, Callable[[Path], Figure | None]] = {
    "load": loading,
    "commands": commands,
    "new": new,
    "established": established,
}

if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
