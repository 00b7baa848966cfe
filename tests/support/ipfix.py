"""A collector of IPFIX over TCP or UDP, and a decoder of RFC 7011 that knows nothing of nfcompile."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

NAMES = {
    4: "protocol", 7: "port", 8: "subscriber", 11: "remote_port", 12: "remote",
    225: "global_ip", 227: "global_port", 229: "realm", 230: "event", 283: "pool",
    323: "time", 361: "port_first", 362: "port_last", 363: "step",
}  # fmt: skip
Decoded = dict[str, int]


class Decoder:
    """The state of one transport session: templates by number, and the expected sequence number."""

    def __init__(self) -> None:
        self.templates: dict[int, list[tuple[int, int]]] = {}
        self.sequence: int | None = None
        self.missing = 0

    def message(self, data: bytes) -> Iterator[Decoded]:
        """The records of one message; its length must be right, and its templates known."""
        version, length, _, sequence, _ = struct.unpack_from(">HHIII", data)
        assert (version, length) == (10, len(data))
        if self.sequence is not None:
            self.missing += (sequence - self.sequence) & 0xFFFFFFFF
        found = [record for kind, body in _sets(data) for record in self._set(kind, body)]
        self.sequence = (sequence + len(found)) & 0xFFFFFFFF
        yield from found

    def _set(self, kind: int, body: bytes) -> Iterator[Decoded]:
        if kind == 2:
            self._learn(body)
            return
        fields = self.templates[kind]
        size = sum(length for _, length in fields)
        assert len(body) % size == 0, "padding where none is"
        for start in range(0, len(body), size):
            at, record = start, {}
            for element, length in fields:
                record[NAMES[element]] = int.from_bytes(body[at : at + length], "big")
                at += length
            yield record

    def _learn(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            number, count = struct.unpack_from(">HH", body, at)
            pairs = struct.iter_unpack(">HH", body[at + 4 : at + 4 + 4 * count])
            self.templates[number] = [(element, length) for element, length in pairs]
            at += 4 + 4 * count


def _sets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 16
    while at < len(data):
        kind, length = struct.unpack_from(">HH", data, at)
        yield kind, data[at + 4 : at + length]
        at += length


class Collector:
    """Collects from a socket that is bound already, in a thread, until `close`."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound, self._accepted = bound, []
        self.records: list[Decoded] = []
        self.decoders: list[Decoder] = []
        self._open = True
        bound.settimeout(0.1)
        if bound.type == socket.SOCK_STREAM:
            bound.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be away: no connection, and nothing listens."""
        self._open = False
        self._thread.join()
        self._bound.close()

    def _run(self) -> None:
        if self._bound.type == socket.SOCK_DGRAM:
            self.decoders.append(Decoder())
        while self._open:
            try:
                if self._bound.type == socket.SOCK_DGRAM:
                    self.records += self.decoders[0].message(self._bound.recv(65536))
                else:
                    self._stream(self._bound.accept()[0])
            except TimeoutError:
                continue

    def _stream(self, link: socket.socket) -> None:
        decoder, data = Decoder(), b""
        self.decoders.append(decoder)
        link.settimeout(0.1)
        with link:
            while self._open:
                try:
                    more = link.recv(65536)
                except TimeoutError:
                    continue
                if not more:
                    return
                data += more
                while len(data) >= 4 and len(data) >= (length := struct.unpack_from(">H", data, 2)[0]):
                    self.records += decoder.message(data[:length])
                    data = data[length:]
