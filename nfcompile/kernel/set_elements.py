"""Elements of sets and maps of our table by netlink (linux/netfilter/nf_tables.h): one of them, or all.

libnftables reads all of a map to look up one element (34 us for each), and does not say how long one still
lives. An element is its attributes by kind; the caller knows the types of key and data.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nfcompile.kernel import netlink
from nfcompile.kernel.netlink import NESTED, attribute

if TYPE_CHECKING:
    from socket import socket

TABLE = b"nfcompile\0"
GET_ELEMENTS = 10 << 8 | 13
LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
ELEMENT, VALUE = 1, 1
KEY, DATA, TIMEOUT, EXPIRATION, USERDATA = 1, 2, 4, 5, 6
"""Attributes of an element."""
_LENGTH = struct.Struct("=H")


def of_set(name: str) -> bytes:
    """The attributes by which a message about elements names its set."""
    return attribute(LIST_TABLE, TABLE) + attribute(LIST_SET, name.encode() + b"\0")


def key_attribute(key: bytes) -> bytes:
    """A key as an attribute of its element."""
    return attribute(KEY | NESTED, attribute(VALUE, key))


def listed(element: bytes) -> bytes:
    """The attributes of one element as the list that a message has."""
    return attribute(LIST_ELEMENTS | NESTED, attribute(ELEMENT | NESTED, element))


def pieces(answer: dict[int, bytes]) -> Iterator[bytes]:
    """The elements of one answer of the kernel, each as it came."""
    data = answer.get(LIST_ELEMENTS, b"")
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        yield data[at + 4 : at + length]
        at += (length + 3) & ~3


def one(link: socket, name: str, key: bytes) -> dict[int, bytes] | None:
    """The element with that key; None where there is none, or no such set. Raises OSError."""
    try:
        answer = netlink.ask(link, GET_ELEMENTS, of_set(name) + listed(key_attribute(key)))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return next(map(netlink.attributes, pieces(answer)), None)


def every(link: socket, name: str) -> Iterator[dict[int, bytes]]:
    """All elements; none where there is no such set. Raises OSError."""
    try:
        for data, start, end in netlink.dump(link, GET_ELEMENTS, of_set(name)):
            yield from map(netlink.attributes, pieces(netlink.attributes(data[start:end])))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def value(element: dict[int, bytes], kind: int) -> bytes | None:
    """The key or the data of an element; None where it has none."""
    return netlink.attributes(element.get(kind, b"")).get(VALUE)


def left(element: dict[int, bytes]) -> int:
    """The milliseconds until an element goes (0: never)."""
    return int.from_bytes(element.get(EXPIRATION, b""), "big")
