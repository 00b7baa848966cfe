"""What every verb runs in: how failures that are nobody's bug become a line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

OK = 0
REFUSED = 1
USAGE = 2
DIFFERS = 3
BROKEN_PIPE = 141
INTERRUPTED = 130


class UsageProblem(Exception):
    """The command line cannot be followed (a missing file, a senseless value): exit status 2."""


def guarded(verb: Callable[[], int]) -> int:
    """Run a verb and give its exit status; only errors of the program show a traceback."""
    from nfcompile.kernel import KernelError

    try:
        status = verb()
        sys.stdout.flush()
        return status
    except UsageProblem as problem:
        return _say(str(problem), USAGE)
    except KernelError as problem:
        return _say(str(problem), REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; point stdout elsewhere, or the interpreter complains when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _say(problem: str, status: int) -> int:
    print(f"nfcompile: error: {problem}", file=sys.stderr)
    return status
