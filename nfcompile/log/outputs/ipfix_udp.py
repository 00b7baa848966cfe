"""IPFIX over UDP (RFC 7011 section 10.3): templates are sent again every minute.

UDP tells only that nothing listens (ICMP port unreachable), and that late: the records that were sent last
are kept, and sent again where they were refused. What a collector's full buffer drops is seen by the
collector alone, in the sequence numbers; TCP is the better way.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from nfcompile.log.delivery import OutputAway
from nfcompile.log.ipfix import IpfixSession
from nfcompile.log.records import Record

MESSAGE_BYTES = 1400
"""Of one datagram, which is not to be fragmented."""
TEMPLATES_AGAIN = 60.0
HEARD = 0.2
"""Seconds within which a collector that is not there lets itself be known."""


class IpfixUdp:
    """A connected socket: the kernel tells it of refusals."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"ipfix+udp://{host}:{port}"
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._session, self._templates_at = IpfixSession(), 0.0
        self._doubtful: list[Record] = []
        self._trusted = False

    def deliver(self, records: Sequence[Record]) -> None:
        """Send the records; after a refusal those that came before, too."""
        try:
            self._check()
            self._send([*([] if self._trusted else self._doubtful), *records])
            if not self._trusted:
                time.sleep(HEARD)
                self._check()
                self._trusted = True
            self._doubtful = list(records)
        except OSError as error:
            self._shut()
            raise OutputAway(f"{self.name}: {error.strerror or error}") from None

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """The end."""
        self._shut()

    def _send(self, records: Sequence[Record]) -> None:
        if self._socket is None:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
            self._session, self._templates_at = IpfixSession(), 0.0
        now = time.monotonic()
        again = not self._templates_at or now - self._templates_at >= TEMPLATES_AGAIN
        for message in self._session.messages(records, MESSAGE_BYTES, again):
            self._socket.send(message)
        if again:
            self._templates_at = now

    def _check(self) -> None:
        """Raise what the kernel has learnt of what was sent."""
        if self._socket is not None:
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                import os

                raise OSError(number, os.strerror(number))

    def _shut(self) -> None:
        self._trusted = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None
