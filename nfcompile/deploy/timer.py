"""A process that outlives the one that starts it: terminal, ssh connection and process group may go.

Where systemd runs it is a transient service (logind may kill what a session leaves behind), otherwise a
child with a session of its own. It reports through a pipe that it is ready.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Sequence

from nfcompile.kernel import KernelError

READY = "ready"
READY_SECONDS = 60
STEPS = 20
"""Checks a second whether the process is still alive."""


def start(command: Sequence[str], folder: str) -> None:
    """Run the command, with the path of a pipe as its last word, until it writes 'ready' there.

    Raises KernelError with anything else that it writes.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".ready-") as private:
            said = _started(command, os.path.join(private, "pipe"))
    except OSError as error:
        raise KernelError(f"cannot start the timer of a trial: {error.strerror}") from None
    if said != READY:
        raise KernelError(said or "the timer of the trial does not start")


def _started(command: Sequence[str], pipe: str) -> str:
    os.mkfifo(pipe, 0o600)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _first_line(reading, _start([*command, pipe]))
    finally:
        os.close(reading)


def tell(pipe: str, line: str) -> None:
    """In the process that was started: report that it is ready, or what is in its way."""
    with open(pipe, "w") as file:
        file.write(f"{line}\n")


def _start(command: list[str]) -> subprocess.Popen[bytes] | None:
    """The child, None where systemd has it."""
    if _is_systemd_ours():
        unit = ["systemd-run", "--quiet", "--collect", "--description=nfcompile trial", "--"]
        if subprocess.run([*unit, *command], capture_output=True, check=False).returncode == 0:
            return None
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def _is_systemd_ours() -> bool:
    """Whether systemd runs, and in our own network namespace: a service is born in that of systemd."""
    try:
        init = os.stat("/proc/1/ns/net")
    except OSError:
        return False
    return os.path.isdir("/run/systemd/system") and os.path.samestat(init, os.stat("/proc/self/ns/net"))


def _first_line(reading: int, child: subprocess.Popen[bytes] | None) -> str:
    """What is written up to the first newline; '' where nothing comes in time."""
    said = b""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    for _ in range(READY_SECONDS * STEPS):
        if poll.poll(1000 // STEPS):
            part = os.read(reading, 4096)
            said += part
            if not part or said.endswith(b"\n"):
                break
        elif child is not None and child.poll() is not None:
            break
    return said.decode().strip()
