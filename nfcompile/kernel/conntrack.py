"""Connections that the kernel tracks, of IPv4 or IPv6: a stream of them, their number, and the end of some.

Reads just the attributes that are needed of ctnetlink's messages (linux/netfilter/nfnetlink_conntrack.h):
pyroute2 takes 73 us for an entry, this 4, as long as conntrack -L; a gateway has a million of them. Knows
nothing of pools.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.kernel import NOT_PERMITTED, KernelError, netlink
from nfcompile.kernel.netlink import NESTED, attribute
from nfcompile.model.protocols import ICMP, ICMPV6, TCP, TRACKED_BY_PORTS

if TYPE_CHECKING:
    from socket import socket

SEEN_REPLY, ASSURED, SOURCE_NAT, DESTINATION_NAT = 1 << 1, 1 << 2, 1 << 4, 1 << 5
"""Bits of `Flow.status` (IPS_*)."""


class Flow(NamedTuple):
    """One connection, as the first packet came in (src, dst) and as answers come in (reply_src, reply_dst).

    Addresses and ports are integers; protocols without ports have 0, ICMP has its id in both ports of a
    side. `timeout` is what is left, in seconds; `tcp_state` is nf_conntrack's (3 = established; 0 for
    others); `icmp` is the type and code of the first packet; `id` is the kernel's. `zone_one_way`: the zone
    holds for the original direction only, answers come back in zone 0.
    """

    protocol: int
    src: int
    sport: int
    dst: int
    dport: int
    reply_src: int
    reply_sport: int
    reply_dst: int
    reply_dport: int
    mark: int
    zone: int
    status: int
    timeout: int
    tcp_state: int
    icmp: tuple[int, int]
    id: int
    zone_one_way: bool = False
    is_ipv6: bool = False


class Statistics(NamedTuple):
    """Packets that conntrack could not serve (linux/netfilter/nfnetlink_conntrack.h, CTA_STATS_*).

    insert_failed   the translated tuple was taken by another connection at the last moment, or by all
    drop            no memory, or no place in a full table; insert_failed counts here as well
    early_drop      connections that were ended to make room in a full table
    """

    insert_failed: int
    drop: int
    early_drop: int


_STATISTICS = (9, 10, 11)
GET, _DELETE, _GET_NUMBERS, _GET_STATISTICS = 0x101, 0x102, 0x105, 0x104
TUPLE_ORIGINAL, TUPLE_REPLY, STATUS, _PROTOINFO, _TIMEOUT, _MARK, _ID = 1, 2, 3, 4, 7, 8, 12
_ZONE, _MARK_MASK, _STATUS_MASK = 18, 21, 26

_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct(">I")
_LENGTH = struct.Struct("=H")
_SHORT = struct.Struct(">H")
# The kernel writes the attributes of a tuple in one order (ctnetlink_dump_tuples); what stands between
# the values is their headers: IP { source, destination }, PROTO { number, sport or id, dport or type, code }.
_TUPLE = struct.Struct(">8xI4xI8xB7xH6xH")
_TUPLE6 = struct.Struct(">8x16s4x16s8xB7xH6xH")
_CODE_AT = 52
_PROTO_AT = 20
_WIDER = 24
"""Bytes that both addresses of IPv6 take more, in front of PROTO."""
_TUPLE_ZONE = 3

DELETED_AT_ONCE = 100
"""Deletions in one message: their refusals fit in the socket's buffer."""


def flows(
    namespace: str | None = None,
    *,
    mark: tuple[int, int] | None = None,
    status: tuple[int, int] | None = None,
    zone: int | None = None,
    is_ipv6: bool = False,
) -> Iterator[Flow]:
    """Every connection of the namespace (None: our own), while the kernel lists them; nothing is kept.

    `mark` and `status` are (value, mask), `zone` is a number: the kernel filters where it can (marks always,
    status since 5.18, zones since 6.8), the rest is done here. What comes or goes meanwhile may be
    missing. Raises KernelError, from the first step on.
    """
    asked = b"".join(
        attribute(kind, _NUMBER.pack(value))
        for kinds, pair in (((_MARK, _MARK_MASK), mark), ((STATUS, _STATUS_MASK), status))
        if pair is not None
        for kind, value in zip(kinds, pair, strict=True)
    )
    if zone is not None:
        asked += attribute(_ZONE, _SHORT.pack(zone))
    for flow in _dump(namespace, asked, is_ipv6):
        if mark is not None and flow.mark & mark[1] != mark[0]:
            continue
        if status is not None and flow.status & status[1] != status[0]:
            continue
        if zone is None or flow.zone == zone:
            yield flow


def delete(flows: Iterable[Flow], namespace: str | None = None) -> int:
    """End these connections and say how many there still were; a new one of the same tuple stays."""
    deleted = 0
    waiting = iter(flows)
    with netlink.opened(namespace) as link:
        while batch := list(islice(waiting, DELETED_AT_ONCE)):
            link.send(b"".join(map(_deletion, batch)))
            deleted += len(batch) - _vanished(link)
    return deleted


def count(namespace: str | None = None) -> tuple[int, int]:
    """How many connections the namespace tracks, and how many it may (0: the kernel does not say)."""
    with netlink.opened(namespace) as link:
        try:
            numbers = netlink.ask(link, _GET_NUMBERS)
        except OSError as error:
            raise problem(error) from None
    used, limit = (int.from_bytes(numbers.get(kind, b""), "big") for kind in (1, 2))
    return used, limit


