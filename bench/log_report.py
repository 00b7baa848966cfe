"""A legal request to a log of 30 days and a million subscribers, in PostgreSQL and in Parquet files.

Made at once, not logged: each subscriber has had EACH blocks, for two days each (`make logs LOGS=report`).
Every answer is compared with what was put there. Seconds are of the whole command, beside a trivial query's;
CPU is that of the command alone, not of the server.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import measure
from database import server

from nfcompile.allocation.numbering import FIRST_NUMBER
from nfcompile.log import database, parquet_files
from nfcompile.log.records import time_text
from nfcompile.model.ranges import address_text
from nfcompile.records import history, store

NFCOMPILE = measure.nfcompile()
SUBSCRIBERS, ADDRESSES, BLOCKS_EACH, SIZE = 1_000_000, 16384, 63, 1024
BLOCKS = ADDRESSES * BLOCKS_EACH
HOME, GLOBAL, SHIFT = 0x64400000, 0xC6120000, 18
DAYS, HELD = 30, 2
DAY = 86_400_000_000
SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 1024}
acls: {homes: {10: allow ip 100.64.0.0/12}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 70
    allocation: dynamic
    global_ip: [198.18.0.0/18]
    port_range: 1024-65535
    hairpin: off
    limits_peruser: {portlimit_tcp: 1024, portlimit_udp: 1024, portlimit_icmp: 1024}
"""
TRIVIAL = "import psycopg, sys; print(psycopg.connect(sys.argv[1]).execute('SELECT 1').fetchone())"


class Log(NamedTuple):
    """`number` assignments a day, the n-th of all to subscriber n and with block n, both in turn; the first
    at `begin` (microseconds)."""

    number: int
    begin: int

    def question(self, n: int, rng: random.Random) -> tuple[str, str, str]:
        """Address, port and time of a moment of the n-th assignment, and its subscriber."""
        block = n % BLOCKS
        port = 1024 + block // ADDRESSES * SIZE + rng.randrange(SIZE)
        at = self.begin + n * DAY // self.number + rng.randrange(HELD * DAY)
        words = f"{address_text(GLOBAL + block % ADDRESSES)}:{port}"
        return words, time_text(at), address_text(HOME + n % SUBSCRIBERS)


def filled(url: str, log: Log) -> None:
    """The tables of `nfcompile log`, with what it would have written; indexes last, which is faster."""
    table = database.BLOCKS
    with database.connected(url) as connection:
        do: Callable[[Any], object] = connection.execute
        database.prepare(connection)
        for number in range(1, len(table.indexes) + 1):
            do(f"DROP INDEX {table.name}_by_{number}")
        first = datetime.fromtimestamp(log.begin / 1e6, UTC).date()
        database.add_days(connection, table, (first + timedelta(n) for n in range(DAYS + HELD + 1)))
        for event, later in (("block_assigned", 0), ("block_released", HELD * DAY)):
            do(
                f"INSERT INTO {table.name} SELECT "
                f"'epoch'::timestamptz + "
                f"({log.begin} + n * {DAY} / {log.number} + {later}) * interval '1us', "
                f"'{event}', 'gw1', 'homes', 70, '0.0.0.0'::inet + ({HOME} + n % {SUBSCRIBERS}), "
                f"'0.0.0.0'::inet + ({GLOBAL} + n % {BLOCKS} % {ADDRESSES}), "
                f"1024 + n % {BLOCKS} / {ADDRESSES} * {SIZE}, "
                f"1023 + (n % {BLOCKS} / {ADDRESSES} + 1) * {SIZE}, "
                f"{FIRST_NUMBER} + ((n % {BLOCKS} / {ADDRESSES}) << {SHIFT}) + n % {BLOCKS} % {ADDRESSES} "
                f"FROM generate_series(0::bigint, {log.number * DAYS - 1}) n"
            )
        for number, index in enumerate(table.indexes, 1):
            do(f"CREATE INDEX {table.name}_by_{number} ON {table.name} ({index})")
        do("ANALYZE")


def files(folder: Path, log: Log) -> None:
    """The same as a Parquet file for each hour."""
    import pyarrow
    from pyarrow import compute

    def times(column: Any, number: int) -> Any:
        return compute.multiply(column, number)

    def rest(column: Any, number: int) -> Any:
        return compute.subtract(column, times(compute.divide(column, number), number))

    each = log.number // 24
    for hour in range((DAYS + HELD) * 24):
        parts = []
        for event, shift in (("block_assigned", 0), ("block_released", HELD * 24)):
            begin = (hour - shift) * each
            if not 0 <= begin < log.number * DAYS:
                continue
            n = pyarrow.array(range(begin, begin + each), pyarrow.int64())
            block = rest(n, BLOCKS)
            of_address, address = compute.divide(block, ADDRESSES), rest(block, ADDRESSES)
            late = shift * DAY // 24
            at = compute.add(compute.divide(times(n, DAY), log.number), log.begin + late)
            first = compute.add(times(of_address, SIZE), 1024)
            number = compute.add(compute.add(times(of_address, 1 << SHIFT), address), FIRST_NUMBER)
            known = {
                "time": at.cast(pyarrow.timestamp("us", "UTC")),
                "event": pyarrow.array([event] * each),
                "gateway": pyarrow.array(["gw1"] * each),
                "pool": pyarrow.array(["homes"] * each),
                "priority": pyarrow.array([70] * each, pyarrow.int32()),
                "subscriber": compute.add(rest(n, SUBSCRIBERS), HOME).cast("uint32"),
                "global_ip": compute.add(address, GLOBAL).cast("uint32"),
                "port_first": first.cast("int32"),
                "port_last": compute.add(first, SIZE - 1).cast("int32"),
                "number": number,
            }
            schema = parquet_files.schema(True)
            columns = [known.get(one.name, pyarrow.nulls(each, one.type)) for one in schema]
            parts.append(pyarrow.table(columns, schema=schema))
        if parts:
            parquet_files.write(pyarrow.concat_tables(parts), str(folder / f"nfcompile-{hour:05}.parquet"))


