"""A process that outlives the one that starts it: terminal, ssh connection and process group may go.

Where systemd runs it is a transient service (logind may kill what a session leaves behind), otherwise a
child with a session of its own. It reports through a pipe that it is ready. The pipe of a child has no name;
a service gets one in the file system, in a folder that whichever process is left takes away.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

from nfcompile.kernel import KernelError

READY = "ready"
READY_SECONDS = 60
STEPS = 20
"""Checks a second whether the process is still alive."""
FOLDER = ".ready-"


def start(command: Sequence[str], folder: str) -> None:
    """Run the command, with the path of a pipe as its last word, until it writes 'ready' there.

    Raises KernelError with anything else that it writes.
    """
    try:
        answer = _from_service(command, folder) if _is_systemd_ours() else None
        if answer is None:
            answer = _from_child(command)
    except OSError as error:
        raise KernelError(f"cannot start the timer of a trial: {error.strerror}") from None
    if answer != READY:
        raise KernelError(answer or "the timer of the trial does not start")


def tell(pipe: str, line: str) -> bool:
    """In the process that was started: report that it is ready, or what is in its way.

    False where the process that started it is gone: nothing reads the pipe any more.
    """
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)
    except OSError:
        _discard(os.path.dirname(pipe))
        return False
    return True


def sweep(folder: str) -> None:
    """Take away what a start that was killed has left; only for the holder of the lock on the folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        _discard(os.path.join(folder, name))


def _discard(folder: str) -> None:
    if os.path.basename(folder).startswith(FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


def _from_child(command: Sequence[str]) -> str:
    """Start a child with a session of its own; its first line."""
    reading, writing = os.pipe()
    try:
        try:
            child = subprocess.Popen(
                [*command, f"/proc/self/fd/{writing}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                pass_fds=(writing,),
            )
        finally:
            os.close(writing)
        return _first_line(reading, child)
    finally:
        os.close(reading)


def _from_service(command: Sequence[str], folder: str) -> str | None:
    """Start a transient service; its first line, None where systemd starts none."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=FOLDER, ignore_cleanup_errors=True) as private:
        pipe = os.path.join(private, "pipe")
        os.mkfifo(pipe, 0o600)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            unit = ["systemd-run", "--quiet", "--collect", "--description=nfcompile trial", "--"]
            ran = subprocess.run([*unit, *command, pipe], capture_output=True, check=False)
            return _first_line(reading, None) if ran.returncode == 0 else None
        finally:
            os.close(reading)


def _is_systemd_ours() -> bool:
    """Whether systemd runs, and in our own network namespace: a service is born in that of systemd."""
    try:
        init = os.stat("/proc/1/ns/net")
    except OSError:
        return False
    return os.path.isdir("/run/systemd/system") and os.path.samestat(init, os.stat("/proc/self/ns/net"))


def _first_line(reading: int, child: subprocess.Popen[bytes] | None) -> str:
    """What is written up to the first newline; '' where nothing comes in time, or the child ends."""
    written = b""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    for _ in range(READY_SECONDS * STEPS):
        if poll.poll(1000 // STEPS):
            part = os.read(reading, 4096)
            written += part
            if not part or written.endswith(b"\n"):
                break
        elif child is not None and child.poll() is not None:
            break
    return written.decode().strip()
