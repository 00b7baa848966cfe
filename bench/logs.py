"""`nfcompile log` beside others: CPU of a record against ulogd2, a burst into PostgreSQL and Parquet, and
IPFIX into nfcapd and nfacctd.

In namespaces of its own (`make logs`); what is not installed is said and left out. Connections are made from
one subscriber's sockets, and all end at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import database
import measure
import ulogd

NFCOMPILE = measure.nfcompile()
BURST = 30_000
"""Connections of the burst that goes into a database."""
HZ = os.sysconf("SC_CLK_TCK")
SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 32768}
acls: {homes: {10: allow ip 10.0.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 70
    allocation: dynamic
    global_ip: [203.0.113.0/29]
    port_range: 1024-65535
    hairpin: off
    limits_peruser: {portlimit_tcp: 32768, portlimit_udp: 32768, portlimit_icmp: 1024}
"""
SENDER = """
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
import struct
n = int(sys.argv[1])
src, dst = socket.inet_aton("10.0.0.2"), socket.inet_aton("198.18.0.1")
for port in range(1024, 1024 + n):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 29, 0, 0, 64, 17, 0, src, dst)
    link.sendto(head + struct.pack(">HHHHB", port, 443, 9, 0, 0)[:9], ("198.18.0.1", 0))
"""
PRIMITIVES = """name=port_start field_type=361 len=2 semantics=u_int
name=port_end field_type=362 len=2 semantics=u_int
"""
NFACCTD = """nfacctd_port: 4740
nfacctd_ip: 127.0.0.1
nfacctd_pipe_size: 8388608
plugins: print
print_output: json
print_output_file: {out}
print_output_file_append: true
print_refresh_time: 2
print_cache_entries: 100003
aggregate_primitives: {primitives}
aggregate: src_host, src_port, proto, post_nat_src_host, post_nat_src_port, nat_event, port_start, port_end
"""


def run(*words: str, **options: object) -> str:
    """Run a command that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return str(done.stdout)


def build(folder: Path) -> None:
    """A gateway here, a subscriber in another namespace, and a server that never answers."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "netns", "add", "home")
    run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", "home")
    run("ip", "netns", "add", "far")
    run("ip", "link", "add", "wan0", "type", "veth", "peer", "name", "eth0", "netns", "far")
    run("ip", "-n", "far", "link", "set", "eth0", "up")
    for line in (
        "address add 10.0.0.1/24 dev lan0",
        "link set lan0 up",
        "address add 198.18.0.9/24 dev wan0",
    ):
        run("ip", *line.split())
    run("ip", "link", "set", "wan0", "up")
    run("ip", "neighbour", "add", "198.18.0.1", "lladdr", "02:00:00:00:00:01", "dev", "wan0")
    for line in ("address add 10.0.0.2/24 dev eth0", "link set eth0 up", "route add default via 10.0.0.1"):
        run("ip", "-n", "home", *line.split())
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    (folder / "site.yaml").write_text(SITE)
    (folder / "sender.py").write_text(SENDER)
    apply = [*NFCOMPILE, "apply", str(folder / "site.yaml"), "-q", "-y", "--state-dir", str(folder / "state")]
    run(*apply)


def connections(folder: Path, count: int) -> None:
    """Make connections, and let all of them end."""
    run("ip", "netns", "exec", "home", sys.executable, str(folder / "sender.py"), str(count))
    subprocess.run(["conntrack", "-F"], capture_output=True, check=True)


def cpu(pid: int) -> float:
    """Seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HZ


@contextmanager
def process(words: list[str], ready: Callable[[], object]) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon from when it is ready until it is told to end."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=quiet, stderr=quiet, start_new_session=True) as started:
        try:
            wait(ready, words[0])
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                started.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)  # nfacctd's children outlive it


def wait(ready: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 60
    while not ready():
        if time.monotonic() > until:
            raise SystemExit(f"{what}: nothing came of it within 60 s")
        time.sleep(0.05)


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def listens() -> bool:
    """Whether a program hears the end of connections."""
    sockets = [one.split() for one in Path("/proc/net/netlink").read_text().splitlines()[1:]]
    return any(one[1] == "12" and int(one[3], 16) & 4 for one in sockets)


def measured(name: str, words: list[str], folder: Path, file: Path, count: int) -> None:
    """CPU of the records of so many connections."""
    with process(words, listens) as daemon:
        time.sleep(1)
        before, begun = cpu(daemon.pid), lines(file)
        connections(folder, count)
        wait(lambda: lines(file) >= begun + count or _settled(file), name)
        spent, found = cpu(daemon.pid) - before, lines(file) - begun
    print(f"{name:<34}{found:>8} of {count} records{spent / max(found, 1) * 1e6:>8.1f} us each", flush=True)


def _settled(file: Path) -> bool:
    before = lines(file)
    time.sleep(3)
    return before > 0 and lines(file) == before


def log(folder: Path, to: str) -> list[str]:
    """The command line of `nfcompile log`."""
    state = str(folder / "state")
    words = [*NFCOMPILE, "log", str(folder / "site.yaml"), "--to", to, "--state-dir", state, "-q"]
    return words if not to.startswith("json:") else [*words, "--only", "connections"]


def ulogd_postgresql(folder: Path, count: int, buffers: bool) -> None:
    """The same burst by ulogd2 into its own tables, with the kernel's buffers or with large ones."""
    with database.server() as url:
        if url is None or not ulogd.tables(url):
            print("ulogd2-pgsql or PostgreSQL is not installed: left out")
            return
        words = ulogd.into_postgresql(folder, url, buffers)
        assert words is not None, "its tables are there, so it is installed"
        with process(words, listens) as daemon:
            time.sleep(1)
            before, begin = cpu(daemon.pid), time.monotonic()
            connections(folder, count)
            made = time.monotonic() - begin
            found = ulogd.settled(url, count, 60)
            spent, took = cpu(daemon.pid) - before, time.monotonic() - begin
    name = f"ulogd2, PostgreSQL{', large buffers' if buffers else ''}"
    print(f"{name:<34}{found:>8} of {count} records{spent / max(1, found) * 1e6:>8.1f} us each", end="")
    print(f"; made in {made:.1f} s, looked at after {took:.1f} s", flush=True)


