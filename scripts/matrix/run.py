"""The kernel tests on other kernels and with other versions of nft, as one table. `make matrix`; by hand:

    .venv/bin/python scripts/matrix/run.py [--suite SUITE]... [--nft DIRECTORY]... [--here] [TEST]...

Each Debian suite gives a kernel, which boots in qemu, and an nft. The tests run inside, on this machine's own
file system, with this machine's nft; those that load rulesets run once more with every other nft. An nft that
Debian has not is named with --nft: a directory with a program `nft`. --here runs all that on this machine's
kernel too. What the guests said is left in .matrix/results.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = ROOT / ".matrix"
SUITES = ("bookworm", "bookworm-backports", "trixie", "trixie-backports")
SECONDS = 2400
"""How long one kernel may take: emulated, and with one engineer on the machine, a quarter of it."""
TESTS = tuple(
    f"tests/kernel/test_{name}.py"
    for name in (
        *("loads", "flowtable", "vlans", "packets_acl", "packets_static", "packets_cgnat", "packets_marks"),
        *("packets_guard", "packets_sides", "packets_reload", "mapping", "renewal", "dynamic"),
        *("dynamic_full", "policy", "policy_outside", "alg", "listing"),
    )
)
"""Rulesets, packet tables, and what differs between kernels. The rest measures races or starts many programs,
which an emulated processor is too slow for."""


class Row(NamedTuple):
    """The tests of one kernel with one nft."""

    kernel: str
    nft: str
    passed: int
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float


def main() -> int:
    """Fetch, boot, run, print; 1 when a test failed or a machine did not come to its end."""
    asked = arguments()
    kernels, nfts = fetched(asked.suite or list(SUITES))
    other = [path for path in (*nfts, *asked.nft) if version(path) != version(None)]
    places: list[Path | None] = [*kernels, *([None] if asked.here else [])]
    rows: list[Row] = []
    broken: list[str] = []
    missing: dict[str, list[str]] = {}
    for kernel in places:
        name = kernel.name if kernel else os.uname().release
        out = PLACE / "results" / name
        print(f"matrix: {name}", flush=True)
        if run(kernel, out, other, asked.test or list(TESTS)) not in (0, 1):
            broken.append(name)
        rows += results(out, name)
        missing[name] = read(out / "lacks")
    show(rows, missing)
    for name in broken:
        print(f"{name}: did not come to its end; see {PLACE}/results/{name}")
    return 1 if broken or any(row.failed or not row.passed for row in rows) else 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", action="append", help=f"a suite of Debian (default: {', '.join(SUITES)})")
    parser.add_argument("--nft", action="append", default=[], type=Path, help="a directory with an nft")
    parser.add_argument("--here", action="store_true", help="this machine's kernel too")
    parser.add_argument("test", nargs="*", help="tests, as pytest names them")
    return parser.parse_args()


def fetched(suites: list[str]) -> tuple[list[Path], list[Path]]:
    """Kernels and nfts of the suites, unpacked; those of an earlier run are taken again."""
    done = subprocess.run([HERE / "get", PLACE, *suites], stdout=subprocess.PIPE, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    return [Path(f[-1]) for f in found if f[0] == "kernel"], [Path(f[-1]) for f in found if f[0] == "nft"]


def version(nft: Path | None) -> str:
    """The version of an nft; of this machine's own for None."""
    command = [str(nft / "nft") if nft else "nft", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]


def run(kernel: Path | None, out: Path, nfts: list[Path], tests: list[str]) -> int:
    """Run the tests on a kernel (None: this machine's); 0, 1 when some failed, or another status."""
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.xml"), out / "lacks"):
        old.unlink(missing_ok=True)
    guest = [str(HERE / "guest"), str(out) if kernel is None else "/mnt/out", *map(str, nfts), "--", *tests]
    if kernel is None:
        with (out / "log").open("w") as log:
            return subprocess.run(guest, stdout=log, stderr=log, check=False).returncode
    features = ["env", "NFCOMPILE_REQUIRE_FEATURES=1"]
    command = [str(HERE / "vm"), str(kernel), str(SECONDS), str(out), *features, *guest]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def results(out: Path, kernel: str) -> list[Row]:
    """What the tests of a kernel came to, one row for each nft."""
    rows = []
    for file in sorted(out.glob("*.xml")):
        cases = list(ElementTree.parse(file).iter("testcase"))
        failed = tuple(case.attrib["name"] for case in cases if has(case, "failure") or has(case, "error"))
        skipped = tuple(case.attrib["name"] for case in cases if has(case, "skipped"))
        passed = len(cases) - len(failed) - len(skipped)
        seconds = sum(float(case.attrib["time"]) for case in cases)
        rows.append(Row(kernel, file.stem, passed, failed, skipped, seconds))
    return rows


def has(case: ElementTree.Element, outcome: str) -> bool:
    """Whether pytest says that of a test."""
    return case.find(outcome) is not None


def read(file: Path) -> list[str]:
    """The lines of a file, or that it is not there."""
    return file.read_text().splitlines() if file.exists() else ["(unknown)"]


def show(rows: list[Row], missing: dict[str, list[str]]) -> None:
    """The table, then each failure."""
    print(f"\n{'kernel':<26}{'nft':<8}{'passed':>7}{'failed':>7}{'skipped':>8}{'s':>6}  the kernel has no")
    for row in rows:
        lacks = ", ".join(missing[row.kernel]) or "-"
        counts = f"{row.passed:>7}{len(row.failed):>7}{len(row.skipped):>8}{row.seconds:>6.0f}"
        print(f"{row.kernel:<26}{row.nft:<8}{counts}  {lacks}")
    for row in rows:
        for test in row.failed:
            print(f"failed on {row.kernel} with nft {row.nft}: {test}")


if __name__ == "__main__":
    sys.exit(main())
