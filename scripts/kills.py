"""Kill apply, trial, confirm, rollback and timer at random moments, and look at what they leave.

Every kill must leave the old or the new ruleset, whole, a readable history, no trial without end, no process
and no file; and the next apply must work. Prints the figures; exit status 1 unless all bad ones are 0.

    make kills KILLS=300 SEED=7
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["PYTHONPATH"] = str(ROOT)

from nfcompile.records import history, store  # noqa: E402
from support.bare_gateway import OTHER, SITE, Namespace  # noqa: E402
from support.operator import THIRD, Operator, timers  # noqa: E402

SITES = (SITE, OTHER, THIRD)
OPERATIONS = ("apply", "trial", "confirm", "rollback", "timer")
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
TRIAL_SECONDS = 1
LONG_SECONDS = 600
"""A trial that is to be confirmed."""
PATIENCE_SECONDS = 60
BAD = (
    "no table",
    "torn table",
    "unreadable history",
    "trials without end",
    "processes left",
    "files left",
    "next apply refused",
)


class Gateway(Operator):
    """A gateway that knows what the table of each site looks like when it is whole."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        super().__init__(namespace, folder)
        self.whole: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        for site in SITES:
            began = time.monotonic()
            self.applies(site)
            self.seconds["apply"] = time.monotonic() - began
            self.whole[site] = self.lines()

    def lines(self) -> list[str]:
        """The live table as sorted lines: its objects stand in the order in which they were made."""
        if not self.gateway.tables():
            return []
        listed = self.gateway.nft("-s", "list", "table", "ip", "nfcompile")
        return sorted(re.sub(r"\tset unflushed \{.*?\n\t\}\n\n?", "", listed, flags=re.S).split("\n"))

    def site(self) -> str | None:
        """The site whose table is live, whole; '' where it is torn, None where there is none."""
        lines = self.lines()
        return next((site for site, whole in self.whole.items() if whole == lines), "") if lines else None

    def settled(self) -> None:
        """Wait until nothing that was killed still works: its children hold its lock."""
        with store.locked(self.path):
            pass


class Kill(NamedTuple):
    """An operation that was killed, or had ended before: the sites that may be live then."""

    was_killed: bool
    allowed: set[str | None]


def killed(gateway: Gateway, operation: str, kind: signal.Signals, dice: random.Random) -> Kill:
    """Begin an operation and kill it at a random moment."""
    before = gateway.site()
    other = dice.choice([site for site in SITES if site != before])
    allowed = {*SITES} if operation == "rollback" else {before, other}
    if operation == "timer":
        gateway.applies(other, "--confirm", str(TRIAL_SECONDS))
        time.sleep(dice.uniform(0, TRIAL_SECONDS + 1))
        return Kill(any(_sent(process, kind) for process in timers(gateway)), allowed)
    if operation == "confirm":
        gateway.applies(other, "--confirm", str(LONG_SECONDS))
    process = _begun(gateway, operation, other)
    began = time.monotonic()
    try:
        process.wait(dice.uniform(0, 1.1 * gateway.seconds.get(operation, gateway.seconds["apply"])))
    except subprocess.TimeoutExpired:
        process.send_signal(kind)
        return Kill(process.wait() != 0, allowed)
    gateway.seconds[operation] = time.monotonic() - began
    return Kill(False, allowed)


def _begun(gateway: Gateway, operation: str, site: str) -> subprocess.Popen[str]:
    """An operation that is under way, with a site as its standard input."""
    apply = ("apply", "-", "-q")
    words = {"apply": apply, "trial": (*apply, "--confirm", str(TRIAL_SECONDS))}.get(operation, (operation,))
    process = subprocess.Popen(
        gateway.command(*words),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(site)
    process.stdin.close()
    return process


def _sent(process: int, kind: signal.Signals) -> bool:
    try:
        os.kill(process, kind)
    except ProcessLookupError:
        return False
    return True


def looked_at(gateway: Gateway, allowed: set[str | None], dice: random.Random) -> Counter[str]:
    """What is wrong after a kill; a trial has its time first, and the verb that ends it."""
    gateway.settled()
    found: Counter[str] = Counter()
    live = gateway.site()
    found["no table"] += live is None
    found["torn table"] += live is not None and live not in allowed
    log = store.read(gateway.path)
    _wait_for_timers(gateway, log)
    ran = gateway.does("history", "--format", "json")
    found["unreadable history"] += ran.returncode != 0
    events = store.read(gateway.path).events
    kernel = store.identity(gateway.gateway.path)
    trial = history.trial(events, kernel)
    found["trials without end"] += trial is not None and trial.seconds != LONG_SECONDS
    if trial is not None and trial.seconds == LONG_SECONDS:
        gateway.must("rollback", "--trial")
    found["processes left"] += not _gone(gateway)
    site = dice.choice([one for one in SITES if one != gateway.site()])
    applied = gateway.does("apply", "-", "-q", site=site)
    found["next apply refused"] += applied.returncode != 0 or gateway.site() != site
    found["files left"] += len(gateway.left_over())
    return found


def _wait_for_timers(gateway: Gateway, log: history.EventLog) -> None:
    """Until the time of a short trial is over, whether its timer lives or not."""
    last = log.events[-1] if log.events else None
    if last is not None and last.seconds == TRIAL_SECONDS and last.result in (history.TRIAL, history.LOADING):
        while store.uptime() < last.uptime + TRIAL_SECONDS + 0.2:
            time.sleep(0.1)


def _gone(gateway: Gateway) -> bool:
    """Whether the timers of trials that are over end."""
    end = time.monotonic() + PATIENCE_SECONDS
    while timers(gateway):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def main() -> int:
    """Print a line for each operation and signal, and the sums of what must be 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    wish = parser.parse_args()
    done: Counter[tuple[str, str]] = Counter()
    bad: Counter[str] = Counter(dict.fromkeys(BAD, 0))
    namespace = Namespace()
    try:
        with tempfile.TemporaryDirectory(prefix="nfcompile-kills-") as folder:
            _rounds(Gateway(namespace, Path(folder)), wish.kills, random.Random(wish.seed), done, bad)
    finally:
        namespace.end()
    _tell(wish.seed, done, bad)
    return 1 if any(bad.values()) else 0


def _rounds(
    gateway: Gateway,
    kills: int,
    dice: random.Random,
    done: Counter[tuple[str, str]],
    bad: Counter[str],
) -> None:
    while sum(done.values()) < kills:
        operation = dice.choice(OPERATIONS)
        name = dice.choices(list(SIGNALS), weights=(3, 1, 1))[0]
        kill = killed(gateway, operation, SIGNALS[name], dice)
        found = looked_at(gateway, kill.allowed, dice)
        done[operation, name] += kill.was_killed
        bad.update(found)
        for fault in +found:
            print(f"kill {sum(done.values())} ({operation}, {name}): {fault}", flush=True)


def _tell(seed: int, done: Counter[tuple[str, str]], bad: Counter[str]) -> None:
    print(f"{sum(done.values())} kills, seed {seed}")
    for (operation, name), count in sorted(done.items()):
        print(f"  {operation:<9} {name:<10} {count:>4}")
    for fault in BAD:
        print(f"{fault:<20} {bad[fault]:>4}")


if __name__ == "__main__":
    sys.exit(main())
