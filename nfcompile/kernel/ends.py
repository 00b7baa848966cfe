"""The two ends of every connection, read in half the time that `conntrack` takes for all of it: a node that
takes over reads a hundred thousand, and its subscribers wait.

The kernel writes the attributes of a connection in one order (ctnetlink_fill_info). One with ports in zone 0
has its tuples and its status at fixed places; all others are read attribute by attribute.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.kernel import conntrack, netlink
from nfcompile.kernel.netlink import NESTED
from nfcompile.model.protocols import TRACKED_BY_PORTS

_ATTRIBUTE = struct.Struct("=HH")
_USUAL = struct.Struct(">" + 2 * "12xI4xI8xB7xH6xH2x" + "4xI")
"""Both tuples and the status, where these are the first attributes."""
_PROTOCOL_AT = 32
_TUPLE_SIZE = 52
_FIRST, _SECOND, _THIRD = (
    _ATTRIBUTE.pack(length, kind)
    for length, kind in (
        (_TUPLE_SIZE, conntrack.TUPLE_ORIGINAL | NESTED),
        (_TUPLE_SIZE, conntrack.TUPLE_REPLY | NESTED),
        (8, conntrack.STATUS),
    )
)


class FlowEnds(NamedTuple):
    """What `Flow` says of a connection with ports, without what it takes time to find."""

    src: int
    dst: int
    protocol: int
    sport: int
    dport: int
    reply_src: int
    reply_dst: int
    reply_protocol: int
    reply_sport: int
    reply_dport: int
    status: int


def ends() -> Iterator[conntrack.Flow | FlowEnds]:
    """Every connection of our own namespace. Raises KernelError."""
    with netlink.opened(None) as link:
        try:
            for data, start, end in netlink.dump(link, conntrack.GET):
                usual = (
                    data.startswith(_FIRST, start)
                    and data.startswith(_SECOND, start + _TUPLE_SIZE)
                    and data.startswith(_THIRD, start + 2 * _TUPLE_SIZE)
                )
                if usual and data[start + _PROTOCOL_AT] in TRACKED_BY_PORTS:
                    yield FlowEnds._make(_USUAL.unpack_from(data, start))
                else:
                    yield conntrack.read_flow(data, start, end)
        except OSError as error:
            raise conntrack.problem(error) from None
