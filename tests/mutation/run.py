"""`make mutants`: break the compiler in one place after the other and see whether a test notices.

Works in a scratch copy. Each fault of faults.py runs the tests named beside it, without golden cases, until
the first one fails; a fault that no test sees is a survivor, and the exit status is then 1.

    python tests/mutation/run.py [--minutes N] [WORD ...]

A WORD picks the faults of files whose name holds it. What N minutes (default 30) do not reach is said.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("nfcompile", "schemas", "examples", "tests", "scripts", "pyproject.toml")
SECONDS_EACH = 240
FAILED = 1
"""pytest's exit status when tests have failed; every other one is trouble of another kind."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    chosen = [fault for fault in FAULTS if not asked.words or any(word in fault.file for word in asked.words)]
    until = time.monotonic() + 60 * asked.minutes
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="nfcompile-mutation-") as name:
        copy = Path(name)
        for one in COPIED:
            (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, copy / one)
        for index, fault in enumerate(chosen):
            if time.monotonic() > until:
                print(f"not reached in {asked.minutes:g} minutes: {len(chosen) - index} faults")
                break
            verdict = outcome(copy, fault)
            survivors += verdict == "SURVIVED"
            print(f"{verdict:<10} {fault.file}: {spelled(fault.old)} -> {spelled(fault.new)}", flush=True)
    print(f"{survivors} survivors")
    return 1 if survivors else 0


def outcome(copy: Path, fault: Fault) -> str:
    """What the tests say of the compiler with that fault."""
    target = copy / "nfcompile" / fault.file
    whole = target.read_text()
    target.write_text(whole.replace(fault.old, fault.new))
    tests = [f"tests/{name}" for name in fault.tests]
    try:
        # The copy stands first on the module path, before the checkout that is installed.
        python = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            [ROOT / "scripts" / "in-namespaces", *python],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=SECONDS_EACH,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NFCOMPILE_REQUIRE_KERNEL": "1"},
        )
    except subprocess.TimeoutExpired:
        return "caught     (the tests did not end)"
    finally:
        target.write_text(whole)
    if done.returncode == FAILED:
        seen = next((line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), "")
        return f"caught     by {seen.split('::')[-1].split(' ')[0][:60]:<60}"
    return "SURVIVED" if done.returncode == 0 else f"trouble {done.returncode}: {done.stdout[-300:]}"


def spelled(text: str) -> str:
    return " ".join(text.split()) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