def kept(folder: Path, log: Log) -> None:
    """A history in which the site was live all the time."""
    path = str(folder)
    with store.locked(path):
        digest = store.keep(path, SITE.encode())
    at = time_text(log.begin - DAY)
    event = history.Event(1, at, "applied", digest, "site.yaml", "ann", 0, "gw1", "0.1", "b1/1", 1.0)
    store.append(path, event)


class Spent(NamedTuple):
    """Seconds of the clock, and of the CPU."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s of CPU)"


def seconds(words: list[str]) -> tuple[Spent, str]:
    """How long a command takes, and what it prints."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begin
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall, cpu), done.stdout


def asked(log: Log, state: Path, source: list[str], count: int) -> Iterator[Spent]:
    """The seconds of each of so many reports; SystemExit where an answer is not what was put there."""
    rng = random.Random(7)
    for _ in range(count):
        words, at, subscriber = log.question(rng.randrange(log.number * DAYS), rng)
        line = [*NFCOMPILE, "lookup", words, "--at", at, *source, "--state-dir", str(state)]
        spent, said = seconds([*line, "--report", "--format", "json"])
        (answer,) = json.loads(said)["answers"]
        if answer["subscriber"] != subscriber or answer["log"]["event"] != "block_assigned":
            raise SystemExit(f"{words} at {at}: {answer}, not {subscriber}")
        yield spent


def bulk(log: Log, folder: Path, source: list[str], count: int) -> Spent:
    """The seconds of so many questions in one file."""
    rng = random.Random(8)
    questions = [log.question(rng.randrange(log.number * DAYS), rng) for _ in range(count)]
    lines = [f"{words.replace(':', ',')},{at}" for words, at, _ in questions]
    (folder / "questions.csv").write_text("addr,port,time\n" + "\n".join(lines) + "\n")
    line = [*NFCOMPILE, "lookup", "--bulk", str(folder / "questions.csv"), *source]
    spent, said = seconds([*line, "--state-dir", str(folder / "state")])
    if [row.split(",")[5] for row in said.splitlines()[1:]] != [one[2] for one in questions]:
        raise SystemExit("an answer of the file is not what was put there")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3, help="blocks that each subscriber has had in 30 days")
    number = SUBSCRIBERS * parser.parse_args().each // DAYS // 24 * 24
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    log = Log(number, int((midnight - timedelta(DAYS + HELD)).timestamp()) * 1_000_000)
    print(f"{2 * number * DAYS:,} records of {DAYS} days, {SUBSCRIBERS:,} subscribers")
    with tempfile.TemporaryDirectory() as name, server("fsync=off", "max_wal_size=4GB") as url:
        folder = Path(name)
        kept(folder / "state", log)
        if url is None:
            print("PostgreSQL is not installed: left out")
        else:
            begin = time.monotonic()
            filled(url, log)
            print(f"tables filled in {time.monotonic() - begin:.0f} s")
            trivial = min(seconds([sys.executable, "-c", TRIVIAL, url])[0] for _ in range(3))
            told("PostgreSQL", log, folder, ["--db", url], trivial)
        begin = time.monotonic()
        (folder / "parquet").mkdir()
        files(folder / "parquet", log)
        size = sum(one.stat().st_size for one in (folder / "parquet").iterdir())
        print(f"{(DAYS + HELD) * 24} Parquet files, {size / 1e6:.0f} MB, in {time.monotonic() - begin:.0f} s")
        told("Parquet", log, folder, ["--log", str(folder / "parquet")], trivial if url else None)


def told(name: str, log: Log, folder: Path, source: list[str], trivial: Spent | None) -> None:
    """Print the seconds of a report, and of a file of questions."""
    spent = sorted(asked(log, folder / "state", source, 5))
    print(f"{name}: a report in {spent[2]}; of 5: {spent[0].wall:.2f} to {spent[-1].wall:.2f} s", flush=True)
    if trivial:
        wall, cpu = spent[2].wall / trivial.wall, spent[2].cpu / trivial.cpu
        print(f"{name}: {wall:.1f} times a trivial query ({trivial}), {cpu:.1f} times its CPU", flush=True)
    if source[0] == "--db":
        print(f"{name}: 1,000 questions in one file: {bulk(log, folder, source, 1000)}", flush=True)


if __name__ == "__main__":
    main()
