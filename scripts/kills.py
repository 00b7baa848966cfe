"""Kill apply, trial, confirm, rollback and timer at random moments, and look at what they leave.

Every kill must leave the old or the new ruleset, whole, a readable history, no trial without end, no process
and no file; and the next apply must work. Several gateways at once, since a kill waits for trials most of its
time. Says on stderr how far it is. Prints the figures, those so far where SIGTERM, SIGINT or `--seconds` ends
it; exit status 1 unless all bad ones are 0 and the kills are as many as were asked for.

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
import threading
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
GATEWAYS = 2 * (os.cpu_count() or 1)
TOLD_EVERY = 10
"""Kills between two lines that say how far it is."""
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
        # Its own rollback takes as long as an apply, however slow the machine is.
        left = store.read(gateway.path).events[-1].uptime + TRIAL_SECONDS - store.uptime()
        time.sleep(dice.uniform(0, max(0.0, left) + gateway.seconds["apply"]))
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


class Record:
    """What all gateways have done and found so far, and whether they go on."""

    def __init__(self, kills: int, seconds: float) -> None:
        self.kills, self.done, self.bad = kills, Counter[tuple[str, str]](), Counter(dict.fromkeys(BAD, 0))
        self.broken: list[BaseException] = []
        self.was_signalled = False
        self._began, self._lock, self._stopped = time.monotonic(), threading.Lock(), threading.Event()
        self._ends = self._began + seconds

    def goes_on(self) -> bool:
        """Whether another round is wanted."""
        return self.count < self.kills and not self._stopped.is_set() and time.monotonic() < self._ends

    @property
    def count(self) -> int:
        return self.done.total()

    def break_off(self, error: BaseException) -> None:
        """The end of a round that could not be finished."""
        if not self._stopped.is_set():
            self.broken.append(error)
            self.stop()

    def stop(self) -> None:
        """Begin no more rounds."""
        self._stopped.set()

    def signalled(self, *_: object) -> None:
        """The same by a signal. To all of this group it ends what the rounds wait for, too, perhaps first:
        how they break off then says nothing."""
        self.was_signalled = True
        self.stop()

    @property
    def fault(self) -> BaseException | None:
        """Why a round could not be finished, where no signal is the reason."""
        return self.broken[0] if self.broken and not self.was_signalled else None

    def add(self, operation: str, name: str, was_killed: bool, found: Counter[str]) -> None:
        """A round: a line for each fault, and now and then one that says how far it is. A round that a signal
        to all of this group has met says nothing."""
        with self._lock:
            if self._stopped.is_set():
                return
            self.done[operation, name] += was_killed
            self.bad += found
            for fault in +found:
                print(f"kill {self.count} ({operation}, {name}): {fault}", flush=True)
            if was_killed and self.count % TOLD_EVERY == 0:
                seconds = time.monotonic() - self._began
                told = f"{self.count} of {self.kills} kills, {self.bad.total()} faults, {seconds:.0f} s"
                print(told, file=sys.stderr, flush=True)


def main() -> int:
    """Print a line for each operation and signal, and the sums of what must be 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--gateways", type=int, default=GATEWAYS)
    wish = parser.parse_args()
    record = Record(wish.kills, wish.seconds)
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, record.signalled)
    seeds = [random.Random(f"{wish.seed}/{number}") for number in range(wish.gateways)]
    threads = [threading.Thread(target=_worked, args=(record, dice)) for dice in seeds]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    _tell(wish.seed, record)
    if record.fault is not None:
        raise record.fault
    return 1 if any(record.bad.values()) or record.count < wish.kills else 0


def _worked(record: Record, dice: random.Random) -> None:
    """Rounds on a gateway of its own, until they are enough."""
    namespace = Namespace()
    try:
        with tempfile.TemporaryDirectory(prefix="nfcompile-kills-") as folder:
            gateway = Gateway(namespace, Path(folder))
            while record.goes_on():
                operation = dice.choice(OPERATIONS)
                name = dice.choices(list(SIGNALS), weights=(3, 1, 1))[0]
                kill = killed(gateway, operation, SIGNALS[name], dice)
                record.add(operation, name, kill.was_killed, looked_at(gateway, kill.allowed, dice))
    except BaseException as error:
        record.break_off(error)
    finally:
        namespace.end()


def _tell(seed: int, record: Record) -> None:
    print(f"{record.count} of {record.kills} kills, seed {seed}")
    for (operation, name), count in sorted(record.done.items()):
        print(f"  {operation:<9} {name:<10} {count:>4}")
    for fault in BAD:
        print(f"{fault:<20} {record.bad[fault]:>4}")


if __name__ == "__main__":
    sys.exit(main())
