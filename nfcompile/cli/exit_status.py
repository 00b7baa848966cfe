"""What every verb runs in: a failure that is no bug of the program becomes a line and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

OK = 0
REFUSED = 1
USAGE = 2
DIFFERS = 3
BROKEN_PIPE = 141
INTERRUPTED = 130


class UsageProblem(Exception):
    """The command line cannot be followed (a missing file, a senseless value): exit status 2."""


class SiteRefused(Exception):
    """A site has errors: exit status 1. They have been printed, or are `diagnostics`, for the JSON document;
    `text`, where there is one, is a line after them."""

    def __init__(self, site: str, diagnostics: Sequence[object], text: str = "") -> None:
        super().__init__(text)
        self.site, self.diagnostics = site, diagnostics


class AnswerCut(Exception):
    """A verb failed after a part of its answer was written: exit status 1. Its text says why."""


def guarded(verb: Callable[[], int], json: bool = False) -> int:
    """Run a verb and return its exit status; only errors of the program show a traceback.

    With `json` a failure is a JSON document on stdout as well: {"error", "diagnostics"}.
    """
    from nfcompile.kernel import KernelError

    _stand_in()
    try:
        status = verb()
        sys.stdout.flush()
        return status
    except UsageProblem as problem:
        return _failed(str(problem), USAGE, json)
    except KernelError as problem:
        return _failed(str(problem), REFUSED, json)
    except AnswerCut as problem:
        return say(str(problem), REFUSED)
    except SiteRefused as problem:
        return _site_refused(problem, json)
    except KeyboardInterrupt as interrupt:
        return say(str(interrupt), INTERRUPTED) if interrupt.args else INTERRUPTED
    except BrokenPipeError:
        _forget(STDOUT)
        return BROKEN_PIPE
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EBADF):
            raise
        _forget(STDOUT)
        return say(f"cannot write: {problem.strerror}", USAGE)


STDOUT, STDERR = 1, 2


def _failed(problem: str, status: int, json: bool) -> int:
    if json:
        _document(problem, [])
    return say(problem, status)


def _site_refused(refused: SiteRefused, json: bool) -> int:
    if json:
        _document(str(refused) or f"'{refused.site}' is refused", refused.diagnostics)
    return say(str(refused), REFUSED) if str(refused) else REFUSED


def _document(problem: str, diagnostics: Sequence[object]) -> None:
    from json import dumps

    try:
        print(dumps({"error": problem, "diagnostics": diagnostics}, indent=2), flush=True)
    except OSError:
        _forget(STDOUT)


def _stand_in() -> None:
    """Put something in the place of a closed stdout or stderr, before a file that is opened gets its number.

    Writing to stdout then fails like any write that cannot be done; what is for stderr is lost.
    """
    if sys.stdout is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), STDOUT)
        sys.stdout = os.fdopen(STDOUT, "w", closefd=False)
    if sys.stderr is None:
        _forget(STDERR)
        sys.stderr = os.fdopen(STDERR, "w", closefd=False)


def _forget(descriptor: int) -> None:
    """Point it elsewhere: the interpreter writes what is left in its buffer once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def say(problem: str, status: int) -> int:
    """Print on stderr why a verb fails, and return its exit status."""
    to_stderr(f"nfcompile: error: {problem}")
    return status


def note(text: str) -> None:
    """Print a line on stderr that changes no exit status."""
    to_stderr(f"nfcompile: note: {text}")


def to_stderr(line: str) -> None:
    """Print one line on stderr; control characters are spelled out."""
    from nfcompile.report import visible

    try:
        print(visible(line), file=sys.stderr)
    except OSError:
        _forget(STDERR)
