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

    _stand_in()
    try:
        status = verb()
        sys.stdout.flush()
        return status
    except UsageProblem as problem:
        return say(str(problem), USAGE)
    except KernelError as problem:
        return say(str(problem), REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget(STDOUT)
        return BROKEN_PIPE
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EBADF):
            raise
        _forget(STDOUT)
        return say(f"cannot write: {problem.strerror}", USAGE)


STDOUT, STDERR = 1, 2


def _stand_in() -> None:
    """Put something in the place of a closed stdout or stderr, before a file that is opened gets its number.

    What is written to stdout then fails like any write that cannot be done; stderr has nobody to tell.
    """
    if sys.stdout is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), STDOUT)
        sys.stdout = os.fdopen(STDOUT, "w", closefd=False)
    if sys.stderr is None:
        _forget(STDERR)
        sys.stderr = os.fdopen(STDERR, "w", closefd=False)


def _forget(descriptor: int) -> None:
    """Point it elsewhere, or the interpreter tries what failed once more when it ends, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def say(problem: str, status: int) -> int:
    """Say on stderr why a verb fails, and give its exit status back."""
    try:
        print(f"nfcompile: error: {problem}", file=sys.stderr)
    except OSError:
        _forget(STDERR)
    return status
