"""How well `import` does on a directory of real files: a row for each kind, and the pairs beside them.

    python scripts/import_table.py DIR [--list]

Files below DIR/<kind>/ are of that kind, others of the kind that `auto` guesses; what it does not know is
left out. A directory that holds `blocks.csv` (subscriber, global address, first and last port) and `input*`
files is a pair: the allocation of the imported pools is compared with it row by row. `--list` names every
file.
"""

from __future__ import annotations

import argparse
import csv
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nfcompile import pipeline
from nfcompile.diagnostics import SiteError
from nfcompile.importers.importing import READERS, Imported, import_files
from nfcompile.importers.inbound import bindings
from nfcompile.importers.kinds import UnknownKind, guess_kind
from nfcompile.importers.lines import read_text
from nfcompile.importers.reading import ImportOptions
from nfcompile.model.ranges import address_text

COLUMNS = ("kind", "files", "lines", "tracebacks", "accounted", "check", "complete", "strict", "slowest")


class Result(NamedTuple):
    """What became of one file. `check` is '' where the site passes, otherwise the first error."""

    kind: str
    file: Path
    lines: int
    accounted: int
    check: str
    left_out: int
    unknown: int
    seconds: float
    codes: Counter[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    results = [one for kind, file in files(arguments.directory) if (one := tried(kind, file))]
    if arguments.list:
        for one in results:
            print(
                f"{one.kind} {one.file}: {one.left_out} left out, {one.unknown} unknown; {one.check or 'ok'}"
            )
    show(results)
    for pair in sorted(path.parent for path in arguments.directory.rglob("blocks.csv")):
        print(compared(pair))


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Every file with its kind; the expected halves of pairs are none."""
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        if file.name == "blocks.csv" or file.name == "site.yaml" or file.name.startswith("reference"):
            continue
        named = file.relative_to(directory).parts[0]
        try:
            yield (
                (named if named in READERS else guess_kind((read_text(file.name, file.read_bytes()),))[0]),
                file,
            )
        except UnknownKind:
            continue


def tried(kind: str, file: Path) -> Result:
    """Import a file; a traceback is a result, too."""
    data = file.read_bytes()
    lines = len(read_text(file.name, data).lines)
    start = time.process_time()
    try:
        found = import_files(kind, [(file.name, data)], ImportOptions())
    except Exception:
        traceback.print_exc()
        return Result(kind, file, lines, -1, "traceback", 0, 0, 0.0, Counter())
    seconds = time.process_time() - start
    totals = found.account.totals
    codes = Counter(entry.code for entry in found.account.entries if entry.fate == "not-translated")
    return Result(
        kind,
        file,
        lines,
        sum(totals.values()),
        checked(found),
        totals["not-translated"],
        totals["unknown"],
        seconds,
        codes,
    )


def checked(found: Imported) -> str:
    """The first error that `check` has with the site."""
    try:
        problems = pipeline.check(pipeline.parse(found.text.encode(), "site.yaml")).diagnostics
    except SiteError as error:
        problems = error.diagnostics
    return next((f"{one.message} [{one.code}]" for one in problems if one.severity == "error"), "")


def show(results: list[Result]) -> None:
    print("".join(name.ljust(12) for name in COLUMNS))
    for kind in sorted({one.kind for one in results}):
        mine = [one for one in results if one.kind == kind]
        count = len(mine)
        row = (
            kind,
            count,
            sum(one.lines for one in mine),
            sum(one.accounted < 0 for one in mine),
            f"{sum(one.accounted == one.lines for one in mine)}/{count}",
            f"{sum(not one.check for one in mine)}/{count}",
            f"{sum(not one.left_out for one in mine)}/{count}",
            f"{sum(not one.left_out and not one.unknown for one in mine)}/{count}",
            f"{max(one.seconds for one in mine):.2f} s",
        )
        print("".join(str(value).ljust(12) for value in row))
        codes = sum((one.codes for one in mine), Counter[str]())
        print(
            "    not translated: "
            + (", ".join(f"{code} {n}" for code, n in codes.most_common()) or "nothing")
        )


def compared(pair: Path) -> str:
    """How many rows of the table the imported pools do not give."""
    inputs = sorted(pair.glob("input*"))
    data = [(file.name, file.read_bytes()) for file in inputs]
    found = import_files("auto", data, ImportOptions())
    rows = {
        (address_text(subscriber), address_text(block.address), str(block.first), str(block.last))
        for pool in found.pools
        for subscriber, block in bindings(pool)
    }
    with (pair / "blocks.csv").open(newline="") as file:
        wanted = {tuple(row) for row in csv.reader(file) if row}
    served = {row[0] for row in rows}
    asked = {row for row in wanted if row[0] in served}
    missing = f"; {len(wanted) - len(asked)} rows of other files" if len(asked) < len(wanted) else ""
    return f"{pair.name}: {len(asked)} rows, {len(asked ^ rows)} differ{missing}"


if __name__ == "__main__":
    main()
