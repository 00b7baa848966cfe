"""A static pool of ten thousand entries, and the same with a mistake in its last line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measure
import sites
from measure import Failed, middle, verdict

ENTRIES = 10_000
ROUNDS = 5
TARGET = 1.5
LIMIT = 20
MISTAKES = {
    "an address that is none": "10.250.0.1: 198.18.300.1",
    "a global address given twice": f"10.250.0.1: {sites.text(sites.FIRST_GLOBAL + 77)}",
    "host bits in a prefix": "10.250.0.1/28: 198.19.0.0/28",
    "a list where an address belongs": "10.250.0.1: [198.19.0.1]",
}


def main() -> None:
    """Print the table, and what was said of each mistake."""
    measure.heading(f"A static pool of {ENTRIES:,} entries")
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder, "site.yaml")
        good.write_text(sites.static(ENTRIES))
        last_line = good.read_text().count("\n")
        text = Path(folder, "ruleset.nft")
        cases = {"build": partial(measure.run, measure.nfcompile("build", str(good)), text, limit=LIMIT)}
        told = []
        for number, (name, entry) in enumerate(MISTAKES.items()):
            bad = Path(folder, f"bad-{number}.yaml")
            bad.write_text(sites.static(ENTRIES, entry))
            command = measure.nfcompile("build", str(bad))
            case = f"build, last entry: {name}"
            cases[case] = partial(measure.run, command, status=1, limit=LIMIT)
            told.append((case, command))
        slow = {name: problem for name, case in cases.items() if (problem := _problem(case))}
        for name in slow:
            del cases[name]
        costs = measure.interleave(cases, ROUNDS, warm_up=False)
        rows = [(name, problem, "", "", f"MISSED: target {TARGET} s") for name, problem in slow.items()]
        for name, own in costs.items():
            cost = middle(own)
            target = verdict(cost.wall, TARGET, " s")
            rows.append((name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.rss:.0f}", target))
        measure.table(["command", "wall s", "CPU s", "RSS MB", ""], rows)
        if "build" not in slow:
            print(f"The ruleset has {text.stat().st_size / 1000:,.0f} KB.")
        print(f"The mistake is in line {last_line}:")
        for case, command in told:
            if case not in slow:
                first = measure.said(command)[2].splitlines()[0].removeprefix(f"{folder}/")
                right = "right" if f":{last_line}:" in first else "WRONG"
                print(f"  {first}  <- the position is {right}")


def _problem(case: Callable[[], object]) -> str:
    """Run a case once; what is wrong with it."""
    try:
        case()
    except Failed as problem:
        return str(problem)
    return ""


if __name__ == "__main__":
    main()
