"""A million questions about a past of two hundred changes, beside reading and writing the same csv."""

from __future__ import annotations

import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import measure
import sites
from measure import middle, ratio, verdict

from nfcompile.records import history, store

MILLION = 1 << 20
CHANGES = 200
QUESTIONS = 250_000
MINUTE = 60
ROUNDS = 3
COPY = """
import csv, sys
with open(sys.argv[1], newline="") as file:
    write = csv.writer(sys.stdout, lineterminator="\\n").writerow
    for row in csv.reader(file):
        write(row)
"""


def main() -> None:
    """Print a table."""
    measure.heading(f"{QUESTIONS:,} questions to {CHANGES} changes of a million subscribers: `lookup --bulk`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _past(folder)
        questions = _questions(folder)
        commands = {
            "the same csv, read and written": [sys.executable, "-c", COPY, str(questions)],
            "lookup --bulk": measure.nfcompile(
                "lookup", "--bulk", str(questions), "--state-dir", str(folder / "state")
            ),
        }
        cases = {name: partial(measure.run, one, folder / "out") for name, one in commands.items()}
        costs = measure.interleave(cases, ROUNDS)
    base, rows = costs["the same csv, read and written"], []
    for name, own in costs.items():
        cost = middle(own)
        times = ratio([c.cpu for c in own], [c.cpu for c in base])
        each = cost.cpu * 1_000_000 / QUESTIONS
        target = verdict(each, MINUTE, " s") if own is not base else ""
        rows.append(
            (name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.rss:.0f}", times, f"{each:.0f}", target)
        )
    measure.table(["command", "wall s", "CPU s", "RSS MB", "CPU ratio", "CPU s for a million", ""], rows)


def _past(folder: Path) -> None:
    """Two sites that take turns, day by day."""
    path = str(folder / "state")
    first = sites.aligned(MILLION)
    with store.locked(path):
        digests = [store.keep(path, text.encode()) for text in (first, first.replace("198.18.", "198.19."))]
    lines = [
        history.Event(
            n + 1,
            f"{_day(n)}T00:00:00.000000Z",
            "applied",
            digests[n % 2],
            "s",
            "root",
            0,
            "gw",
            "1",
            f"b{n}/1",
            1.0,
        )
        for n in range(CHANGES)
    ]
    Path(path, "history.jsonl").write_bytes(b"".join(map(history.line, lines)))


def _questions(folder: Path) -> Path:
    """Half of them are about a global address and port that somebody has."""
    draw = random.Random(7422)
    file = folder / "questions.csv"
    with file.open("w") as out:
        out.write("addr,port,proto,time\n")
        for _ in range(QUESTIONS):
            n = draw.randrange(CHANGES)
            addr = sites.text((198 << 24) + (draw.choice((18, 19)) << 16) + draw.randrange(1 << 14))
            hour, minute, second = draw.randrange(24), draw.randrange(60), draw.randrange(60)
            at = f"{_day(n)}T{hour:02}:{minute:02}:{second:02}Z"
            out.write(f"{addr},{draw.randrange(1024, 65536)},{draw.choice(('tcp', 'udp'))},{at}\n")
    return file


def _day(number: int) -> str:
    return f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}"


if __name__ == "__main__":
    main()
