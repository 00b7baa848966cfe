"""Packets that rules send to an NFLOG group (linux/netfilter/nfnetlink_log.h), each with its prefix and mark.

Every message of a group has a sequence number, so what the kernel could not deliver is counted exactly, as
soon as another message arrives. One program can read a group. Knows nothing of what a prefix says.
"""

from __future__ import annotations

import errno
import struct
import time
from typing import NamedTuple

from nfcompile.kernel import NOT_PERMITTED, KernelError, netlink
from nfcompile.kernel.netlink import attribute

_PACKET, _CONFIGURE, _GET_CONNTRACK_NUMBERS = 0x400, 0x401, 0x105
_COMMAND, _MODE, _BUFFER, _TIMEOUT, _THRESHOLD, _FLAGS = range(1, 7)
_BIND, _UNBIND, _COPY_PACKET, _NUMBERED = 1, 2, 2, 1
_MARK, _TIMESTAMP, _PAYLOAD, _PREFIX, _SEQUENCE = 2, 3, 9, 10, 12
_HEADER_BYTES = 20
"""What is copied of a packet: an IPv4 header without options."""
_AT_ONCE, _CENTISECONDS, _DATAGRAM = 64, 1, 32768
"""The kernel sends a datagram when it has so many messages, or the first is so old (1/100 s)."""
_NUMBER = struct.Struct(">I")
_TIME = struct.Struct(">QQ")


class LoggedPacket(NamedTuple):
    """One message: when (microseconds since 1970), the rule's prefix, the packet's mark and its source."""

    at: int
    prefix: str
    mark: int
    source: int


class PacketLog:
    """A socket that reads one group of a namespace until it is closed. Raises KernelError."""

    def __init__(self, group: int, namespace: str | None, room: int) -> None:
        self._group, self.lost, self.overruns = group, 0, 0
        self._expected: int | None = 0
        self.link = netlink.opened(namespace)
        self.room = netlink.enlarge(self.link, room)
        asked = (
            attribute(_COMMAND, bytes((_BIND,)))
            + attribute(_MODE, struct.pack(">IBB", _HEADER_BYTES, _COPY_PACKET, 0))
            + attribute(_BUFFER, _NUMBER.pack(_DATAGRAM))
            + attribute(_TIMEOUT, _NUMBER.pack(_CENTISECONDS))
            + attribute(_THRESHOLD, _NUMBER.pack(_AT_ONCE))
            + attribute(_FLAGS, struct.pack(">H", _NUMBERED))
        )
        try:
            netlink.acknowledged(self.link, _CONFIGURE, asked, group)
        except OSError as error:
            problem = _problem(error, group, self._may())
            self.link.close()
            raise problem from None

    def fileno(self) -> int:
        """For poll."""
        return self.link.fileno()

    def read(self, most: int) -> list[LoggedPacket]:
        """The messages of at most so many datagrams, without waiting; counts what is missing."""
        messages, overrun = netlink.received(self.link, most)
        self.overruns += overrun
        return [self._packet(data[start:end]) for data, kind, start, end in messages if kind == _PACKET]

    def leave(self) -> None:
        """Take no more messages; those that the kernel still holds back arrive now."""
        self.link.send(
            netlink.message(_CONFIGURE, netlink.REQUEST, attribute(_COMMAND, bytes((_UNBIND,))), self._group)
        )

    def _may(self) -> bool:
        """Whether this process may ask the kernel's netfilter anything."""
        try:
            netlink.ask(self.link, _GET_CONNTRACK_NUMBERS)
        except OSError as error:
            return error.errno != errno.EPERM
        return True

    def _packet(self, data: bytes) -> LoggedPacket:
        values = netlink.attributes(data)
        sequence = values.get(_SEQUENCE)
        if sequence is not None:
            (number,) = _NUMBER.unpack(sequence)
            if self._expected is not None:
                self.lost += (number - self._expected) & 0xFFFFFFFF
            self._expected = (number + 1) & 0xFFFFFFFF
        if stamp := values.get(_TIMESTAMP):
            seconds, parts = _TIME.unpack(stamp)
            at = seconds * 1_000_000 + parts
        else:
            at = time.time_ns() // 1000
        payload = values.get(_PAYLOAD, b"")
        return LoggedPacket(
            at,
            values.get(_PREFIX, b"").rstrip(b"\0").decode(errors="replace"),
            int.from_bytes(values.get(_MARK, b""), "big"),
            int.from_bytes(payload[12:16], "big"),
        )


def _problem(error: OSError, group: int, may: bool) -> KernelError:
    """The kernel says EPERM of a group that another socket has, too."""
    if error.errno == errno.EPERM and not may:
        return KernelError(NOT_PERMITTED.format(f"NFLOG group {group}"))
    if error.errno in (errno.EPERM, errno.EBUSY):
        return KernelError(f"another program reads NFLOG group {group} already (ulogd2?)")
    if error.errno == errno.EINVAL:
        return KernelError("the kernel sends no NFLOG messages; load the module nfnetlink_log")
    return KernelError(f"reading NFLOG group {group} failed: {error.strerror}")
