"""Fill sets and maps of our table anew, in one transaction, with elements that were worked out elsewhere.

Written by netlink (linux/netfilter/nf_tables.h): libnftables reads text, and takes 5 s for the 200,000
entries of 100,000 connections, in which a gateway that takes over forwards nothing. Knows types of elements,
and nothing of what they mean.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.kernel import NOT_LOADED, NOT_PERMITTED, KernelError, netlink
from nfcompile.kernel.netlink import NESTED, attribute
from nfcompile.kernel.set_elements import DATA, ELEMENT, KEY, LIST_ELEMENTS, TIMEOUT, VALUE, of_set

if TYPE_CHECKING:
    from socket import socket

Values = tuple[int | str, ...]
"""The parts of a key or of data: addresses, ports, protocols and marks are integers, interfaces are text."""

_BEGIN, _END = 0x10, 0x11
_SUBSYSTEM = 10
NEW_ELEMENTS, DELETE_ELEMENTS = 10 << 8 | 12, 10 << 8 | 14
_ACK, _CREATE = 0x4, 0x400
_MESSAGE = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
_PER_MESSAGE = 48 << 10
"""Bytes of elements in one message: an attribute cannot be longer than 64 KiB."""
_SEND_BUFFER = 32
"""SO_SNDBUFFORCE"""
_SMALL_BUFFER = 1 << 20

PACKED = {"ipv4_addr": "I", "inet_service": "Hxx", "inet_proto": "Bxxx", "mark": "I", "ifname": "16s"}
"""Types of parts as `struct` writes them: each takes whole registers of four bytes."""


class Filled(NamedTuple):
    """The new contents of a set or map: parts of its keys and data by type, elements with their data ((): a
    set) and their lifetimes in seconds (0: that of the set)."""

    name: str
    key: tuple[str, ...]
    data: tuple[str, ...]
    elements: Iterable[tuple[Values, Values, int]]


def fill(contents: Iterable[Filled]) -> None:
    """Replace what these sets and maps of our own namespace hold; nothing changes where the kernel refuses.

    Raises KernelError.
    """
    with netlink.opened(None) as link:
        try:
            transact(link, [body for one in contents for body in _messages(one)])
        except OSError as error:
            raise problem(error) from None


def transact(link: socket, bodies: Sequence[tuple[int, bytes]]) -> None:
    """Send messages, each its kind and its attributes, as one transaction, and read all answers.

    Raises OSError with the number of the first refusal; then nothing has changed.
    """
    parts = [_message(_BEGIN, netlink.REQUEST, 0, b"", _SUBSYSTEM)]
    flags = netlink.REQUEST | _ACK | _CREATE
    parts += (_message(kind, flags, at, body) for at, (kind, body) in enumerate(bodies, 1))
    parts.append(_message(_END, netlink.REQUEST, 0, b"", _SUBSYSTEM))
    _send(link, b"".join(parts))
    for _ in bodies:
        _acknowledged(link)


def _messages(filled: Filled) -> Iterator[tuple[int, bytes]]:
    """What empties a set, and what fills it."""
    target = of_set(filled.name)
    yield DELETE_ELEMENTS, target
    waiting: list[bytes] = []
    size = 0
    for element in _elements(filled):
        waiting.append(element)
        size += len(element)
        if size > _PER_MESSAGE:
            yield NEW_ELEMENTS, target + attribute(LIST_ELEMENTS | NESTED, b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        yield NEW_ELEMENTS, target + attribute(LIST_ELEMENTS | NESTED, b"".join(waiting))


def _elements(filled: Filled) -> Iterator[bytes]:
    """The elements as attributes: their headers are the same for all of a kind, so only values are packed."""
    pack_key, pack_data = _packing(filled.key), _packing(filled.data)
    key_size = len(pack_key((0,) * len(filled.key) if "ifname" not in filled.key else ("",)))
    data_size = len(pack_data((0,) * len(filled.data)))
    before_key = _headers(KEY, key_size)
    before_data = _headers(DATA, data_size) if data_size else b""
    for key, data, seconds in filled.elements:
        inner = before_key + pack_key(key) + before_data + pack_data(data)
        if seconds:
            inner += attribute(TIMEOUT, struct.pack(">Q", seconds * 1000))
        yield _ATTRIBUTE.pack(4 + len(inner), ELEMENT | NESTED) + inner


def _headers(kind: int, size: int) -> bytes:
    """The headers of a value of that size."""
    return _ATTRIBUTE.pack(size + 8, kind | NESTED) + _ATTRIBUTE.pack(size + 4, VALUE)


def _packing(kinds: tuple[str, ...]) -> Callable[[Values], bytes]:
    """A function from parts to bytes. Marks are in the order of the machine, text is for interfaces."""
    packed = struct.Struct(">" + "".join(PACKED[kind] for kind in kinds))
    if kinds == ("mark",):
        return lambda values: struct.pack("=I", *values)
    if kinds == ("ifname",):
        return lambda values: struct.pack("16s", *(str(value).encode() for value in values))
    assert not {"mark", "ifname"}.intersection(kinds), "no set of ours has these in a concatenation"
    return lambda values: packed.pack(*values)


def _message(kind: int, flags: int, number: int, body: bytes, resource: int = 0) -> bytes:
    family = 2 if body else 0
    header = _MESSAGE.pack(_MESSAGE.size + len(body), kind, flags, number, 0, family, 0, resource << 8)
    return header + body


def _send(link: socket, data: bytes) -> None:
    """A transaction is one datagram, so the buffer has to hold all of it."""
    import socket

    if len(data) > _SMALL_BUFFER // 2:
        try:
            link.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER, 2 * len(data))
        except PermissionError:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(data))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    link.send(data)


def _acknowledged(link: socket) -> None:
    """Read one answer. Raises OSError where it is a refusal."""
    (number,) = struct.unpack_from("=i", link.recv(netlink.RECEIVED), 16)
    if number:
        raise OSError(-number, os.strerror(-number))


def problem(error: OSError) -> KernelError:
    import errno

    if error.errno == errno.ENOENT:
        return KernelError(f"{NOT_LOADED}, or not that of the site")
    if error.errno == errno.EPERM:
        return KernelError(NOT_PERMITTED.format("nftables ruleset"))
    if error.errno == errno.ENFILE:
        return KernelError("a set of the ruleset is too small for what it should hold")
    return KernelError(f"filling sets of the ruleset failed: {error.strerror}")