def postgresql(folder: Path, count: int) -> None:
    """Connections of one burst in PostgreSQL, with its own settings (fsync)."""
    with database.server() as url:
        if url is None:
            print("PostgreSQL is not installed: left out")
            return
        import psycopg

        def rows() -> int:
            try:
                with psycopg.connect(url) as connection:
                    found = connection.execute(
                        "SELECT count(*) FROM nfcompile_connections WHERE remote_port = 443"
                    ).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
            return int(found[0]) if found else 0

        with process([*log(folder, url), "--only", "connections"], listens) as daemon:
            time.sleep(1)
            before, begin = cpu(daemon.pid), time.monotonic()
            connections(folder, count)
            made = time.monotonic() - begin
            wait(lambda: rows() >= count, "PostgreSQL")
            spent, took = cpu(daemon.pid) - before, time.monotonic() - begin
        found = rows()
    name = "nfcompile log, PostgreSQL"
    print(f"{name:<34}{found:>8} of {count} records{spent / found * 1e6:>8.1f} us each", end="", flush=True)
    print(f"; made in {made:.1f} s, all in the table after {took:.1f} s", flush=True)


def parquet(folder: Path, count: int) -> None:
    """Connections of one burst in a Parquet file."""
    try:
        from pyarrow.parquet import read_table
    except ImportError:
        print("pyarrow is not installed: left out")
        return
    target = folder / "parquet"
    words = [*log(folder, f"parquet:{target}"), "--only", "connections"]
    with process(words, listens) as daemon:
        time.sleep(1)
        before = cpu(daemon.pid)
        connections(folder, count)
        wait(lambda: sum(one.stat().st_size for one in target.iterdir()) > count * 60, "parquet")
        time.sleep(2)
        daemon.send_signal(signal.SIGHUP)
        connections(folder, 1)
        wait(lambda: [*target.glob("*.parquet")], "parquet")
        spent = cpu(daemon.pid) - before
    events = [
        one for file in target.glob("*.parquet") for one in read_table(file).column("event").to_pylist()
    ]
    found = events.count("connection_ended") - 1
    name = "nfcompile log, Parquet"
    print(f"{name:<34}{found:>8} of {count} records{spent / found * 1e6:>8.1f} us each", flush=True)


def nfcapd(folder: Path) -> None:
    """Records in nfdump's files."""
    if shutil.which("nfcapd") is None:
        print("nfcapd (nfdump) is not installed: left out")
        return
    store = folder / "nfcapd"
    store.mkdir()
    words = ["nfcapd", "-w", str(store), "-b", "127.0.0.1", "-p", "4739", "-t", "60"]
    with (
        process(words, lambda: _bound("udp", 4739)),
        process(log(folder, "ipfix+udp://127.0.0.1:4739"), listens),
    ):
        connections(folder, 500)
        time.sleep(2)
    said = run("nfdump", "-R", str(store), "-o", "fmt:%nevt %sa %sp %nsa %nsp %da %dp", "-q")
    ends = [one.split() for one in said.splitlines() if "203.0.113" in one]
    example = " ".join(ends[-1]) if ends else "-"
    print(f"nfcapd (UDP): {len(ends)} records with a global address, such as {example}")


def nfacctd(folder: Path) -> None:
    """Records in pmacct's JSON."""
    program = shutil.which("nfacctd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        print("nfacctd (pmacct) is not installed: left out")
        return
    primitives, conf, out = folder / "primitives", folder / "nfacctd.conf", folder / "nfacctd.json"
    primitives.write_text(PRIMITIVES)
    conf.write_text(NFACCTD.format(out=out, primitives=primitives))
    words = [program, "-f", str(conf)]
    with (
        process(words, lambda: _bound("udp", 4740)),
        process(log(folder, "ipfix+udp://127.0.0.1:4740"), listens),
    ):
        connections(folder, 500)
        wait(lambda: lines(out) >= 500, "nfacctd")
    found = [json.loads(one) for one in out.read_text().splitlines()] if out.exists() else []
    ends = [one for one in found if one.get("nat_event") == 5]
    blocks = [one for one in found if one.get("nat_event") == 16]
    print(f"nfacctd (UDP): {len(ends)} ends, {len(blocks)} blocks; a block: {json.dumps(blocks[:1])}")


def _bound(kind: str, port: int) -> bool:
    return f":{port:04X} " in Path(f"/proc/net/{kind}").read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=20_000)
    count = parser.parse_args().connections
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        if words := ulogd.into_json(folder, folder / "ulogd.json"):
            measured("ulogd2, JSON", words, folder, folder / "ulogd.json", count)
        else:
            print("ulogd2 is not installed: left out")
        file = folder / "log.jsonl"
        measured("nfcompile log, JSON", log(folder, f"json:{file}"), folder, file, count)
        postgresql(folder, BURST)
        for buffers in (False, True):
            ulogd_postgresql(folder, BURST, buffers)
        parquet(folder, count)
        nfcapd(folder)
        nfacctd(folder)


if __name__ == "__main__":
    main()
