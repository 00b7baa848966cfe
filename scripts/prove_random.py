"""Load and prove random sites that the compiler accepts: `nft -c -f` in a scratch namespace, then `prove`.

    .venv/bin/python scripts/prove_random.py [--sites 3000] [--seconds 600] [--seed 1]

Prints each site that the kernel refuses, that is not proved, or has too many boxes for it, by the number and
seed that make it again. What this kernel lacks (flowtables, a helper) is counted apart. One process for each
processor.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests")]

from nfcompile.diagnostics import SiteError  # noqa: E402
from nfcompile.kernel import apply  # noqa: E402
from nfcompile.verify import proof  # noqa: E402
from support.random_sites import RandomSite, accepted  # noqa: E402
from support.wide_sites import few  # noqa: E402

LACKING = ("No such file or directory", "the running kernel has no")
TOLD_EVERY = 50


class TimeOver(Exception):
    """No more sites are waited for; what there is of figures is said."""


def main() -> int:
    """Prove; exit status 1 where a site is refused or not proved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--unloaded", action="store_true", help="prove only")
    asked = parser.parse_args()
    counts, began = Counter[str](), time.monotonic()
    judge = functools.partial(judged, asked.seed, loads=not asked.unloaded)
    signal.signal(signal.SIGALRM, _over)
    signal.alarm(max(1, int(asked.seconds)))
    with contextlib.suppress(TimeOver), multiprocessing.get_context("fork").Pool(asked.jobs, _ready) as pool:
        for words, problem in pool.imap_unordered(judge, itertools.count()):
            counts.update(words)
            if problem:
                print(problem, flush=True)
            seconds = time.monotonic() - began
            if words and counts["sites"] % TOLD_EVERY == 0:
                print(f"{_told(counts)}, {seconds:.0f} s", file=sys.stderr, flush=True)
            if counts["sites"] >= asked.sites:
                break
    print(f"seed {asked.seed}: {_told(counts)}, {time.monotonic() - began:.0f} s")
    return 1 if counts["refused"] or counts["not proved"] else 0


def _ready() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _over(*_: object) -> None:
    raise TimeOver


def judged(seed: str, number: int, *, loads: bool) -> tuple[tuple[str, ...], str]:
    """What to count of a site, nothing where the compiler does not accept it, and what is to be printed."""
    name = f"{number}/{seed}"
    data = few(Random(name))
    compiled = accepted(data)
    if compiled is None:
        return (), ""
    drawn = RandomSite(name, data, compiled)
    word, problem = loaded(drawn) if loads else ("", "")
    words = [word] if word else []
    if not problem:
        word, problem = proved(drawn)
        words.append(word)
    return ("sites", *words), f"{name}: {problem}" if problem else ""


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in counts.items())


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
        found = proof.prove(drawn.compiled)
    except proof.TooManyBoxes:
        return "too many boxes", "too many boxes"
    if found.holds:
        return "proved", ""
    words = {
        "packets": len(found.different),
        "leaks": len(found.leaks),
        "sharing": len(found.sharing.found),
        "appending": len(found.moved),
        "prefixes": len(found.prefixes),
        "later": len(found.later),
    }
    return "not proved", ", ".join(f"{word} {count}" for word, count in words.items() if count)


if __name__ == "__main__":
    sys.exit(main())
