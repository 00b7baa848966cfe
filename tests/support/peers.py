"""Third-party programs on both sides of the gateway, and the two hosts that they run on."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.lab import Lab, cannot
from support.waiting import PATIENCE, until
from support.wires import INSIDE, OUTSIDE, WIRE, host_lines

HOME, SERVER, SERVER2 = "100.64.0.5", "198.18.0.1", "198.18.0.2"


def need(*tools: str) -> None:
    """Skip without a peer; in CI its absence is a failure."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        cannot(f"not installed: {', '.join(missing)}")


@contextmanager
def hosts(lab: Lab) -> Iterator[None]:
    """The kernels of both sides are a subscriber and a server with two addresses."""
    with ExitStack() as stack:
        for side, address, wire in ((INSIDE, HOME, "lan0"), (OUTSIDE, SERVER, "wan0")):
            lines = [*host_lines(address, WIRE[wire]), "link set lo up"]
            lab.must("ip", "-batch", "-", stdin="\n".join(lines), side=side)
            stack.callback(lab.must, "ip", "address", "flush", "dev", "lo", side=side)
        lab.must("ip", "address", "replace", f"{SERVER2}/32", "dev", "lo", side=OUTSIDE)
        yield


@contextmanager
def running(lab: Lab, side: str, command: str, listening: str, folder: Path) -> Iterator[Path]:
    """A server in the background, once `ss` shows it listening; the path of its log."""
    log, pid = folder / "log", folder / "pid"
    lab.must("sh", "-c", f"{command} >{log} 2>&1 & echo $! >{pid}", side=side)
    try:
        until(
            lambda: listening in lab.must("ss", "-Hlntu", side=side),
            lambda: f"{command} does not listen: {log.read_text()}",
        )
        yield log
    finally:
        lab.run("sh", "-c", f"kill $(cat {pid})", side=side)


@contextmanager
def called(lab: Lab, port: int) -> Iterator[tuple[socket.socket, socket.socket, tuple[str, int]]]:
    """A TCP connection from the subscriber to a server's port: both ends, and what the server sees."""
    with hosts(lab), lab.socket(OUTSIDE, socket.SOCK_STREAM, (SERVER, port)) as server:
        server.listen()
        with lab.socket(INSIDE, socket.SOCK_STREAM, (HOME, 0)) as near:
            near.connect((SERVER, port))
            far, seen = server.accept()
            with far:
                far.settimeout(PATIENCE)
                yield near, far, seen
