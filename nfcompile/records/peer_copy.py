"""The last copy of the peer's assignments, in the state directory: who has which block of a dynamic pool."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from nfcompile.records import store

NAME = "peer-blocks.json"
Row = tuple[str, int, int, int]
"""Pool, subscriber, global address, first port."""


def keep(path: str, rows: Sequence[Row]) -> None:
    """Replace the copy. Raises StateError."""
    with store.locked(path):
        store.put(path, NAME, json.dumps(rows, separators=(",", ":")).encode())


def kept(path: str) -> list[Row]:
    """The copy; nothing where there is none, or where it is damaged: it is a help, not a need."""
    try:
        with open(os.path.join(path, NAME), "rb") as file:
            return sound(json.load(file))
    except (OSError, ValueError, RecursionError):
        return []


def sound(rows: object) -> list[Row]:
    """The rows that are what they should be.

    >>> sound([["homes", 1, 2, 1024], ["homes", "x", 2, 3], 7])
    [('homes', 1, 2, 1024)]
    """
    found: list[Row] = []
    for row in rows if isinstance(rows, list) else ():
        match row:
            case [str(pool), int(subscriber), int(address), int(port)]:
                found.append((pool, subscriber, address, port))
    return found
