"""Connections that the kernel tracks (IPv4): a stream of them, their number, and the end of some.

Speaks ctnetlink (linux/netfilter/nfnetlink_conntrack.h, kernel 4.8 and later) on a plain socket. pyroute2
needs 70 us for an entry, this 3: a gateway has a million of them. Knows nothing of pools.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.kernel import KernelError, netns

if TYPE_CHECKING:
    from socket import socket

ICMP, TCP, UDP, GRE = 1, 6, 17, 47
PORTED = frozenset((TCP, UDP, 33, GRE, 132, 136))
"""Protocols with two numbers in their tuples; GRE's are keys."""

SEEN_REPLY, ASSURED, SOURCE_NAT, DESTINATION_NAT = 1 << 1, 1 << 2, 1 << 4, 1 << 5
"""Bits of `Flow.status` (IPS_*)."""


class Flow(NamedTuple):
    """One connection, as the first packet came in (src, dst) and as answers come in (reply_src, reply_dst).

    Addresses and ports are integers; protocols without ports have 0, ICMP has its id in both ports of a
    side. `timeout` is what is left, in seconds; `tcp_state` is nf_conntrack's (3 = established; 0 for
    others); `icmp` is the type and code of the first packet; `id` is the kernel's.
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


NETLINK_NETFILTER = 12
_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_TUPLE_ORIGINAL, _TUPLE_REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _MARK, _ID = 1, 2, 3, 4, 7, 8, 12
_ZONE, _MARK_MASK, _STATUS_MASK = 18, 21, 26

_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.pack("=BBH", 2, 0, 0)
_START = _HEADER.size + len(_FAMILY)
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct(">I")
# The kernel writes the attributes of a tuple in one order (ctnetlink_dump_tuples); what stands between
# the values is their headers: IP { source, destination }, PROTO { number, sport or id, dport or type, code }.
_TUPLE = struct.Struct(">8xI4xI8xB7xH6xH")
_CODE_AT = 52

RECEIVED = 1 << 16
"""Bytes of one answer: the kernel gives at most 32 KiB at once."""
DELETED_AT_ONCE = 100
"""Deletions in one message: their refusals fit in the socket's buffer."""


def flows(
    namespace: str | None = None,
    *,
    mark: tuple[int, int] | None = None,
    status: tuple[int, int] | None = None,
    zone: int | None = None,
) -> Iterator[Flow]:
    """Every connection of the namespace (None: our own), while the kernel lists them; nothing is kept.

    `mark` and `status` are (value, mask), `zone` is a number: the kernel filters where it can (marks always,
    status since 5.18, zones since 6.8), the rest is done here. What comes or goes meanwhile may be
    missing. Raises KernelError, from the first step on.
    """
    asked = b"".join(
        _attribute(kind, _NUMBER.pack(value))
        for kinds, pair in (((_MARK, _MARK_MASK), mark), ((_STATUS, _STATUS_MASK), status))
        if pair is not None
        for kind, value in zip(kinds, pair, strict=True)
    )
    if zone is not None:
        asked += _attribute(_ZONE, struct.pack(">H", zone))
    for flow in _dump(namespace, asked):
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
    with _opened(namespace) as link:
        while batch := list(islice(waiting, DELETED_AT_ONCE)):
            link.send(b"".join(_message(_DELETE, _REQUEST, _named(flow)) for flow in batch))
            deleted += len(batch) - _vanished(link)
    return deleted


def count(namespace: str | None = None) -> tuple[int, int]:
    """How many connections the namespace tracks, and how many the host allows (0 and 0: none ever)."""

    def read() -> tuple[int, int]:
        try:
            with (
                open("/proc/sys/net/netfilter/nf_conntrack_count") as used,
                open("/proc/sys/net/netfilter/nf_conntrack_max") as limit,
            ):
                return int(used.read()), int(limit.read())
        except FileNotFoundError:
            return 0, 0

    return netns.inside(namespace, read)


