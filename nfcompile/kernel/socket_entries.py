"""Elements of our sets and maps whose keys are sockets: look one up, read all, put some in one transaction.

By netlink (linux/netfilter/nf_tables.h): to look up one element, nft 1.0.6 reads all of its map (34 us for
each), and only the kernel's own answer says how long an element still lives. Knows nothing of what the
elements mean.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.kernel import netlink
from nfcompile.kernel.filling import DELETE_ELEMENTS, NEW_ELEMENTS, problem, transact
from nfcompile.kernel.netlink import NESTED, attribute
from nfcompile.kernel.tally import TABLE

_GET_ELEMENTS = 10 << 8 | 13
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _VALUE = 1, 1
_KEY, _DATA, _TIMEOUT, _EXPIRATION, _USERDATA = 1, 2, 4, 5, 6
_COMMENT = 0
"""Type of the comment in an element's user data (libnftnl/udata.h)."""
_LENGTH = struct.Struct("=H")
_SOCKET, _END = struct.Struct(">BxxxIHxx"), struct.Struct(">IHxx")
PATIENCE = 10.0
"""Seconds that the kernel may take for one answer."""


class Socket(NamedTuple):
    """A protocol by its number, an address and a port of it."""

    protocol: int
    address: int
    port: int

    @property
    def end(self) -> tuple[int, int]:
        """Address and port."""
        return self.address, self.port


class SocketElement(NamedTuple):
    """An element: its key, address and port that it leads to (None in a set), the milliseconds until it goes
    (0: never), and its comment."""

    key: Socket
    end: tuple[int, int] | None
    left: int
    comment: str


class NewElement(NamedTuple):
    """An element to put: the set or map, key and data as the kernel has them, its lifetime in seconds (0:
    that of the set), and a comment."""

    name: str
    key: bytes
    data: bytes = b""
    seconds: int = 0
    comment: str = ""


def socket_bytes(one: Socket) -> bytes:
    """A key as the kernel has it: each part takes whole registers of four bytes."""
    return _SOCKET.pack(*one)


def end_bytes(end: tuple[int, int]) -> bytes:
    """Data as the kernel has it: an address and a port."""
    return _END.pack(*end)


def address_bytes(address: int) -> bytes:
    """An address as the kernel has it."""
    return address.to_bytes(4, "big")


def mark_bytes(mark: int) -> bytes:
    """A mark as the kernel has it, in the order of the machine."""
    return mark.to_bytes(4, sys.byteorder)


class SocketEntries:
    """Asks and changes the sets of one namespace; keeps one socket."""

    def __init__(self, namespace: str | None) -> None:
        """Raises KernelError where there is no such namespace, or no netfilter."""
        self._link = netlink.opened(namespace)
        self._link.settimeout(PATIENCE)

    def one(self, name: str, key: Socket) -> SocketElement | None:
        """The element with that key; None where there is none, or no such set. Raises KernelError."""
        inner = attribute(_KEY | NESTED, attribute(_VALUE, socket_bytes(key)))
        element = attribute(_ELEMENT | NESTED, inner)
        asked = _of(name) + attribute(_LIST_ELEMENTS | NESTED, element)
        try:
            found = netlink.ask(self._link, _GET_ELEMENTS, asked)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise problem(error) from None
        return next(_elements(found), None)

    def every(self, name: str) -> Iterator[SocketElement]:
        """All elements; none where there is no such set. Raises KernelError."""
        try:
            for data, start, end in netlink.dump(self._link, _GET_ELEMENTS, _of(name)):
                yield from _elements(netlink.attributes(data[start:end]))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise problem(error) from None

    def holds_any(self, name: str) -> bool:
        """Whether a small set, whatever its keys are, has elements; False where there is no such set.

        Raises KernelError.
        """
        try:
            listed = [*netlink.dump(self._link, _GET_ELEMENTS, _of(name))]
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise problem(error) from None
        return any(netlink.attributes(data[start:end]).get(_LIST_ELEMENTS) for data, start, end in listed)

    def put(self, elements: Iterable[NewElement]) -> bool:
        """Make elements, or give those that are there a new lifetime and comment; all of them or none.

        False where the kernel holds one with other data. Raises KernelError.
        """
        # Of an element that is there, only its removal in the same transaction changes the lifetime.
        messages = [
            (kind, body)
            for one in elements
            for kind, body in (
                (NEW_ELEMENTS, _body(one)),
                (DELETE_ELEMENTS, _body(NewElement(one.name, one.key))),
                (NEW_ELEMENTS, _body(one)),
            )
        ]
        return self._transaction(messages, (errno.EBUSY, errno.EEXIST))

    def remove(self, name: str, key: Socket) -> bool:
        """Remove an element; False where there was none. Raises KernelError."""
        body = _body(NewElement(name, socket_bytes(key)))
        return self._transaction([(DELETE_ELEMENTS, body)], (errno.ENOENT,))

    def _transaction(self, messages: list[tuple[int, bytes]], expected: tuple[int, ...]) -> bool:
        try:
            transact(self._link, messages)
        except OSError as error:
            self._drain()
            if error.errno in expected:
                return False
            raise problem(error) from None
        return True

    def _drain(self) -> None:
        """Read the answers that follow a refusal."""
        self._link.setblocking(False)
        try:
            while self._link.recv(netlink.RECEIVED):
                pass
        except OSError:
            pass
        finally:
            self._link.settimeout(PATIENCE)


def _of(name: str) -> bytes:
    return attribute(_LIST_TABLE, TABLE) + attribute(_LIST_SET, name.encode() + b"\0")


def _body(one: NewElement) -> bytes:
    inner = attribute(_KEY | NESTED, attribute(_VALUE, one.key))
    if one.data:
        inner += attribute(_DATA | NESTED, attribute(_VALUE, one.data))
    if one.seconds:
        inner += attribute(_TIMEOUT, struct.pack(">Q", one.seconds * 1000))
    if one.comment:
        text = one.comment.encode() + b"\0"
        inner += attribute(_USERDATA, bytes((_COMMENT, len(text))) + text)
    element = attribute(_ELEMENT | NESTED, inner)
    return _of(one.name) + attribute(_LIST_ELEMENTS | NESTED, element)


def _elements(answer: dict[int, bytes]) -> Iterator[SocketElement]:
    listed = answer.get(_LIST_ELEMENTS, b"")
    at = 0
    while at < len(listed):
        (length,) = _LENGTH.unpack_from(listed, at)
        one = netlink.attributes(listed[at + 4 : at + length])
        key = Socket(*_SOCKET.unpack(netlink.attributes(one[_KEY])[_VALUE]))
        data = netlink.attributes(one.get(_DATA, b"")).get(_VALUE)
        left = int.from_bytes(one.get(_EXPIRATION, b""), "big")
        end = None if data is None else _END.unpack(data)
        yield SocketElement(key, end, left, _comment(one.get(_USERDATA, b"")))
        at += (length + 3) & ~3


def _comment(data: bytes) -> str:
    """The comment among an element's user data: type, length and value, one after the other."""
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if kind == _COMMENT:
            return data[at + 2 : at + 2 + length].rstrip(b"\0").decode(errors="replace")
        at += 2 + length
    return ""
