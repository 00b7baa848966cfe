"""How well `import` does on a directory of real files: a row for each kind, and the pairs beside them.

    python scripts/import_table.py DIR [--verify] [--list]

Files below DIR/<kind>/ are of that kind, others of the kind that `auto` guesses; what it does not know is
left out and named, README and MANIFEST are not read. A directory that holds `blocks.csv` (subscriber, global
address, first and last port) and `input*` files is a pair: the allocation of the imported pools is compared
with it row by row. `--verify` walks each original beside its site. `--list` names every file.

accounted  files whose lines have one fate each
check      files whose site `check` accepts
programs   files of which a part is a program (a shell's, RouterOS' or Terraform's), which has to be run
complete   files without a `not-translated` line, of all and of those that are no programs
strict     those of them without an `unknown` line
verified   sites that do what the original does, of those that can be walked
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
from nfcompile.cli.import_verify import compare
from nfcompile.diagnostics import SiteError
from nfcompile.importers.importing import READERS, Imported, import_files
from nfcompile.importers.inbound import bindings
from nfcompile.importers.kinds import UnknownKind, guess_kind
from nfcompile.importers.lines import read_text
from nfcompile.importers.reading import ImportOptions
from nfcompile.model.ranges import address_text

COLUMNS = (
    *(
        "kind",
        "files",
        "lines",
        "tracebacks",
        "accounted",
        "check",
        "programs",
        "complete",
        "literal",
        "strict",
    ),
    *("verified", "slowest"),
)
PROGRAM = {"shell", "not-literal"}
"""Codes of lines that have to be run to know what they say."""
NOT_WALKED = "not walked"


class Result(NamedTuple):
    """What became of one file. `check` is '' where the site passes, otherwise the first error.

    `verified` is '' where the site does what the original does, otherwise why not.
    """

    kind: str
    file: Path
    lines: int
    accounted: int
    check: str
    left_out: int
    unknown: int
    seconds: float
    codes: Counter[str]
    verified: str = NOT_WALKED

    @property
    def is_program(self) -> bool:
        return bool(PROGRAM & self.codes.keys())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verify", action="store_true")
    arguments = parser.parse_args()
    results = [tried(kind, file, arguments.verify) for kind, file in files(arguments.directory)]
    if arguments.list:
        for one in results:
            print(
                f"{one.kind} {one.file}: {one.left_out} left out, {one.unknown} unknown; {one.check or 'ok'}"
                + (f"; {one.verified}" if one.verified not in ("", NOT_WALKED) else "")
            )
    show(results)
    for pair in sorted(path.parent for path in arguments.directory.rglob("blocks.csv")):
        print(compared(pair))


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Every file with its kind; the expected halves of pairs are none."""
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        if not file.name.startswith(("blocks.csv", "site.yaml", "reference.", "README", "MANIFEST")):
            kind = kind_of(file, file.relative_to(directory).parts[0])
            if kind:
                yield kind, file


def kind_of(file: Path, named: str) -> str:
    """The kind that a directory is named after, or that the words of the file have; '' for none."""
    if named in READERS:
        return named
    try:
        return guess_kind((read_text(file.name, file.read_bytes()),))[0]
    except UnknownKind:
        print(f"{file}: of no kind")
        return ""


def tried(kind: str, file: Path, verify: bool) -> Result:
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
        walked(found) if verify else NOT_WALKED,
    )


def walked(found: Imported) -> str:
    """What `--verify` says."""
    try:
        document = pipeline.parse(found.text.encode(), "site.yaml")
        result = compare(found, document)
    except SiteError:
        return "check refuses the site"
    except Exception:
        traceback.print_exc()
        return "traceback"
    if "nothing to walk" in result.reason:
        return NOT_WALKED
    return result.reason or "; ".join(result.examples) or ("" if result.complete else "too many boxes")


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
        count, programs = len(mine), sum(one.is_program for one in mine)
        row = (
            kind,
            count,
            sum(one.lines for one in mine),
            sum(one.accounted < 0 for one in mine),
            f"{sum(one.accounted == one.lines for one in mine)}/{count}",
            f"{sum(not one.check for one in mine)}/{count}",
            programs,
            f"{sum(not one.left_out for one in mine)}/{count}",
            f"{sum(not one.left_out for one in mine)}/{count - programs}",
            f"{sum(not one.left_out and not one.unknown for one in mine)}/{count}",
            f"{sum(not one.verified for one in mine)}/{sum(one.verified != NOT_WALKED for one in mine)}",
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
