"""What the kernel refuses an ordinary user, whose kernel tests run as root of a user namespace."""

from __future__ import annotations

import os
from pathlib import Path

BATCH = "a batch to nf_tables may not be as large as this ruleset"
REFUSED = {
    "Message too long": BATCH,
    "larger than what this user may send to the kernel": BATCH,
    "messages of connections were lost: the receive buffer was full": "a socket's receive buffer is small",
    "chown: changing ownership": "there is no other user whose file it could be",
    "setresuid failed: Invalid argument": "there is no other user to become",
    "[Errno 22] Invalid argument: '/tmp/": "there is no other user whose file it could be",
    "can't open channel socket: Operation not permitted": "conntrackd may not enlarge its buffer",
}
"""What a test says where the kernel refuses an ordinary user something, and what that is."""

EVERY_USER = ["0", "0", str(2**32 - 1)]
"""The map of a namespace that has all users as they are."""


def is_root() -> bool:
    """Whether the user is root of the machine, and not of a namespace with few users."""
    return not os.geteuid() and Path("/proc/self/uid_map").read_text().split() == EVERY_USER


def refused(said: str) -> str | None:
    """Why an ordinary user cannot run a test that has said this."""
    return None if is_root() else next((why for word, why in REFUSED.items() if word in said), None)
