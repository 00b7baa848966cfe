"""`make mutants`: break the compiler in one place after the other and see whether a test notices.

Works in a scratch copy. Each fault of faults/ runs the tests named beside it, without golden cases, until
the first one fails; the same tests have to pass before, without a fault. A fault that no test sees is a
survivor. The exit status is 1 where there is one, or where a run had trouble or did not come to its end.

    PYTHONPATH=tests python -m mutation.run [--minutes N] [--trust] [WORD ...]

A WORD picks the faults of files whose name holds it. What N minutes (default 60) do not reach is said.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mutation.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("nfcompile", "schemas", "examples", "tests", "scripts", "pyproject.toml")
FIRST = ("verify/test_prove.py",)
"""Tests that see every fault and are quick: asked before those beside the fault, where they are there."""
PROFILE = ("--hypothesis-profile", "mutants")
"""An example that fails is enough; nobody reads the smallest one."""
SECONDS_EACH = 300
SECONDS_ALL = 1200
FAILED = 1
"""pytest's exit status when tests have failed; every other one is trouble of another kind."""
GOOD = {"caught", "not asked"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--trust", action="store_true", help="the tests are known to pass without a fault")
    asked = parser.parse_args()
    chosen = [fault for fault in FAULTS if not asked.words or any(word in fault.file for word in asked.words)]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nfcompile-mutation-") as name:
        copy = Path(name)
        for one in COPIED:
            (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, copy / one)
        if not asked.trust and not passing(copy, chosen):
            return 1
        return judge(copy, chosen, start + 60 * asked.minutes)


def passing(copy: Path, faults: list[Fault]) -> bool:
    """Say whether the tests of these faults pass without one."""
    start = time.monotonic()
    verdict, detail = ask(copy, dict.fromkeys(test for fault in faults for test in fault.tests), SECONDS_ALL)
    passed = verdict in ("SURVIVED", "not asked")
    said = "all pass" if passed else f"{verdict} {detail}"
    print(f"without a fault: {said}, {time.monotonic() - start:.0f} s", flush=True)
    return passed


def judge(copy: Path, faults: list[Fault], until: float) -> int:
    """Print the verdict on each fault and their sum; the exit status."""
    sums: Counter[str] = Counter()
    for index, fault in enumerate(faults):
        start = time.monotonic()
        if start > until:
            print(f"not reached in time: {len(faults) - index} faults")
            break
        verdict, detail = outcome(copy, fault)
        sums[verdict] += 1
        took = f"{time.monotonic() - start:4.0f} s"
        print(
            f"{verdict:<10}{took} {fault.file}: {spelled(fault.old)} -> {spelled(fault.new)}  {detail}",
            flush=True,
        )
    print(", ".join(f"{count} {verdict}" for verdict, count in sums.most_common()))
    return 0 if set(sums) <= GOOD else 1


def outcome(copy: Path, fault: Fault) -> tuple[str, str]:
    """What the tests say of the compiler with that fault: the verdict, and who said it."""
    target = copy / "nfcompile" / fault.file
    whole = target.read_text()
    target.write_text(whole.replace(fault.old, fault.new))
    try:
        return ask(copy, fault.tests, SECONDS_EACH)
    finally:
        target.write_text(whole)


def ask(copy: Path, tests: Iterable[str], seconds: float) -> tuple[str, str]:
    """Run tests of the copy until one fails."""
    names = [f"tests/{name}" for name in (*(one for one in FIRST if (copy / "tests" / one).exists()), *tests)]
    # The copy stands first on the module path, before the checkout that is installed.
    python = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", *PROFILE, *names]
    try:
        done = subprocess.run(
            [ROOT / "scripts" / "in-namespaces", *python],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NFCOMPILE_REQUIRE_KERNEL": "1"},
        )
    except subprocess.TimeoutExpired:
        return "NO END", f"in {seconds:g} s"
    if done.returncode == FAILED:
        seen = next((line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), "")
        return "caught", f"by {seen.split('::')[-1].split(' ')[0][:60]}"
    if done.returncode:
        return "TROUBLE", f"{done.returncode}: {done.stdout[-300:]}"
    last = done.stdout.splitlines()[-1]
    return ("SURVIVED", "") if re.search(r"\d+ passed", last) else ("not asked", f"here: {last}")


def spelled(text: str) -> str:
    return " ".join(text.split()) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
