"""What the kernel has counted for our table: named counters, and how many elements its sets hold.

Never lists a set to answer that: libnftables reads all elements of the table before it shows one counter
(1 s for 100,000), so the objects are asked for by netlink (linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.kernel import NOT_LOADED, NOT_PERMITTED, KernelError, netlink, set_elements
from nfcompile.kernel.set_elements import GET_ELEMENTS, TABLE

if TYPE_CHECKING:
    from socket import socket

_NFTABLES = 10 << 8
_GET_TABLE, _GET_SET, _GET_OBJECT = (_NFTABLES | kind for kind in (1, 10, 19))
_OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA = 2, 3, 4
_COUNTER = struct.pack(">I", 1)
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_SET_NAME, _SET_COUNT = 2, 20


class Count(NamedTuple):
    """The value of a counter."""

    packets: int
    bytes: int


class Tally(NamedTuple):
    """Counters by name, and how many elements each named set or map holds (None: not known)."""

    counters: dict[str, Count]
    elements: dict[str, int | None]


def read(namespace: str | None = None, walk: frozenset[str] = frozenset()) -> Tally:
    """The numbers of our table. Raises KernelError where there is no such table, or no privilege.

    Kernels before 6.16 do not say how many elements a set has: there the sets of `walk` are gone through.
    Elements that have expired count until the kernel sweeps them (every `timeout`, at most some seconds).
    """
    with netlink.opened(namespace) as link:
        try:
            netlink.ask(link, _GET_TABLE, netlink.attribute(1, TABLE))
            elements = _elements(link)
            for name in walk & elements.keys():
                if elements[name] is None:
                    elements[name] = _walked(link, name)
            return Tally(_counters(link, netlink.IPV4) | _counters(link, netlink.IPV6), elements)
        except OSError as error:
            raise _problem(error) from None


def _counters(link: socket, family: int) -> dict[str, Count]:
    asked = netlink.attribute(1, TABLE) + netlink.attribute(_OBJECT_TYPE, _COUNTER)
    found: dict[str, Count] = {}
    for data, start, end in netlink.dump(link, _GET_OBJECT, asked, family):
        one = netlink.attributes(data[start:end])
        values = netlink.attributes(one[_OBJECT_DATA])
        packets, octets = (int.from_bytes(values[kind], "big") for kind in (_COUNTER_PACKETS, _COUNTER_BYTES))
        found[_name(one[_OBJECT_NAME])] = Count(packets, octets)
    return found


def _elements(link: socket) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for data, start, end in netlink.dump(link, _GET_SET, netlink.attribute(1, TABLE)):
        one = netlink.attributes(data[start:end])
        number = one.get(_SET_COUNT)
        found[_name(one[_SET_NAME])] = None if number is None else int.from_bytes(number, "big")
    return found


def _walked(link: socket, name: str) -> int:
    answers = netlink.dump(link, GET_ELEMENTS, set_elements.of_set(name))
    parts = (netlink.attributes(data[start:end]) for data, start, end in answers)
    return sum(1 for answer in parts for _ in set_elements.pieces(answer))


def _name(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


def _problem(error: OSError) -> KernelError:
    if error.errno == errno.ENOENT:
        return KernelError(NOT_LOADED)
    if error.errno == errno.EPERM:
        return KernelError(NOT_PERMITTED.format("nftables ruleset"))
    return KernelError(f"reading the nftables ruleset failed: {error.strerror}")
