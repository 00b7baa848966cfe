"""Give random sites and random command lines to every verb, in this process, and report what should not be:
a traceback, more than five seconds of processor time, an exit status that is none of ours, broken JSON.

    scripts/in-namespaces .venv/bin/python scripts/fuzz.py [--inputs 20000] [--seconds 60] [--seed 1]

Half of the sites are right, half have something wrong in them. What fails is printed with its number; the
same seed and `--only NUMBER` do it again. Runs in a network namespace that vanishes with it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests")]

from nfcompile.cli import main as nfcompile  # noqa: E402
from nfcompile.cli.verbs import VERBS, Verb, VerbOption  # noqa: E402
from support.wide_sites import wide, wrong  # noqa: E402

MOST_SECONDS = 5.0
STATUSES = {0, 1, 2, 3, 130, 141, None}
LEFT_OUT = {"exporter": "never ends"}
NEVER = {"watch", "host", "bundle", "git", "live", "unit"}
"""Options that wait for ever, change this machine's files, or ask something outside."""
WORDS = (
    *("10.0.0.9", "203.0.0.7:2000", "203.0.1.1", "10.0.0.9~102", "0.0.0.0", "255.255.255.255:65535", "p0"),
    *("x", "", "\x1b[31m", "-1", "99999999999999999999", "203.0.0.7:99999", "tcp", "icmp", "lan0", "wan0"),
    *("2026-11-24", "2026-11-24T10:00:00Z", "1970", "nonsense", "list", "clear", "check", "plan", "iptables"),
)


class TooLong(Exception):
    """A verb takes longer than a reader waits."""


def main() -> int:
    """Fuzz; exit status 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _too_long)
    ran, found, began = Counter[str](), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        os.environ["NFCOMPILE_STATE_DIR"] = str(Path(name) / "state")
        for number in [asked.only] if asked.only is not None else range(asked.inputs):
            if time.monotonic() - began > asked.seconds:
                break
            dice = Random(f"{asked.seed}/{number}")
            if number % 8 == 0 or asked.only is not None:
                _write(Random(f"{asked.seed}/{number // 8 * 8}"))
            verb, line = _line(dice)
            problem = _run(line)
            ran[verb] += 1
            if problem:
                found += 1
                print(f"--only {number}: nfcompile {' '.join(map(repr, line))}\n{problem}", flush=True)
        os.chdir("/")
    print(f"seed {asked.seed}: {sum(ran.values()):,} inputs, {found} problems")
    print(", ".join(f"{verb} {count:,}" for verb, count in sorted(ran.items())))
    return 1 if found else 0


def _write(dice: Random) -> None:
    """The sites of the next inputs: a right one, a wrong one, one whose text is torn."""
    data = wide(dice)
    right = json.dumps(data, indent=1)
    Path("right.yaml").write_text(right)
    Path("wrong.yaml").write_text(json.dumps(wrong(dice, data), indent=1))
    at = dice.randrange(len(right))
    torn = (
        right[:at]
        + dice.choice(("", "\0", "\t", "}", "&a *a", "\n- ", "\x85"))
        + right[at + dice.randrange(9) :]
    )
    Path("torn.yaml").write_text(torn)


def _line(dice: Random) -> tuple[str, list[str]]:
    verb = dice.choice([verb for verb in VERBS if verb.name not in LEFT_OUT])
    words = [_word(dice, word.name) for word in verb.words if word.default is None and dice.random() < 0.9]
    if verb.words and verb.words[0].default is not None:
        words.insert(0, _word(dice, verb.words[0].name))
    options = [part for one in verb.options for part in _option(dice, verb, one)]
    return verb.name, [verb.name, *words, *options]


def _word(dice: Random, name: str) -> str:
    if name in ("site", "other", "files", "words", "asked") and dice.random() < 0.9:
        sites = ("right.yaml", "right.yaml", "wrong.yaml", "torn.yaml", "nowhere.yaml")
        return dice.choice(sites) if name in ("site", "other") or dice.random() < 0.4 else dice.choice(WORDS)
    return dice.choice(("out.yaml", *WORDS)) if name != "pool" else dice.choice(("p0", "p1", "none"))


def _option(dice: Random, verb: Verb, option: VerbOption) -> list[str]:
    if option.field == "dry_run" and verb.name == "host":
        return [option.names[0]]
    if option.field == "netns":
        return [option.names[0], "/nowhere"] if dice.random() < 0.2 else []
    if option.field in NEVER or dice.random() < 0.6:
        return []
    if option.is_flag:
        return [option.names[0]]
    if option.choices:
        return [option.names[0], dice.choice(option.choices)]
    if option.field == "most_boxes":
        return [option.names[0], "3000"]
    if option.field in ("output", "account"):
        return [option.names[0], "out.txt"]
    if option.field == "confirm":
        return []
    return [option.names[0], dice.choice(("1", "7", "right.yaml", *WORDS))]


def _run(line: list[str]) -> str:
    """Run a command line; '' or what is wrong with what came of it."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape") for _ in range(2))
    sys.argv = ["nfcompile", *line]
    status: object = None
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            nfcompile()
    except SystemExit as end:
        status = end.code
    except TooLong:
        return f"more than {MOST_SECONDS:g} s of processor time"
    except BaseException:
        return traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if status not in STATUSES:
        return f"exit status {status!r}"
    return _not_json(line, out) if status != 2 else ""


def _not_json(line: list[str], out: io.TextIOWrapper) -> str:
    if "--format" not in line or line[line.index("--format") + 1] not in ("json", "sarif"):
        return ""
    out.flush()
    text = out.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    try:
        json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}: {text[:300]!r}"
    return ""


def _too_long(*_: object) -> None:
    raise TooLong


if __name__ == "__main__":
    sys.exit(main())
