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

REQUEST, DUMP = 0x1, 0x300
NESTED = 0x8000
RECEIVED = 1 << 16
"""Bytes of one answer: the kernel gives at most 32 KiB at once."""

_NETFILTER = 12
_IPV4 = 2
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_START = _HEADER.size + _FAMILY.size
_ATTRIBUTE = struct.Struct("=HH")


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


def message(kind: int, flags: int, attributes: bytes = b"") -> bytes:
    """One message about IPv4; `kind` is subsystem * 256 + type."""
    return _HEADER.pack(_START + len(attributes), kind, flags, 0, 0) + _FAMILY.pack(_IPV4, 0, 0) + attributes


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


def dump(link: socket, kind: int, asked: bytes = b"") -> Iterator[tuple[bytes, int, int]]:
    """Ask for a list: for each entry the bytes received, and where its attributes start and end in them.

    Raises OSError with the kernel's error number.
    """
    link.send(message(kind, REQUEST | DUMP, asked))
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


def refusal(data: bytes, at: int = 0) -> OSError:
    """The kernel's answer 'no', as an error that can be raised."""
    import os

    (number,) = struct.unpack_from("=i", data, at + _HEADER.size)
    return OSError(-number, os.strerror(-number))
