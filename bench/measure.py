"""How the benches measure: processes as wholes, rounds that interleave, network namespaces that vanish.

Times on a shared machine say little; ratios inside one run say much. So every bench runs its cases in
turns (round 1: all cases, round 2: all cases, ...), compares each with the base of the same round, and
shows the median of those ratios. CPU time (user + system) is steadier than wall time.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

T = TypeVar("T")

HOST_NETWORK = os.readlink("/proc/self/ns/net") if os.path.exists("/proc/self/ns/net") else ""
"""The namespace that this process was started in; no ruleset is ever loaded there."""


class Cost(NamedTuple):
    """One run of a process: seconds, and the most memory it held (MB)."""

    wall: float
    cpu: float
    rss: float


class Failed(Exception):
    """A command did not do what the bench takes for granted."""


# Processes


def nfcompile(*arguments: str) -> list[str]:
    """The command line of nfcompile as a user has it: the installed command, else the checkout's."""
    installed = Path(sys.executable).with_name("nfcompile")
    if installed.exists():
        return [str(installed), *arguments]
    return [sys.executable, "-c", "from nfcompile.cli import main; main()", *arguments]


def environment() -> dict[str, str]:
    """What measured commands see: the checkout's package, compiled once as on any user's machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def run(
    command: Sequence[str],
    output: Path | str = os.devnull,
    status: int = 0,
    limit: int = 0,
    memory: int = 1 << 20,
) -> Cost:
    """Run a command, its stdout to a file; Failed when it exits with another status, or after more than
    `limit` seconds of CPU. With a limit, `memory` MB is the most address space that it gets.

    A child starts with the memory of the process that forks it, so what is smaller than this process
    shows as the size of this process (`floor`).
    """
    program = shutil.which(command[0])
    if program is None:
        raise Failed(f"no such command: {command[0]}")
    if limit:
        limits = f'ulimit -t {limit}; ulimit -v {memory * 1024}; exec "$@"'
        program, command = "/bin/sh", ["sh", "-c", limits, "sh", *command]
    with open(output, "wb") as out, tempfile.TemporaryFile() as errors:
        streams = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(program, list(command), environment(), file_actions=streams)
        _, ended, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        if os.waitstatus_to_exitcode(ended) != status:
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()[-600:]
            code = os.waitstatus_to_exitcode(ended)
            if limit and code in (-signal.SIGXCPU, -signal.SIGKILL):
                raise Failed(f"more than {limit} s of CPU")
            if limit and "emory" in words:
                raise Failed(f"more than {memory / 1024:.0f} GB of memory")
            raise Failed(f"{' '.join(command)[:200]}: exit {code}: {words}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def said(command: Sequence[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command that is not measured."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    return done.returncode, done.stdout, done.stderr


def floor() -> float:
    """The memory of this process (MB): nothing smaller can be seen."""
    return run(["true"]).rss


def kernel_memory() -> float:
    """What the kernel of the whole machine holds (MB): slab, vmalloc and per-CPU memory; where we may know it
    (root), without the slabs that no ruleset is made of: connections, sockets, files and the like."""
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in _lines("/proc/meminfo")}
    total = found["Slab"] + found["VmallocUsed"] + found["Percpu"]
    try:
        caches = [line.split() for line in _lines("/proc/slabinfo")[2:]]
    except PermissionError:
        return total
    # name active objects size objects-a-slab pages-a-slab : ... : slabdata active slabs ...
    others = [one for one in caches if not one[0].startswith("kmalloc-cg-")]
    return total - sum(int(one[14]) * int(one[5]) for one in others) * resource.getpagesize() / (1 << 20)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


# Rounds and ratios


def interleave(cases: Mapping[str, Callable[[], T]], rounds: int, warm_up: bool = True) -> dict[str, list[T]]:
    """Every case once a round, in an order that changes from round to round."""
    results: dict[str, list[T]] = {name: [] for name in cases}
    order = list(cases)
    shuffle = random.Random(4787).shuffle
    for number in range(rounds + warm_up):
        shuffle(order)
        for name in order:
            result = cases[name]()
            if number or not warm_up:
                results[name].append(result)
    return results


class Ratio(NamedTuple):
    """Median of the ratios of each round to the base of the same round, with their quartiles."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio(values: Sequence[float], base: Sequence[float]) -> Ratio:
    """Compare two rows of rounds."""
    each = sorted(value / max(other, 1e-9) for value, other in zip(values, base, strict=True))
    return Ratio(median(each), each[len(each) // 4], each[(3 * len(each)) // 4 - (len(each) % 4 == 0)])


def middle(costs: Sequence[Cost]) -> Cost:
    """The medians of some runs."""
    return Cost(*(median(column) for column in zip(*costs, strict=True)))


def verdict(value: float, target: float, unit: str = "") -> str:
    """How a value stands to its target."""
    return f"{'ok' if value <= target else 'MISSED'}: target {target:g}{unit}"


# What is printed


def heading(title: str) -> None:
    """A section of the report."""
    print(f"\n### {title}\n", flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table that reads well as text and as markdown."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    for line in (list(columns), ["-" * width for width in widths], *lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print(flush=True)


def machine() -> str:
    """What the figures were taken on."""
    _, version, _ = said(["nft", "--version"]) if shutil.which("nft") else (1, "no nft", "")
    words = version.split()
    nft = f"nft {words[1].lstrip('v')}" if len(words) > 1 else version
    kernel = ".".join(os.uname().release.split(".")[:2])
    return f"{os.cpu_count()} cores, kernel {kernel}, {nft}, Python {sys.version.split()[0]}"


# Network namespaces


def private_network() -> None:
    """Move this process, and what it starts from now on, into a network namespace of its own.

    It vanishes with the process. Works as root, or where users may make user namespaces. Raises Failed.
    """
    error = _system("unshare", CLONE_NEWNET)
    if error:
        user, group = os.geteuid(), os.getegid()
        error = _system("unshare", CLONE_NEWUSER | CLONE_NEWNET)
        if not error:
            # Be root in there, so that the programs started from here keep their rights.
            try:
                Path("/proc/self/setgroups").write_text("deny")
                Path("/proc/self/uid_map").write_text(f"0 {user} 1")
                Path("/proc/self/gid_map").write_text(f"0 {group} 1")
            except OSError as problem:
                error = str(problem)
    if error:
        raise Failed(f"this user may make no network namespaces here ({error}); run as root")
    _quiet()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def in_private_network() -> bool:
    """Whether this process has left the namespace that it was started in."""
    return bool(HOST_NETWORK) and os.readlink("/proc/self/ns/net") != HOST_NETWORK


class Namespace:
    """A network namespace, held by a sleeping child; it dies with this process, however that ends."""

    def __init__(self) -> None:
        parent = os.getpid()
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                error = _system("unshare", CLONE_NEWNET)
                if not error:
                    _quiet()
                os.write(writing, error.encode() or b"ready")
                while os.getppid() == parent:
                    signal.pause()
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb", buffering=0) as pipe:
            answer = pipe.read(200) or b"no answer"
        if answer != b"ready":
            raise Failed(f"cannot make a network namespace: {answer.decode()}")
        self.path = f"/proc/{self.pid}/ns/net"

    def command(self, *words: str) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net={self.path}", *words]

    def do(self, *words: str) -> str:
        """Run a command inside; Failed when it fails."""
        status, out, err = said(self.command(*words))
        if status:
            raise Failed(f"{' '.join(words)[:200]}: {err.strip()[-600:]}")
        return out

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside for a while: sockets made there stay there."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if error := _system("setns", there, CLONE_NEWNET):
                raise Failed(f"cannot enter a network namespace: {error}")
            yield
        finally:
            _system("setns", here, CLONE_NEWNET)
            os.close(here)
            os.close(there)

    def close(self) -> None:
        """Let it vanish."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def set_sysctl(name: str, value: int) -> None:
    """Set a network sysctl of the namespace of this process."""
    Path("/proc/sys/net", *name.split(".")).write_text(str(value))


def get_sysctl(name: str) -> int:
    """Read a network sysctl of the namespace of this process."""
    return int(Path("/proc/sys/net", *name.split(".")).read_text())


def _quiet() -> None:
    """No packets of the kernel's own: no IPv6, no reverse path filter, no ICMP redirects."""
    for key in ("all", "default"):
        if Path("/proc/sys/net/ipv6").exists():
            set_sysctl(f"ipv6.conf.{key}.disable_ipv6", 1)
        set_sysctl(f"ipv4.conf.{key}.rp_filter", 0)
        set_sysctl(f"ipv4.conf.{key}.send_redirects", 0)


def _system(name: str, *arguments: int) -> str:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    return "" if function(*arguments) == 0 else os.strerror(ctypes.get_errno())
