"""Verbs with a terminal on stderr: what it got, and Ctrl-C at a moment that the test chooses."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

AT_ONCE = """
class AtOnce(progress._Line):
    def __init__(self, *words):
        super().__init__(*words)
        self._timer.cancel()
        self._appear()
progress._Line = AtOnce
"""
VERB = f"from nfcompile.cli import main, progress\n{AT_ONCE}\nmain()"
"""The command with lines that appear at once, however fast the machine is."""
SHOW, HIDE = b"\x1b[?25h", b"\x1b[?25l"
"""What rich writes to show the cursor, and to hide it."""


def verb_on_terminal(
    *arguments: object,
    interrupt: bytes = b"",
    program: str = VERB,
    before: tuple[str, ...] = (),
    stdout: int = subprocess.DEVNULL,
) -> tuple[bytes, int]:
    """What a terminal on stderr got, and the exit status; `interrupt`: SIGINT when these words are there.

    `before` are words before the command; `stdout` is where the answer goes.
    """
    command = [*before, sys.executable, "-c", program, *map(str, arguments)]
    return on_terminal(command, interrupt, stdin=subprocess.DEVNULL, stdout=stdout)


def on_terminal(
    command: list[str],
    interrupt: bytes = b"",
    stdin: int | None = None,
    stdout: int | None = None,
    kind: str = "xterm",
) -> tuple[bytes, int]:
    """The same of any command; with `stdout` None the terminal gets its answer too. `kind` is the TERM."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=end if stdout is None else stdout,
        stderr=end,
        env=os.environ | {"TERM": kind},
    )
    os.close(end)
    got = b""
    while True:
        try:
            got += os.read(terminal, 1024)
        except OSError:
            break
        if interrupt and interrupt in got:
            process.send_signal(signal.SIGINT)
            interrupt = b""
    os.close(terminal)
    return got, process.wait()
