"""`status --watch` without a kernel; tests/kernel/test_status.py has the rest."""

import subprocess
import sys

PROGRAM = """
import os, signal
from nfcompile.cli import status
from nfcompile.cli.exit_status import guarded
from nfcompile.cli.options import Options

class Context:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def read():
    Context()

status._written = lambda found, options: "block"
options = Options()._replace(interval=0.1, format="json")
raise SystemExit(guarded(lambda: status._watch(None, read, options)))
"""


def test_an_interrupt_in_a_destructor_ends_a_watch():
    """Python drops the exception there, and libnftables' binding has one; the watch would never end."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stdout) == (130, "block")
    assert "Exception ignored" in ran.stderr
