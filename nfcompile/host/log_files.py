"""The files of a bundle by which `nfcompile log` runs instead of ulogd2: its unit, and logrotate's page."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nfcompile.host.plan import LogReceiver

FOLDER = "/var/log/nfcompile"
JSON, PARQUET, DATABASE = "json:", "parquet:", "postgresql://"


class LogFiles(NamedTuple):
    """The unit and, where there are JSON lines, the page for logrotate; `secret` where the unit may have a
    password in it."""

    unit: bytes
    logrotate: bytes
    secret: bool


def made(page: Callable[..., bytes], log: LogReceiver, outputs: Sequence[str], node: str) -> LogFiles:
    """The files for these outputs, spelled as `nfcompile log --to` takes them."""
    only = "" if log.assignments and log.connections else "blocks" if log.assignments else "connections"
    files = [one.removeprefix(JSON) for one in outputs if one.startswith(JSON)]
    folders = [os.path.dirname(one) for one in files]
    folders += [one.removeprefix(PARQUET) for one in outputs if one.startswith(PARQUET)]
    outside = sorted({quoted(one) for one in folders if f"{one}/".find(f"{FOLDER}/") != 0})
    unit = page(
        "nfcompile-log-to.service",
        node=node,
        only=only,
        outputs=[quoted(one) for one in outputs],
        folders=outside,
    )
    rotated = page("log.logrotate", files=[f'"{one}"' for one in files]) if files else b""
    return LogFiles(unit, rotated, any(one.startswith(DATABASE) for one in outputs))


def quoted(word: str) -> str:
    """A word of a unit's line (systemd.service(5), "Command lines"): no specifier, no variable.

    >>> quoted("json:/var/log/a.jsonl"), quoted("postgresql://h/d?options=-c%20x=$1")
    ('json:/var/log/a.jsonl', '"postgresql://h/d?options=-c%%20x=$$1"')
    """
    if re.fullmatch(r"[\w./:@+-]+", word, re.ASCII):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