def _dump(namespace: str | None, asked: bytes) -> Iterator[Flow]:
    with _opened(namespace) as link:
        link.send(_message(_GET, _REQUEST | _DUMP, asked))
        while True:
            data = link.recv(RECEIVED)
            at = 0
            while at < len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    _raise(_errno(data, at))
                yield _flow(data, at + _START, at + length)
                at += (length + 3) & ~3


def _flow(data: bytes, at: int, end: int) -> Flow:
    mark = zone = status = timeout = state = identity = 0
    original = reply = at
    while at < end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        kind &= ~_NESTED
        if kind == _TUPLE_ORIGINAL:
            original = at + 4
        elif kind == _TUPLE_REPLY:
            reply = at + 4
        elif kind == _STATUS:
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
            zone = data[at + 4] << 8 | data[at + 5]
        at += (length + 3) & ~3
    src, dst, protocol, sport, dport = _TUPLE.unpack_from(data, original)
    reply_src, reply_dst, _, reply_sport, reply_dport = _TUPLE.unpack_from(data, reply)
    icmp = (0, 0)
    if protocol not in PORTED:
        if protocol == ICMP:
            icmp = (dport >> 8, data[original + _CODE_AT])
        else:
            sport = reply_sport = 0
        dport, reply_dport = sport, reply_sport
    return Flow(
        protocol, src, sport, dst, dport, reply_src, reply_sport, reply_dst, reply_dport,
        mark, zone, status, timeout, state if protocol == TCP else 0, icmp, identity,
    )  # fmt: skip


def _named(flow: Flow) -> bytes:
    """The attributes by which the kernel finds exactly this connection."""
    addresses = _attribute(1, _NUMBER.pack(flow.src)) + _attribute(2, _NUMBER.pack(flow.dst))
    numbers = _attribute(1, bytes((flow.protocol,)))
    if flow.protocol in PORTED:
        numbers += _attribute(2, struct.pack(">H", flow.sport)) + _attribute(3, struct.pack(">H", flow.dport))
    elif flow.protocol == ICMP:
        kind, code = flow.icmp
        numbers += _attribute(4, struct.pack(">H", flow.sport))
        numbers += _attribute(5, bytes((kind,))) + _attribute(6, bytes((code,)))
    inner = _attribute(1 | _NESTED, addresses) + _attribute(2 | _NESTED, numbers)
    named = _attribute(_TUPLE_ORIGINAL | _NESTED, inner) + _attribute(_ID, _NUMBER.pack(flow.id))
    return named + _attribute(_ZONE, struct.pack(">H", flow.zone)) if flow.zone else named


def _vanished(link: socket) -> int:
    """How many of the deletions just sent found nothing; only refusals are answered, and at once."""
    import socket

    found = 0
    while True:
        try:
            data = link.recv(RECEIVED, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return found
        if _errno(data, 0) != errno.ENOENT:
            _raise(_errno(data, 0))
        found += 1


def _opened(namespace: str | None) -> socket:
    """A socket of the namespace, whoever reads it later."""
    import socket

    def make() -> socket.socket:
        try:
            link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        except OSError as error:
            raise KernelError(f"the kernel has no nfnetlink: {error.strerror}") from None
        link.bind((0, 0))
        return link

    return netns.beside(namespace, make)


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    return _HEADER.pack(_START + len(attributes), kind, flags, 0, 0) + _FAMILY + attributes


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def _errno(data: bytes, at: int) -> int:
    """The error number of an error message."""
    return -int(struct.unpack_from("=i", data, at + _HEADER.size)[0])


def _raise(number: int) -> None:
    if number == errno.EPERM:
        raise KernelError(
            "the kernel does not let this user at its connections; run as root, "
            "or with CAP_NET_ADMIN in the network namespace"
        )
    if number == errno.EINVAL:
        raise KernelError("the kernel does not list connections; load the module nf_conntrack_netlink")
    raise KernelError(f"the kernel does not list connections: {os.strerror(number)}")
