"""Elements of our maps from an address to a number, with the time that each has left: all of a map, or one.

By netlink (linux/netfilter/nf_tables.h), since libnftables takes 40 us for an element and a log daemon asks
for each one again whenever its time is over.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.kernel import KernelError, netlink
from nfcompile.kernel.netlink import NESTED, attribute
from nfcompile.kernel.tally import TABLE

_GET_ELEMENTS = 10 << 8 | 13
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_KEY, _DATA, _EXPIRATION = 1, 2, 5
_VALUE = 1
_LENGTH = struct.Struct("=H")


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
            for data, start, end in netlink.dump(self._link, _GET_ELEMENTS, _of(name)):
                yield from _elements(netlink.attributes(data[start:end]))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise _problem(error) from None

    def one(self, name: str, key: int) -> Expiring | None:
        """The element with that key. Raises KernelError."""
        inner = attribute(_VALUE, key.to_bytes(4, "big"))
        element = attribute(1 | NESTED, attribute(_KEY | NESTED, inner))
        asked = _of(name) + attribute(_ELEMENTS | NESTED, element)
        try:
            found = netlink.ask(self._link, _GET_ELEMENTS, asked)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise _problem(error) from None
            return None
        return next(_elements(found), None)


def _of(name: str) -> bytes:
    return attribute(_TABLE, TABLE) + attribute(_SET, name.encode() + b"\0")


def _elements(answer: dict[int, bytes]) -> Iterator[Expiring]:
    listed = answer.get(_ELEMENTS, b"")
    at = 0
    while at < len(listed):
        (length,) = _LENGTH.unpack_from(listed, at)
        one = netlink.attributes(listed[at + 4 : at + length])
        key, number = (netlink.attributes(one[kind])[_VALUE] for kind in (_KEY, _DATA))
        left = int.from_bytes(one.get(_EXPIRATION, b""), "big")
        yield Expiring(int.from_bytes(key, "big"), int.from_bytes(number, sys.byteorder), left)
        at += (length + 3) & ~3


def _problem(error: OSError) -> KernelError:
    return KernelError(f"reading the assignments failed: {error.strerror}")
