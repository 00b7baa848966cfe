"""Long work shows a line on a terminal, and nothing in a pipe; it leaves the terminal as it was."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

WORK = """
import sys, time
from nfcompile.cli import progress
from nfcompile.cli.exit_status import guarded
from nfcompile.cli.options import Options

progress.DELAY_SECONDS = 0.05
def work():
    with progress.working("proving [bold]site.yaml", Options(quiet={quiet}), rows={rows}):
        time.sleep({seconds})
    return 0
sys.exit(guarded(work))
"""
SHOW, HIDE = b"\x1b[?25h", b"\x1b[?25l"


def on_terminal(seconds=1.0, quiet=False, rows=False, stdout=None, interrupt=False):
    """What a terminal on stderr (and on stdout) got, and the exit status."""
    terminal, end = pty.openpty()
    program = WORK.format(seconds=seconds, quiet=quiet, rows=rows)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=end if stdout is None else stdout, stderr=end
    )
    os.close(end)
    got = b""
    while True:
        try:
            got += os.read(terminal, 1024)
        except OSError:
            break
        if interrupt and b"proving" in got:
            process.send_signal(signal.SIGINT)
            interrupt = False
    os.close(terminal)
    return got, process.wait()


def test_a_line_appears_and_vanishes():
    got, code = on_terminal()

    assert code == 0
    assert b"proving [bold]site.yaml" in got
    assert got.count(HIDE) == got.count(SHOW) == 1
    assert got.rstrip(b"\r\n").endswith(b"\x1b[2K") or b"\x1b[2K" in got.rpartition(b"proving")[2]


def test_an_interrupt_leaves_the_cursor():
    got, code = on_terminal(seconds=60, interrupt=True)

    assert code == 130
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert b"Traceback" not in got


@pytest.mark.parametrize("options", [{"seconds": 0.0}, {"quiet": True}, {"rows": True}])
def test_short_work_quiet_and_rows_on_a_terminal_show_nothing(options):
    assert on_terminal(**{"seconds": 0.3, **options}) == (b"", 0)


def test_rows_into_a_file_show_the_line():
    got, _ = on_terminal(rows=True, stdout=subprocess.DEVNULL)

    assert b"proving" in got


def test_a_pipe_gets_nothing():
    program = WORK.format(seconds=0.5, quiet=False, rows=False)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")
    assert time.monotonic() - begun >= 0.5
