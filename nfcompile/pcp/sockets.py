"""The UDP sockets of the daemon: one for each inside interface, which takes what comes in there alone.

Each answer leaves with the address that the request was sent to: clients drop others (RFC 6887, section 8.3).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.kernel import KernelError, netns

PORT, CLIENT_PORT = 5351, 5350
ALL_HOSTS = "224.0.0.1"
AT_ONCE = 64
"""Requests that are read from one interface before the others are looked at."""
_PACKET_INFO = 8
"""IP_PKTINFO (linux/in.h)."""
_INFO = struct.Struct("=i4s4s")
_LONGEST = 2048


class Datagram(NamedTuple):
    """What has come, from which address and port, and to which of our own addresses."""

    data: bytes
    source: tuple[str, int]
    own: bytes


class InsideSocket:
    """The socket of one interface."""

    def __init__(self, interface: str, namespace: str | None) -> None:
        """Raises KernelError where there is no such interface, or another program has the port."""
        self.interface = interface

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
                made.setsockopt(socket.IPPROTO_IP, _PACKET_INFO, 1)
                made.bind(("", PORT))
            except OSError as error:
                made.close()
                raise KernelError(f"cannot listen on '{interface}': {error.strerror}") from None
            return made

        self._link = netns.beside(namespace, make)

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        self._link.close()

    def received(self) -> Iterator[Datagram]:
        """What has come so far, without waiting."""
        for _ in range(AT_ONCE):
            try:
                data, ancillary, _, source = self._link.recvmsg(_LONGEST, socket.CMSG_SPACE(_INFO.size))
            except OSError:
                # Nothing more; or the interface is gone, which the next look at the interfaces finds.
                return
            info = [value for _, kind, value in ancillary if kind == _PACKET_INFO]
            if info:
                yield Datagram(data, source, _INFO.unpack(info[0][: _INFO.size])[1])

    def answer(self, datagram: Datagram, data: bytes) -> None:
        """Send an answer. One that cannot be sent is lost, as packets are: the client asks again."""
        info = _INFO.pack(0, datagram.own, bytes(4))
        try:
            self._link.sendmsg([data], [(socket.IPPROTO_IP, _PACKET_INFO, info)], 0, datagram.source)
        except OSError:
            return

    def announce(self, data: bytes, own: int = 0) -> None:
        """Send something to all hosts behind the interface, from our address `own` (0: the kernel chooses).
        Clients believe only the address that they ask (RFC 6887, section 14.1.3)."""
        info = _INFO.pack(0, own.to_bytes(4, "big"), bytes(4))
        try:
            self._link.sendmsg([data], [(socket.IPPROTO_IP, _PACKET_INFO, info)], 0, (ALL_HOSTS, CLIENT_PORT))
        except OSError:
            return
