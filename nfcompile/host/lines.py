"""A line of `host check`: one thing that the site needs, what is, what should be, what mends it."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.host.steps import Step

OK, DIFFERS, MISSING = "ok", "differs", "missing"


class HostLine(NamedTuple):
    """`mend` is a command; '' where nothing is to be mended, or no command does."""

    code: str
    state: str
    what: str
    is_: str
    should: str
    mend: str
    path: Path


class Finding(NamedTuple):
    """A line, and the steps with which `host apply` makes it ok: none where it is, or where others must."""

    line: HostLine
    steps: tuple[Step, ...] = ()


def good(code: str, what: str, is_: str, path: Path) -> Finding:
    """A thing that is as it should be."""
    return Finding(HostLine(code, OK, what, is_, is_, "", path))


def faulty(line: HostLine, *steps: Step) -> Finding:
    """A thing that is not; with steps, their commands are what mends it."""
    if steps:
        line = line._replace(mend=" && ".join(step.command for step in steps))
    return Finding(line, steps)
