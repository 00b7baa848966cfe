"""Give random sites and random command lines to every verb, in this process, and report what should not be:
a traceback, more than five seconds of its own processor time (the kernel's is said at the end), an exit
status that is none of ours, broken JSON.

    scripts/in-namespaces .venv/bin/python scripts/fuzz.py [--inputs 20000] [--seconds 60] [--seed 1]

A third of the sites are right, the others have something wrong in them. What fails is printed with its
number; the same seed and `--only NUMBER` do it again. One process for each processor (`--jobs`: more do not
wait for the kernel together), with files and a network namespace of its own, new for each slice: what one has
loaded holds up no other, and nothing gathers.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests")]

import typer.main  # noqa: E402

from nfcompile.cli import main as nfcompile  # noqa: E402
from nfcompile.kernel.netns import CLONE_NEWNET, _system  # noqa: E402
from support.command_lines import BULK, FOREIGN, command_line, torn  # noqa: E402
from support.wide_sites import wide, wrong  # noqa: E402

MOST_SECONDS = 5.0
MOST_WALL_SECONDS = 600.0
"""For what waits instead of working, on a machine with much else to do."""
STATUSES = {0, 1, 2, 3, 130, 141, None}
DAEMONS = {"pcp"}
"""Verbs that answer until SIGTERM; they get it after ENOUGH_SECONDS, and again until they end."""
ENOUGH_SECONDS = 0.2
EACH = 16
"""Command lines for the same sites."""
SLICE = 64 * EACH
"""Inputs that a process takes at a time."""


class TooLong(Exception):
    """A verb takes longer than a reader waits."""


class Asked(NamedTuple):
    """The inputs of one slice, and when (by the clock that never goes back) no more are begun."""

    seed: str
    numbers: range
    until: float


class Slice(NamedTuple):
    """What came of a slice: how often each verb ended with each exit status, what was found, and which input
    took the kernel longest (seconds, its number and verb)."""

    ran: Counter[tuple[str, str]]
    problems: list[str]
    longest: tuple[float, int, str]


def main() -> int:
    """Fuzz; exit status 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    began = time.monotonic()
    numbers = [range(first, min(first + SLICE, asked.inputs)) for first in range(0, asked.inputs, SLICE)]
    if asked.only is not None:
        numbers = [range(asked.only, asked.only + 1)]
    slices = [Asked(asked.seed, some, began + asked.seconds) for some in numbers]
    ran, found, longest = Counter[tuple[str, str]](), 0, (0.0, 0, "")
    fork = multiprocessing.get_context("fork")
    # A process for each slice: what a verb leaves behind goes with it.
    with fork.Pool(asked.jobs, _ready, maxtasksperchild=1) as pool:
        for one in pool.imap_unordered(_fuzzed, slices):
            ran += one.ran
            found += len(one.problems)
            longest = max(longest, one.longest)
            for problem in one.problems:
                print(problem, flush=True)
            seconds = time.monotonic() - began
            told = f"{ran.total():,} of {asked.inputs:,} inputs, {found} problems, {seconds:.0f} s"
            print(told, file=sys.stderr, flush=True)
    print(
        f"seed {asked.seed}: {sum(ran.values()):,} inputs, {found} problems, {time.monotonic() - began:.0f} s"
    )
    kernel, number, verb = longest
    print(f"longest in the kernel: {kernel:.1f} s, --only {number}: {verb}")
    _print_statuses(ran)
    return 1 if found else 0


def _ready() -> None:
    """A process with its namespace, the timer, and typer's commands, which cost 70 ms to make, once."""
    if problem := _system("unshare", CLONE_NEWNET):
        raise OSError(f"no network namespace: {problem}")
    for kind in (signal.SIGVTALRM, signal.SIGALRM):
        signal.signal(kind, _too_long)
    typer.main.get_command = functools.cache(typer.main.get_command)


def _fuzzed(asked: Asked) -> Slice:
    ran, problems, longest = Counter[tuple[str, str]](), [], (0.0, 0, "")
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        os.environ["NFCOMPILE_STATE_DIR"] = str(Path(name) / "state")
        for number in asked.numbers:
            if time.monotonic() > asked.until:
                break
            if number % EACH == 0 or number == asked.numbers[0]:
                _write(Random(f"{asked.seed}/{number // EACH * EACH}/sites"))
            line = command_line(Random(f"{asked.seed}/{number}"))
            before = os.times().system
            status, problem = _run(line)
            longest = max(longest, (os.times().system - before, number, line[0]))
            ran[line[0], str(status)] += 1
            if problem:
                words = " ".join(map(ascii, line))
                problems.append(f"--only {number}: nfcompile {words}\n{problem}")
        os.chdir("/")
    return Slice(ran, problems, longest)


def _write(dice: Random) -> None:
    """The files of the next inputs: a right site, a wrong one, one whose text is torn, foreign ones."""
    data = wide(dice)
    right = json.dumps(data, indent=1)
    Path("right.yaml").write_text(right)
    Path("wrong.yaml").write_text(json.dumps(wrong(dice, data), indent=1))
    Path("torn.yaml").write_text(torn(dice, right))
    for name, text in (("foreign.txt", dice.choice(FOREIGN)), ("bulk.csv", BULK)):
        Path(name).write_text(text if dice.random() < 0.4 else torn(dice, torn(dice, text)))


def _run(line: list[str]) -> tuple[object, str]:
    """Run a command line: its exit status, and what is wrong with what came of it."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=lost)  # as Python's own
        for lost in ("strict", "backslashreplace")
    )
    sys.argv = ["nfcompile", *line]
    status: object = None
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, MOST_WALL_SECONDS)
    if line[0] in DAEMONS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until the daemon handles it
        signal.signal(signal.SIGALRM, _enough)
        signal.setitimer(signal.ITIMER_REAL, ENOUGH_SECONDS, ENOUGH_SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            nfcompile()
    except SystemExit as end:
        status = end.code
    except TooLong as long:
        return "hang", str(long)
    except BaseException:
        return "traceback", traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, _too_long)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if status not in STATUSES:
        return status, f"exit status {status!r}"
    return status, _not_json(line, out) if status != 2 else ""


def _not_json(line: list[str], out: io.TextIOWrapper) -> str:
    formats = [value for name, value in pairwise(line) if name == "--format"]
    if line[0] == "import" or not formats or formats[-1] not in ("json", "sarif"):
        return ""  # import's format is that of its account; what it prints is a site
    out.flush()
    text = out.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    try:
        json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}: {text[:300]!r}"
    return ""


def _print_statuses(ran: Counter[tuple[str, str]]) -> None:
    """A line for each verb: how often it ended with which exit status."""
    for verb in sorted({verb for verb, _ in ran}):
        counts: Iterable[str] = (f"{status}: {n:,}" for (of, status), n in sorted(ran.items()) if of == verb)
        print(f"{verb:<10}{', '.join(counts)}")


def _enough(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _too_long(kind: int, _: object) -> None:
    worked = kind == signal.SIGVTALRM
    raise TooLong(
        f"more than {MOST_SECONDS:g} s of processor time" if worked else f"{MOST_WALL_SECONDS:g} s in all"
    )


if __name__ == "__main__":
    sys.exit(main())
