"""IPFIX over TCP (RFC 7011 section 10.4): records count as delivered when the collector's kernel has them.

IPFIX itself has no answer, so TCP's acknowledgement is waited for; where the connection breaks before it,
the records are sent again by the next one.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Sequence

from nfcompile.log.delivery import OutputAway
from nfcompile.log.ipfix import IpfixSession
from nfcompile.log.records import Record

MESSAGE_BYTES = 16384
CONNECT_SECONDS, ACKNOWLEDGE_SECONDS = 5.0, 10.0


class IpfixTcp:
    """One connection, made when it is needed; templates are sent once on each."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"ipfix+tcp://{host}:{port}"
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._session = IpfixSession()

    def deliver(self, records: Sequence[Record]) -> None:
        """Send the records and wait until they are acknowledged."""
        try:
            begins = self._connect()
            assert self._socket is not None
            for message in self._session.messages(records, MESSAGE_BYTES, begins):
                self._socket.sendall(message)
            self._wait(self._socket)
        except OSError as error:
            self.close()
            raise OutputAway(f"{self.name}: {error.strerror or error}") from None

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> bool:
        """See that there is a connection; whether it is a new one."""
        if self._socket is not None and not _ended(self._socket):
            return False
        self.close()
        self._socket = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(ACKNOWLEDGE_SECONDS)
        self._session = IpfixSession()
        return True

    def _wait(self, link: socket.socket) -> None:
        """Until the other side has acknowledged all bytes. Raises OSError."""
        until, pause = time.monotonic() + ACKNOWLEDGE_SECONDS, 0.0002
        while _unacknowledged(link):
            if _ended(link):
                raise ConnectionError("the collector has closed the connection")
            if time.monotonic() > until:
                raise TimeoutError("the collector does not acknowledge")
            time.sleep(pause)
            pause = min(pause * 2, 0.02)


def _unacknowledged(link: socket.socket) -> int:
    """Bytes that were sent and not acknowledged (SIOCOUTQ, tcp(7))."""
    (count,) = struct.unpack("=i", fcntl.ioctl(link, termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)


def _ended(link: socket.socket) -> bool:
    """Whether the other side has closed: a collector sends nothing else."""
    poll = select.poll()
    poll.register(link, select.POLLIN | select.POLLRDHUP)
    found = poll.poll(0)
    return bool(found and found[0][1] & (select.POLLRDHUP | select.POLLHUP | select.POLLERR))
