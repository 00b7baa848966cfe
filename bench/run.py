"""All benches, one after the other. Each is a program of its own as well: python bench/startup.py"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import measure

BENCHES = ("startup", "static_pool", "scale", "connections", "apply")


def main() -> int:
    """Run what is named on the command line, or everything."""
    wanted = sys.argv[1:] or list(BENCHES)
    if unknown := set(wanted) - set(BENCHES):
        print(
            f"no bench called {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}", file=sys.stderr
        )
        return 2
    print(f"nfcompile, {measure.machine()}", flush=True)
    began, failed = time.monotonic(), []
    for name in wanted:
        print(f"\n## {name}", flush=True)
        done = subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=False)
        if done.returncode:
            failed.append(name)
    print(f"\n{time.monotonic() - began:.0f} s" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
