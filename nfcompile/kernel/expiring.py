"""Elements of our maps from an address to a number, with the time that each has left: all of a map, or one.

By netlink (linux/netfilter/nf_tables.h), since libnftables takes 40 us for an element and a log daemon asks
for each one again whenever its time is over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.kernel import KernelError, netlink, set_elements
from nfcompile.kernel.set_elements import DATA, KEY


class Expiring(NamedTuple):
    """One element: its key, its number, and the milliseconds until it goes (0: never)."""

    key: int
    number: int
    left: int


class ExpiringMaps:
    """Asks the maps of a namespace; keeps one socket."""

    def __init__(self, namespace: str | None) -> None:
        self._link = netlink.opened(namespace)

    def every(self, name: str) -> Iterator[Expiring]:
        """All elements of a map; none where there is no such map. Raises KernelError."""
        try:
            yield from map(_expiring, set_elements.every(self._link, name))
        except OSError as error:
            raise _problem(error) from None

    def one(self, name: str, key: int) -> Expiring | None:
        """The element with that key. Raises KernelError."""
        try:
            found = set_elements.one(self._link, name, key.to_bytes(4, "big"))
        except OSError as error:
            raise _problem(error) from None
        return None if found is None else _expiring(found)


def _expiring(element: dict[int, bytes]) -> Expiring:
    key, number = (set_elements.value(element, kind) or b"" for kind in (KEY, DATA))
    left = set_elements.left(element)
    return Expiring(int.from_bytes(key, "big"), int.from_bytes(number, sys.byteorder), left)


def _problem(error: OSError) -> KernelError:
    return KernelError(f"reading the assignments failed: {error.strerror}")
