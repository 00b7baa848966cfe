"""Interfaces, IPv4 addresses, routes and rules of the calling process's network namespace, read from
rtnetlink.

Read only, by hand: pyroute2 takes 170 ms to import, half of what an `apply` takes in all. Strictly, so the
kernel picks the routes out: a router may have a million. Layouts: linux/rtnetlink.h, if_link.h, if_addr.h,
fib_rules.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.kernel import KernelError, netlink
from nfcompile.model.ranges import Range

if TYPE_CHECKING:
    from socket import socket

UNICAST, LOCAL, BLACKHOLE, UNREACHABLE, PROHIBIT = 1, 2, 6, 7, 8
"""Types of routes (rtm_type)."""
LOCAL_TABLE = 255

_ROUTE_SOCKET, _SOL_NETLINK, _STRICT = 0, 270, 12
_GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_RULE = 18, 22, 26, 34
_ERROR, _DONE = 2, 3
_IPV4 = 2
_HEADER = struct.Struct("=IHHII")
_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=8BI")
_UP = 1
_NAME, _MTU = 3, 4
_OWN = 2
_DESTINATION, _THROUGH, _SOURCE, _TABLE, _MARK = 1, 4, 7, 15, 10
_SMALL_TABLES = 256


class HostLink(NamedTuple):
    """An interface."""

    number: int
    mtu: int
    up: bool


class HostAddress(NamedTuple):
    """An address of the host."""

    address: int
    prefix_length: int
    interface: int


class Route(NamedTuple):
    """A route: to where, of which type, in which table, through which interface (its number; 0: none or
    several)."""

    destination: Range
    type: int
    table: int
    interface: int


class RoutingRule(NamedTuple):
    """A routing rule: packets with the mark (0: any) are looked up in the table."""

    mark: int
    table: int


@contextmanager
def opened() -> Iterator[socket]:
    """A socket to ask with. What the kernel refuses is a KernelError."""
    import socket as sockets

    try:
        with sockets.socket(sockets.AF_NETLINK, sockets.SOCK_RAW, _ROUTE_SOCKET) as link:
            link.setsockopt(_SOL_NETLINK, _STRICT, 1)
            yield link
    except OSError as error:
        raise KernelError(f"the kernel does not show its network: {error.strerror}") from None


def links(asking: socket) -> dict[str, HostLink]:
    """All interfaces by name."""
    found = {}
    for data in _dump(asking, _GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        _, _, number, flags, _ = _LINK.unpack_from(data)
        values = netlink.attributes(data[_LINK.size :])
        found[values[_NAME].rstrip(b"\0").decode()] = HostLink(
            number, _integer(values[_MTU]), bool(flags & _UP)
        )
    return found


def addresses(asking: socket) -> tuple[HostAddress, ...]:
    """All IPv4 addresses."""
    found = []
    for data in _dump(asking, _GET_ADDRESS, _ADDRESS.pack(_IPV4, 0, 0, 0, 0)):
        _, length, _, _, number = _ADDRESS.unpack_from(data)
        own = netlink.attributes(data[_ADDRESS.size :]).get(_OWN, bytes(4))
        found.append(HostAddress(int.from_bytes(own, "big"), length, number))
    return tuple(found)


def routes(asking: socket, *, table: int = 0, type: int = 0, interface: int = 0) -> tuple[Route, ...]:
    """IPv4 routes of a table, of a type, or through an interface. None where there is no such table."""
    small = table if table < _SMALL_TABLES else 0
    asked = _ROUTE.pack(_IPV4, 0, 0, 0, small, 0, 0, type, 0)
    asked += netlink.attribute(_TABLE, struct.pack("=I", table)) if table else b""
    asked += netlink.attribute(_THROUGH, struct.pack("=I", interface)) if interface else b""
    try:
        return tuple(map(_route, _dump(asking, _GET_ROUTE, asked)))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return ()


def way(asking: socket, destination: int) -> int | None:
    """The number of the interface through which an address is reached; None for no way."""
    asked = _ROUTE.pack(_IPV4, 32, 0, 0, 0, 0, 0, 0, 0)
    asked += netlink.attribute(_DESTINATION, destination.to_bytes(4, "big"))
    try:
        return next(_route(data).interface for data in _answers(asking, _GET_ROUTE, netlink.REQUEST, asked))
    except OSError:
        return None


def own_source(asking: socket, destination: int) -> int | None:
    """The address that the host's own packets to a destination have as their source; None for no way."""
    asked = _ROUTE.pack(_IPV4, 32, 0, 0, 0, 0, 0, 0, 0)
    asked += netlink.attribute(_DESTINATION, destination.to_bytes(4, "big"))
    try:
        for data in _answers(asking, _GET_ROUTE, netlink.REQUEST, asked):
            source = netlink.attributes(data[_ROUTE.size :]).get(_SOURCE)
            return None if source is None else int.from_bytes(source, "big")
    except OSError:
        pass
    return None


def rules(asking: socket) -> tuple[RoutingRule, ...]:
    """IPv4 routing rules."""
    found = []
    for data in _dump(asking, _GET_RULE, _ROUTE.pack(_IPV4, *[0] * 8)):
        values = netlink.attributes(data[_ROUTE.size :])
        mark, table = values.get(_MARK, bytes(4)), values.get(_TABLE, bytes(4))
        found.append(RoutingRule(_integer(mark), _integer(table)))
    return tuple(found)


def _route(data: bytes) -> Route:
    _, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(data)
    values = netlink.attributes(data[_ROUTE.size :])
    first = int.from_bytes(values.get(_DESTINATION, bytes(4)), "big")
    destination = Range(first, first + (1 << (32 - length)) - 1)
    table = _integer(values[_TABLE]) if _TABLE in values else table
    return Route(destination, kind, table, _integer(values.get(_THROUGH, bytes(4))))


def _integer(data: bytes) -> int:
    return int.from_bytes(data[:4], "little" if struct.pack("=H", 1)[0] else "big")


def _dump(asking: socket, kind: int, asked: bytes) -> Iterator[bytes]:
    return _answers(asking, kind, netlink.REQUEST | netlink.DUMP, asked)


def _answers(asking: socket, kind: int, flags: int, asked: bytes) -> Iterator[bytes]:
    """Ask; each answer without its header. Raises OSError with the kernel's error number."""
    asking.send(_HEADER.pack(_HEADER.size + len(asked), kind, flags, 0, 0) + asked)
    while True:
        data = asking.recv(netlink.RECEIVED)
        at = 0
        while at < len(data):
            length, answer, _, _, _ = _HEADER.unpack_from(data, at)
            if answer == _ERROR or (answer == _DONE and length > _HEADER.size and _failed(data, at)):
                raise netlink.refusal(data, at)
            if answer == _DONE:
                return
            yield data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3
        if flags & netlink.DUMP != netlink.DUMP:
            return


def _failed(data: bytes, at: int) -> bool:
    """Whether a list ended in an error, which its last message then holds."""
    return bool(struct.unpack_from("=i", data, at + _HEADER.size)[0])
