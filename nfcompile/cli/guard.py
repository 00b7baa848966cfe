"""What every verb runs in: how failures that are nobody's bug become a line and an exit status."""

from __future__ import annotations

import errno
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
        _forget_stdout()
        return BROKEN_PIPE
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        _forget_stdout()
        return _say(f"cannot write: {problem.strerror}", USAGE)


def _forget_stdout() -> None:
    """Point it elsewhere, or the interpreter tries what failed once more when it ends, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(problem: str, status: int) -> int:
    print(f"nfcompile: error: {problem}", file=sys.stderr)
    return status
