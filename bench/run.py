"""All benches, one after the other. Each is a program of its own as well: python bench/startup.py"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import figures
import measure

PRINTED = (
    "startup",
    "static_pool",
    "scale",
    "many",
    "apply",
    "history",
    "dump",
    "connections",
    "growth",
    "npt",
)
KEPT = ("commands", "load", "packets")
"""Those whose figures are what docs/performance.md shows."""

DRAWN = ("plots", "pages")


def main() -> int:
    """Run what is named on the command line, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PRINTED + KEPT + DRAWN))
    parser.add_argument("--keep", action="store_true", help="write docs/performance (so does a run of all)")
    wish = parser.parse_args()
    if unknown := set(wish.names) - {*PRINTED, *KEPT, *DRAWN}:
        parser.error(f"no bench called {', '.join(sorted(unknown))}; there are {', '.join(PRINTED + KEPT)}")
    keep = wish.keep or not wish.names
    print(f"nfcompile, {measure.machine()}", flush=True)
    began, failed = time.monotonic(), []
    for name in wish.names or (*PRINTED, *KEPT, *DRAWN):
        print(f"\n## {name}", flush=True)
        into = ["--into", str(figures.DIRECTORY)] if keep and name in KEPT else []
        program = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, str(program), *into], check=False).returncode:
            failed.append(name)
    print(f"\n{time.monotonic() - began:.0f} s" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
