"""Load and prove random sites that the compiler accepts: `nft -c -f` in a scratch namespace, then `prove`.

    .venv/bin/python scripts/prove_random.py [--sites 3000] [--seconds 600] [--seed 1]

Prints each site that the kernel refuses, or that is not proved, by the seed and number that make it again.
What this kernel lacks (flowtables, a helper) is counted apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests")]

from nfcompile.diagnostics import SiteError  # noqa: E402
from nfcompile.kernel import apply  # noqa: E402
from nfcompile.verify import proof  # noqa: E402
from support.random_sites import RandomSite  # noqa: E402
from support.wide_sites import wide_sites  # noqa: E402

LACKING = ("No such file or directory", "the running kernel has no")
MOST_BOXES = 20_000


def main() -> int:
    """Prove; exit status 1 where a site is refused or not proved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--unloaded", action="store_true", help="prove only")
    asked = parser.parse_args()
    counts, began = Counter[str](), time.monotonic()
    for drawn in wide_sites(asked.sites, asked.seed):
        if time.monotonic() - began > asked.seconds:
            break
        counts["sites"] += 1
        word, problem = ("", "") if asked.unloaded else loaded(drawn)
        counts[word] += bool(word)
        if not problem:
            word, problem = proved(drawn)
            counts[word] += bool(word)
        if problem:
            print(f"{drawn.name}: {problem}", flush=True)
    print(", ".join(f"{word} {count:,}" for word, count in counts.items()))
    return 1 if counts["refused"] or counts["not proved"] else 0


def loaded(drawn: RandomSite) -> tuple[str, str]:
    """How the kernel takes it, and what is wrong."""
    try:
        apply.check(drawn.compiled.text.text, drawn.compiled.text.origin)
    except SiteError as error:
        message = error.diagnostics[0].message
        return (
            ("lacking in this kernel", "")
            if any(word in message for word in LACKING)
            else ("refused", message)
        )
    return "loaded", ""


def proved(drawn: RandomSite) -> tuple[str, str]:
    """The same of the proof."""
    try:
        found = proof.prove(drawn.compiled, MOST_BOXES)
    except proof.TooManyBoxes:
        return "too many boxes", ""
    if found.holds:
        return "proved", ""
    words = {
        "packets": len(found.different),
        "leaks": len(found.leaks),
        "sharing": len(found.sharing.found),
        "appending": len(found.moved),
    }
    return "not proved", ", ".join(f"{word} {count}" for word, count in words.items() if count)


if __name__ == "__main__":
    sys.exit(main())