def statistics(namespace: str | None = None) -> Statistics:
    """What happened to packets in conntrack itself since the namespace was made, on all processors."""
    totals = dict.fromkeys(_STATISTICS, 0)
    with netlink.opened(namespace) as link:
        try:
            for data, start, end in netlink.dump(link, _GET_STATISTICS):
                for kind, value in netlink.attributes(data[start:end]).items():
                    if kind in totals:
                        totals[kind] += int.from_bytes(value, "big")
        except OSError as error:
            raise problem(error) from None
    return Statistics(*totals.values())


def _dump(namespace: str | None, asked: bytes, is_ipv6: bool) -> Iterator[Flow]:
    family = netlink.IPV6 if is_ipv6 else netlink.IPV4
    with netlink.opened(namespace) as link:
        try:
            for data, start, end in netlink.dump(link, GET, asked, family):
                yield read_flow(data, start, end, is_ipv6)
        except OSError as error:
            raise problem(error) from None


def read_flow(data: bytes, at: int, end: int, is_ipv6: bool = False) -> Flow:
    """The connection that these attributes describe."""
    mark = zone = status = timeout = state = identity = 0
    original = original_end = reply = at
    while at < end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        kind &= ~NESTED
        if kind == TUPLE_ORIGINAL:
            original, original_end = at + 4, at + length
        elif kind == TUPLE_REPLY:
            reply = at + 4
        elif kind == STATUS:
            (status,) = _NUMBER.unpack_from(data, at + 4)
        elif kind == _TIMEOUT:
            (timeout,) = _NUMBER.unpack_from(data, at + 4)
        elif kind == _MARK:
            (mark,) = _NUMBER.unpack_from(data, at + 4)
        elif kind == _ID:
            (identity,) = _NUMBER.unpack_from(data, at + 4)
        elif kind == _PROTOINFO:
            # PROTOINFO { TCP { STATE, ... } }
            state = data[at + 12]
        elif kind == _ZONE:
            (zone,) = _SHORT.unpack_from(data, at + 4)
        at += (length + 3) & ~3
    wider = _WIDER if is_ipv6 else 0
    if is_ipv6:
        src, dst, protocol, sport, dport = _ends6(data, original)
        reply_src, reply_dst, _, reply_sport, reply_dport = _ends6(data, reply)
    else:
        src, dst, protocol, sport, dport = _TUPLE.unpack_from(data, original)
        reply_src, reply_dst, _, reply_sport, reply_dport = _TUPLE.unpack_from(data, reply)
    # What stands behind PROTO is the zone of this direction alone.
    (length,) = _LENGTH.unpack_from(data, original + _PROTO_AT + wider)
    zone_at = original + _PROTO_AT + wider + length
    one_way = zone_at < original_end
    if one_way:
        (zone,) = _SHORT.unpack_from(data, zone_at + 4)
    icmp = (0, 0)
    if protocol not in TRACKED_BY_PORTS:
        if protocol in (ICMP, ICMPV6):
            icmp = (dport >> 8, data[original + _CODE_AT + wider])
        else:
            sport = reply_sport = 0
        dport, reply_dport = sport, reply_sport
    return Flow(
        protocol, src, sport, dst, dport, reply_src, reply_sport, reply_dst, reply_dport,
        mark, zone, status, timeout, state if protocol == TCP else 0, icmp, identity, one_way, is_ipv6,
    )  # fmt: skip


def _ends6(data: bytes, at: int) -> tuple[int, int, int, int, int]:
    """Source, destination, protocol and both ports of a tuple of IPv6."""
    src, dst, *numbers = _TUPLE6.unpack_from(data, at)
    protocol, sport, dport = numbers
    return int.from_bytes(src, "big"), int.from_bytes(dst, "big"), protocol, sport, dport


def _deletion(flow: Flow) -> bytes:
    family = netlink.IPV6 if flow.is_ipv6 else netlink.IPV4
    return netlink.message(_DELETE, netlink.REQUEST, _named(flow), family=family)


def _named(flow: Flow) -> bytes:
    """The attributes by which the kernel finds exactly this connection."""
    kind, size = (3, 16) if flow.is_ipv6 else (1, 4)
    ends = ((kind, flow.src), (kind + 1, flow.dst))
    addresses = b"".join(attribute(at, end.to_bytes(size, "big")) for at, end in ends)
    numbers = attribute(1, bytes((flow.protocol,)))
    if flow.protocol in TRACKED_BY_PORTS:
        numbers += attribute(2, _SHORT.pack(flow.sport)) + attribute(3, _SHORT.pack(flow.dport))
    elif flow.protocol in (ICMP, ICMPV6):
        at = 7 if flow.protocol == ICMPV6 else 4
        numbers += attribute(at, _SHORT.pack(flow.sport))
        numbers += b"".join(attribute(at + 1 + index, bytes((byte,))) for index, byte in enumerate(flow.icmp))
    inner = attribute(1 | NESTED, addresses) + attribute(2 | NESTED, numbers)
    zone = _SHORT.pack(flow.zone)
    if flow.zone_one_way:
        inner += attribute(_TUPLE_ZONE, zone)
    named = attribute(TUPLE_ORIGINAL | NESTED, inner) + attribute(_ID, _NUMBER.pack(flow.id))
    return named if flow.zone_one_way or not flow.zone else named + attribute(_ZONE, zone)


def _vanished(link: socket) -> int:
    """How many of the deletions just sent found nothing; only refusals are answered, and at once."""
    import socket

    found = 0
    while True:
        try:
            error = netlink.refusal(link.recv(netlink.RECEIVED, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return found
        if error.errno != errno.ENOENT:
            raise problem(error)
        found += 1


def problem(error: OSError) -> KernelError:
    if error.errno == errno.EPERM:
        return KernelError(NOT_PERMITTED.format("connections"))
    if error.errno == errno.EINVAL:
        return KernelError("the kernel cannot list connections; load the module nf_conntrack_netlink")
    return KernelError(f"listing connections failed: {error.strerror}")
