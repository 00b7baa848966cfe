"""conntrackd as it runs on this machine: how many connections it holds, ours and the peer's."""

from __future__ import annotations

import re
import subprocess
from typing import NamedTuple

CONFIGURATION = "/etc/conntrackd/conntrackd.conf"
SECONDS = 5.0
_CACHE = re.compile(r"^cache (internal|external):\s*\n\s*current active connections:\s*(\d+)", re.MULTILINE)


class Caches(NamedTuple):
    """Connections that this node has told its peer of, and that the peer has told it of."""

    own: int
    peer: int


def caches(configuration: str | None = None) -> Caches | None:
    """Ask conntrackd in the namespace of the calling process; None where it does not answer."""
    command = ["conntrackd", "-C", configuration or CONFIGURATION, "-s"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return read(done.stdout)


def read(text: str) -> Caches | None:
    r"""Read the answer of `conntrackd -s`.

    >>> line = "cache {}:\ncurrent active connections:\t{}\n\n"
    >>> read(line.format("internal", 7) + line.format("external", 3))
    Caches(own=7, peer=3)
    """
    found = {kind: int(number) for kind, number in _CACHE.findall(text)}
    return Caches(found["internal"], found["external"]) if len(found) == 2 else None
