"""Files that the command line names: the site to read, and what a verb writes."""

from __future__ import annotations

import os
import stat
import sys
from typing import BinaryIO

from nfcompile import durable
from nfcompile.cli.exit_status import UsageProblem

STDIN = "-"
SITE_MOST = 32 << 20
"""Bytes: a million static entries, a line each, fit in."""


def read(site: str) -> bytes:
    """The bytes of SITE; '-' is standard input."""
    if site == STDIN:
        if sys.stdin is None:
            raise UsageProblem("cannot read standard input: it is closed")
        return _bounded(sys.stdin.buffer, site)
    try:
        with open(site, "rb") as file:
            return _bounded(file, site)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(f"cannot read '{site}': {reason}") from None


def _bounded(file: BinaryIO, site: str) -> bytes:
    """Read no more than a site can have: a device may never end."""
    data = file.read(SITE_MOST + 1)
    if len(data) > SITE_MOST:
        raise UsageProblem(f"cannot read '{site}': it has more than {SITE_MOST >> 20} MiB")
    return data


def shown(name: str) -> str:
    """The name of a file as diagnostics and the history have it; bytes that are not UTF-8 are spelled out."""
    return "<stdin>" if name == STDIN else name.encode(errors="backslashreplace").decode()


def printable(name: str) -> str:
    """The same for a line of text: control characters are spelled out, too."""
    from nfcompile.report import visible

    return visible(shown(name))


def write(name: str, text: str) -> None:
    """Write a file whole or not at all: what stood there stays until its successor is complete."""
    try:
        _write(name, text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(f"cannot write '{name}': {reason}") from None


def _write(name: str, data: bytes) -> None:
    target = os.path.realpath(name)
    mode = _mode(target)
    if not stat.S_ISREG(mode):
        with open(target, "wb") as device:
            device.write(data)
        return
    durable.replace(target, data, stat.S_IMODE(mode))


def _mode(target: str) -> int:
    """The type and permissions of the file, or those that a new one gets."""
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return stat.S_IFREG | (0o666 & ~mask)
