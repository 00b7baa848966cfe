"""Messages to netfilter's parts of the kernel, written and read with `struct` (linux/netlink.h).

For what no library offers, or not at the size of a gateway; knows nothing of what the messages say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nfcompile.kernel import KernelError, netns

if TYPE_CHECKING:
    from socket import socket

REQUEST, ACKNOWLEDGE, DUMP = 0x1, 0x4, 0x300
NESTED = 0x8000
RECEIVED = 1 << 16
"""Bytes of one answer: the kernel gives at most 32 KiB at once."""

_NETFILTER = 12
IPV4, IPV6 = 2, 10
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct(">BBH")
_START = _HEADER.size + _FAMILY.size
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BUFFER_FORCE, _MEMORY = 33, 55
"""SO_RCVBUFFORCE and SO_MEMINFO (asm-generic/socket.h)."""
_MEMORY_NUMBERS = struct.Struct("=9I")


def opened(namespace: str | None) -> socket:
    """A socket of the namespace (None: our own), which any namespace can read later."""
    import socket

    def make() -> socket.socket:
        try:
            link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        except OSError as error:
            raise KernelError(f"the kernel has no netfilter netlink: {error.strerror}") from None
        link.bind((0, 0))
        return link

    return netns.beside(namespace, make)


def message(kind: int, flags: int, attributes: bytes = b"", resource: int = 0, family: int = IPV4) -> bytes:
    """One message about a family; `kind` is subsystem * 256 + type, `resource` what the subsystem numbers."""
    header = _HEADER.pack(_START + len(attributes), kind, flags, 0, 0)
    return header + _FAMILY.pack(family, 0, resource) + attributes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The values of attributes that stand one after the other, by kind."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        found[kind & ~NESTED] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def dump(link: socket, kind: int, asked: bytes = b"", family: int = IPV4) -> Iterator[tuple[bytes, int, int]]:
    """Ask for a list: for each entry the bytes received, and where its attributes start and end in them.

    Raises OSError with the kernel's error number.
    """
    link.send(message(kind, REQUEST | DUMP, asked, family=family))
    while True:
        data = link.recv(RECEIVED)
        at = 0
        while at < len(data):
            length, answer, _, _, _ = _HEADER.unpack_from(data, at)
            if answer == _DONE:
                return
            if answer == _ERROR:
                raise refusal(data, at)
            yield data, at + _START, at + length
            at += (length + 3) & ~3


def ask(link: socket, kind: int, asked: bytes = b"") -> dict[int, bytes]:
    """Ask for one thing: its attributes. Raises OSError with the kernel's error number."""
    link.send(message(kind, REQUEST, asked))
    data = link.recv(RECEIVED)
    length, answer, _, _, _ = _HEADER.unpack_from(data)
    if answer == _ERROR:
        raise refusal(data)
    return attributes(data[_START:length])


def received(link: socket, most: int) -> tuple[list[tuple[bytes, int, int, int]], bool]:
    """What has arrived so far, at most so many datagrams, without waiting: for each message the bytes
    received, its kind, and where its attributes start and end in them; then, whether the kernel had no room
    for others in the socket. Raises OSError."""
    import errno

    found: list[tuple[bytes, int, int, int]] = []
    try:
        for one in _received(link, most):
            found.append(one)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return found, True
    return found, False


def _received(link: socket, most: int) -> Iterator[tuple[bytes, int, int, int]]:
    import socket

    for _ in range(most):
        try:
            data = link.recv(RECEIVED, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            yield data, kind, at + _START, at + length
            at += (length + 3) & ~3


def acknowledged(link: socket, kind: int, asked: bytes, resource: int = 0) -> None:
    """Make a request and wait for the answer. Raises OSError with the kernel's error number."""
    link.send(message(kind, REQUEST | ACKNOWLEDGE, asked, resource))
    while True:
        data = link.recv(RECEIVED)
        _, answer, _, _, _ = _HEADER.unpack_from(data)
        if answer == _ERROR:
            if struct.unpack_from("=i", data, _HEADER.size)[0]:
                raise refusal(data)
            return


def enlarge(link: socket, size: int) -> int:
    """Give a socket a receive buffer of so many bytes, above what sysctls allow where we may; its size."""
    import socket

    try:
        link.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, size)
    except PermissionError:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def dropped(link: socket) -> int:
    """How many datagrams the kernel had no room for in the socket since it was opened."""
    import socket

    data = link.getsockopt(socket.SOL_SOCKET, _MEMORY, _MEMORY_NUMBERS.size)
    return int(_MEMORY_NUMBERS.unpack(data)[8])


def refusal(data: bytes, at: int = 0) -> OSError:
    """The kernel's answer 'no', as an error that can be raised."""
    import os

    (number,) = struct.unpack_from("=i", data, at + _HEADER.size)
    return OSError(-number, os.strerror(-number))
