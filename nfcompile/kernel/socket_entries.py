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

from nfcompile.kernel import netlink, set_elements
from nfcompile.kernel.filling import DELETE_ELEMENTS, NEW_ELEMENTS, problem, transact
from nfcompile.kernel.netlink import NESTED, attribute
from nfcompile.kernel.set_elements import DATA, KEY, TIMEOUT, USERDATA, VALUE

_COMMENT = 0
"""Type of the comment in an element's user data (libnftnl/udata.h)."""
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
        try:
            found = set_elements.one(self._link, name, socket_bytes(key))
        except OSError as error:
            raise problem(error) from None
        return None if found is None else _socket_element(found)

    def every(self, name: str) -> Iterator[SocketElement]:
        """All elements; none where there is no such set. Raises KernelError."""
        try:
            yield from map(_socket_element, set_elements.every(self._link, name))
        except OSError as error:
            raise problem(error) from None

    def holds_any(self, name: str) -> bool:
        """Whether a small set, whatever its keys are, has elements; False where there is no such set.

        Raises KernelError.
        """
        try:
            return len([*set_elements.every(self._link, name)]) > 0  # to the end, since the socket goes on
        except OSError as error:
            raise problem(error) from None

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


def _body(one: NewElement) -> bytes:
    inner = set_elements.key_attribute(one.key)
    if one.data:
        inner += attribute(DATA | NESTED, attribute(VALUE, one.data))
    if one.seconds:
        inner += attribute(TIMEOUT, struct.pack(">Q", one.seconds * 1000))
    if one.comment:
        text = one.comment.encode() + b"\0"
        inner += attribute(USERDATA, bytes((_COMMENT, len(text))) + text)
    return set_elements.of_set(one.name) + set_elements.listed(inner)


def _socket_element(element: dict[int, bytes]) -> SocketElement:
    key = Socket(*_SOCKET.unpack(set_elements.value(element, KEY) or b""))
    data = set_elements.value(element, DATA)
    end = None if data is None else _END.unpack(data)
    return SocketElement(key, end, set_elements.left(element), _comment(element.get(USERDATA, b"")))


def _comment(data: bytes) -> str:
    """The comment among an element's user data: type, length and value, one after the other."""
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if kind == _COMMENT:
            return data[at + 2 : at + 2 + length].rstrip(b"\0").decode(errors="replace")
        at += 2 + length
    return ""
