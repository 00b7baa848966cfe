"""The begin and the end of connections (IPv4), as conntrack tells it (ctnetlink events).

The kernel sends one datagram for each event and counts those for which the socket had no room, so losses are
known exactly. Which connections send events is a matter of `ct event set` in the ruleset. Knows nothing of
pools.
"""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from nfcompile.kernel import KernelError, conntrack, netlink
from nfcompile.kernel.conntrack import Flow

_NEW, _DESTROY = 0x100, 0x102
_NEW_GROUP, _DESTROY_GROUP = 1, 3
_NETLINK, _JOIN, _LEAVE = 270, 1, 2
"""SOL_NETLINK, NETLINK_ADD_MEMBERSHIP and NETLINK_DROP_MEMBERSHIP (linux/netlink.h)."""
_TIMESTAMP = 20
_IPV4 = 2
_ATTRIBUTE = struct.Struct("=HH")
_NANOSECONDS = struct.Struct(">Q")


class ConnectionEvent(NamedTuple):
    """A connection that has begun or ended, and when: microseconds since 1970.

    `began` is 0 where the kernel keeps no times (net.netfilter.nf_conntrack_timestamp), or the connection
    began before it did.
    """

    at: int
    ended: bool
    began: int
    flow: Flow


class ConnectionEvents:
    """A socket that hears of ends, and where asked of begins, until it is closed. Raises KernelError."""

    def __init__(self, namespace: str | None, room: int, begins: bool) -> None:
        self._groups = (_DESTROY_GROUP, _NEW_GROUP) if begins else (_DESTROY_GROUP,)
        self.overruns = 0
        self.link = netlink.opened(namespace)
        self.room = netlink.enlarge(self.link, room)
        try:
            for group in self._groups:
                self.link.setsockopt(_NETLINK, _JOIN, group)
        except OSError as error:
            self.link.close()
            raise KernelError(f"the kernel sends no events of connections: {error.strerror}") from None

    @property
    def lost(self) -> int:
        """Events for which the socket had no room."""
        return netlink.dropped(self.link)

    def fileno(self) -> int:
        """For poll."""
        return self.link.fileno()

    def read(self, most: int) -> list[ConnectionEvent]:
        """At most so many events that have arrived, without waiting."""
        found: list[ConnectionEvent] = []
        now = time.time_ns() // 1000
        messages, overrun = netlink.received(self.link, most)
        self.overruns += overrun
        for data, kind, start, end in messages:
            if kind in (_NEW, _DESTROY) and data[start - 4] == _IPV4:
                began, stopped = _times(data, start, end)
                ended = kind == _DESTROY
                at = (stopped if ended else began) or now
                found.append(ConnectionEvent(at, ended, began, conntrack.read_flow(data, start, end)))
        return found

    def leave(self) -> None:
        """Take no more events; those in the socket can still be read."""
        for group in self._groups:
            self.link.setsockopt(_NETLINK, _LEAVE, group)


def _times(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Begin and end in microseconds, 0 where they are not told."""
    while at < end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind & ~netlink.NESTED == _TIMESTAMP:
            inner = netlink.attributes(data[at + 4 : at + length])
            began, stopped = (
                _NANOSECONDS.unpack(inner[one])[0] // 1000 if one in inner else 0 for one in (1, 2)
            )
            return began, stopped
        at += (length + 3) & ~3
    return 0, 0
