"""A static pool of ten thousand entries, and the same with a mistake in its last line."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import measure
import sites
from measure import middle, verdict

ENTRIES = 10_000
ROUNDS = 5
MISTAKES = {
    "an address that is none": "10.250.0.1: 198.18.300.1",
    "a global address given twice": f"10.250.0.1: {sites.text(sites.FIRST_GLOBAL + 77)}",
    "host bits in a prefix": "10.250.0.1/28: 198.19.0.0/28",
}


def main() -> None:
    """Print the table, and what was said of each mistake."""
    measure.heading(f"A static pool of {ENTRIES:,} entries")
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder, "site.yaml")
        good.write_text(sites.static(ENTRIES))
        last_line = good.read_text().count("\n")
        text = Path(folder, "ruleset.nft")
        cases = {"build": partial(measure.run, measure.nfcompile("build", str(good)), text)}
        told = []
        for number, (name, entry) in enumerate(MISTAKES.items()):
            bad = Path(folder, f"bad-{number}.yaml")
            bad.write_text(sites.static(ENTRIES, entry))
            command = measure.nfcompile("build", str(bad))
            cases[f"build, last entry: {name}"] = partial(measure.run, command, status=1)
            first = measure.said(command)[2].splitlines()[0].removeprefix(f"{folder}/")
            right = "right" if f":{last_line}:" in first else "WRONG"
            told.append((f"{first}", right))
        costs = measure.interleave(cases, ROUNDS)
        rows = []
        for name, own in costs.items():
            cost = middle(own)
            target = verdict(cost.wall, 1.5, " s") if name == "build" else ""
            rows.append((name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.rss:.0f}", target))
        measure.table(["command", "wall s", "CPU s", "RSS MB", ""], rows)
        print(f"text: {text.stat().st_size / 1000:,.0f} KB. The mistake is in line {last_line}:")
        for first, right in told:
            print(f"  {first}  [position {right}]")


if __name__ == "__main__":
    main()
