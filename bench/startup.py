"""How long nfcompile takes to get going, against an empty Python program; and what it imports."""

from __future__ import annotations

import re
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import measure
import sites
from measure import Cost, middle, ratio, verdict

ROUNDS = 11
TARGETS = {"--version": 6, "build of a small site": 15, "lookup in a small site": 10}
IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


def main() -> None:
    """Print two tables."""
    measure.heading("Start-up, against `python -c pass`")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site.yaml")
        site.write_text(sites.aligned(4096))
        build = measure.nfcompile("build", str(site))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "--version": measure.nfcompile("--version"),
            "build of a small site": build,
            "check of a small site": measure.nfcompile("check", str(site)),
            "lookup in a small site": measure.nfcompile("lookup", str(site), "198.18.0.1:3000"),
        }
        costs = measure.interleave(
            {name: partial(measure.run, command) for name, command in commands.items()}, ROUNDS
        )
        _compare(costs)
        measure.heading(
            "What `build` imports, most expensive first (own time, without what it imports in turn)"
        )
        _imports(build)


def _compare(costs: dict[str, list[Cost]]) -> None:
    base = costs["python -c pass"]
    rows = []
    for name, own in costs.items():
        times = ratio([c.cpu for c in own], [c.cpu for c in base])
        wall = ratio([c.wall for c in own], [c.wall for c in base])
        target = verdict(times.middle, TARGETS[name], "x") if name in TARGETS else ""
        cost = middle(own)
        rows.append((name, f"{cost.wall * 1000:.0f}", f"{cost.rss:.0f}", wall, times, target))
    measure.table(["command", "wall ms", "RSS MB", "wall ratio", "CPU ratio", ""], rows)


def _imports(command: list[str]) -> None:
    """Medians of five runs, in parts of the whole process."""
    if command[0] != sys.executable:
        command = [sys.executable, *command]
    found: dict[str, list[int]] = {}
    for _ in range(5):
        _, _, told = measure.said([command[0], "-X", "importtime", *command[1:]])
        for own, _, _, module in IMPORTED.findall(told):
            found.setdefault(module, []).append(int(own))
    times = {module: median(each) for module, each in found.items()}
    total = sum(times.values())
    ours = sum(time for module, time in times.items() if module.startswith("nfcompile"))
    rows = [
        ("all", f"{total / 1000:.1f}", "100 %"),
        ("nfcompile.*", f"{ours / 1000:.1f}", _share(ours, total)),
    ]
    for module, time in sorted(times.items(), key=lambda item: -item[1])[:12]:
        rows.append((module, f"{time / 1000:.1f}", _share(time, total)))
    measure.table(["module", "ms", "share"], rows)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"


if __name__ == "__main__":
    main()
