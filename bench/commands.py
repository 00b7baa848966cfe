"""Our own commands at every size: build and load with 63 to 4,032 ports; apply, lookup, mappings with 63."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import csit
import figures
import measure
import sites
from figures import Row
from measure import Cost, Failed

ROUNDS = 3
EMPTY = "table ip nfcompile\ndelete table ip nfcompile\ntable ip nfcompile {\n}\n"
PYTHON = "python -c pass"
EMPTY_TABLE = "nft -f of an empty table"
ASKED = f"{sites.text(sites.FIRST_GLOBAL)}:40000"
"""The first global address; every size has it."""


def main(arguments: Sequence[str] = ()) -> None:
    """Print the medians, and keep all rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, nargs="*", default=csit.SUBSCRIBERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, help="keep the figures there (docs/performance)")
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: commands: {problem}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _built(folder, wish.subscribers, wish.rounds)
        _report("build and load", rows)
        others = _asked(folder, wish.subscribers, wish.rounds)
        _report("apply, lookup, mappings", others)
    figures.write("commands", rows + others, wish.into)


def _built(folder: Path, subscribers: Sequence[int], rounds: int) -> list[Row]:
    (folder / "empty").write_text(EMPTY)
    cases: dict[tuple[str, int, int], Callable[[], Cost]] = {
        (PYTHON, 0, 0): partial(measure.run, [sys.executable, "-c", "pass"]),
        (EMPTY_TABLE, 0, 0): partial(_load, folder / "empty"),
    }
    texts: dict[tuple[int, int], Path] = {}
    for count in subscribers:
        for ports in csit.PORTS:
            site = csit.written(folder, count, ports)
            text = texts[count, ports] = site.with_suffix(".nft")
            cases["build", count, ports] = partial(measure.run, measure.nfcompile("build", str(site)), text)
            measure.run(measure.nfcompile("build", str(site)), text)
            cases["load", count, ports] = partial(_load, text)
    rows = _rows(measure.interleave(cases, rounds, warm_up=False))
    for row in rows:
        if row["command"] == "build":
            text = texts[row["subscribers"], row["ports"]]
            row["text_kb"] = round(text.stat().st_size / 1000, 1)
            row["elements"] = csit.elements(text)
            row["addresses"] = csit.addresses(row["subscribers"], row["ports"])
    return rows


def _asked(folder: Path, subscribers: Sequence[int], rounds: int) -> list[Row]:
    cases: dict[tuple[str, int, int], Callable[[], Cost]] = {
        (PYTHON, 0, 0): partial(measure.run, [sys.executable, "-c", "pass"])
    }
    for count in subscribers:
        site = str(csit.written(folder, count))
        state = folder / f"state-{count}"
        apply = measure.nfcompile("apply", site, "--yes")
        cases["apply, first", count, csit.CSIT_PORTS] = partial(_first, apply, state)
        cases["apply, nothing to change", count, csit.CSIT_PORTS] = partial(_again, apply, state)
        for verb, *words in (("lookup", ASKED), ("mappings",)):
            command = measure.nfcompile(verb, site, *words)
            cases[verb, count, csit.CSIT_PORTS] = partial(measure.run, command, folder / "out")
    return _rows(measure.interleave(cases, rounds, warm_up=False))


def _load(path: Path) -> Cost:
    _nothing_loaded()
    return measure.run(["nft", "-f", str(path)])


def _first(apply: Sequence[str], state: Path) -> Cost:
    _nothing_loaded()
    shutil.rmtree(state, ignore_errors=True)
    os.environ["NFCOMPILE_STATE_DIR"] = str(state)
    return measure.run(apply)


def _again(apply: Sequence[str], state: Path) -> Cost:
    """The second apply of two; other cases may have loaded something else in between."""
    _first(apply, state)
    return measure.run(apply)


def _nothing_loaded() -> None:
    if not measure.in_private_network():
        raise Failed("not in a namespace of our own")
    measure.run(["nft", "flush", "ruleset"])


def _rows(found: dict[tuple[str, int, int], list[Cost]]) -> list[Row]:
    return [
        {"command": command, "subscribers": count, "ports": ports, "costs": figures.costs(runs)}
        for (command, count, ports), runs in found.items()
    ]


def _report(title: str, rows: Sequence[Row]) -> None:
    measure.heading(title)
    lines = []
    for row in rows:
        cost = measure.middle(figures.runs(row, "costs"))
        size = (f"{row['subscribers']:,}", row["ports"]) if row["ports"] else ("", "")
        lines.append((row["command"], *size, f"{cost.wall:.3f}", f"{cost.cpu:.3f}", f"{cost.rss:.0f}"))
    measure.table(["command", "subscribers", "ports", "wall s", "CPU s", "RSS MB"], lines)


if __name__ == "__main__":
    main(sys.argv[1:])
