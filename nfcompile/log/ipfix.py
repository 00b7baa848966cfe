"""Records as IPFIX messages (RFC 7011) with the events of RFC 8158.

natEvent 4 and 5 are the begin and the end of a connection, 16 and 17 a block of ports that is assigned and
released, 14 and 15 the same of a whole address. natPoolId is the pool's priority, 0 for an snat rule.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence

from nfcompile.log.records import BEGAN, RELEASED, BlockRecord, ConnectionRecord, Record

OBSERVATION_DOMAIN = 1
TEMPLATE_SET = 2
CONNECTION, BLOCK, ADDRESS = 256, 257, 258
_VERSION = 10
_MESSAGE = struct.Struct(">HHIII")
_SET = struct.Struct(">HH")

OBSERVED, SOURCE, TRANSLATED, PROTOCOL = (323, 8), (8, 4), (225, 4), (4, 1)
PORT, TRANSLATED_PORT = (7, 2), (227, 2)
REMOTE, REMOTE_PORT, REALM, EVENT, POOL = (12, 4), (11, 2), (229, 1), (230, 1), (283, 4)
FIRST, LAST, STEP = (361, 2), (362, 2), (363, 2)
"""Information elements by number and length: observationTimeMilliseconds, sourceIPv4Address,
postNATSourceIPv4Address, protocolIdentifier, sourceTransportPort, postNAPTSourceTransportPort;
destinationIPv4Address, destinationTransportPort, natOriginatingAddressRealm (1 inside, 2 outside), natEvent,
natPoolId; portRangeStart, portRangeEnd, portRangeStepSize."""
TEMPLATES = {
    CONNECTION: (
        *(OBSERVED, EVENT, SOURCE, TRANSLATED, PROTOCOL, PORT, TRANSLATED_PORT),
        *(REMOTE, REMOTE_PORT, REALM, POOL),
    ),
    BLOCK: (OBSERVED, EVENT, SOURCE, TRANSLATED, FIRST, LAST, STEP, POOL),
    ADDRESS: (OBSERVED, EVENT, SOURCE, TRANSLATED, POOL),
}
_CONNECTION = struct.Struct(">QBIIBHHIHBI")
_BLOCK = struct.Struct(">QBIIHHHI")
_ADDRESS = struct.Struct(">QBIII")


class IpfixSession:
    """One transport session: counts its data records, as each message's header says how many came before."""

    def __init__(self) -> None:
        self._sequence = 0

    def messages(self, records: Sequence[Record], room: int, templates: bool) -> Iterator[bytes]:
        """The records, in messages of at most `room` bytes; the first may describe the templates."""
        begins = _templates() if templates else b""
        sets, size, count = [begins], _MESSAGE.size + len(begins), 0
        open_set: list[bytes] = []
        kind = 0
        for record in records:
            made = data_record(record)
            if made is None:
                continue
            needed = len(made[1]) + (_SET.size if made[0] != kind else 0)
            if size + needed > room:
                sets.append(_set(kind, open_set))
                yield self._message(sets, count)
                sets, open_set, size, count, kind = [], [], _MESSAGE.size, 0, 0
            if made[0] != kind:
                sets.append(_set(kind, open_set))
                open_set, kind = [], made[0]
                size += _SET.size
            open_set.append(made[1])
            size += len(made[1])
            count += 1
        sets.append(_set(kind, open_set))
        if count or begins:
            yield self._message(sets, count)

    def _message(self, sets: list[bytes], count: int) -> bytes:
        body = b"".join(sets)
        now = int(time.time()) & 0xFFFFFFFF
        header = _MESSAGE.pack(_VERSION, _MESSAGE.size + len(body), now, self._sequence, OBSERVATION_DOMAIN)
        self._sequence = (self._sequence + count) & 0xFFFFFFFF
        return header + body


def data_record(record: Record) -> tuple[int, bytes] | None:
    """The template and the fields of a record; None for one that IPFIX has no event for."""
    if isinstance(record, ConnectionRecord):
        return CONNECTION, _CONNECTION.pack(
            record.at // 1000,
            4 if record.event == BEGAN else 5,
            record.subscriber,
            record.address,
            record.protocol,
            record.port,
            record.global_port,
            record.remote,
            record.remote_port,
            2 if record.inward else 1,
            record.priority,
        )
    if not isinstance(record, BlockRecord):
        return None
    released = record.event == RELEASED
    at, priority = record.at // 1000, record.priority
    if record.first:
        event = 17 if released else 16
        return BLOCK, _BLOCK.pack(
            at, event, record.subscriber, record.address, record.first, record.last, 1, priority
        )
    return ADDRESS, _ADDRESS.pack(at, 15 if released else 14, record.subscriber, record.address, priority)


def _templates() -> bytes:
    described = b"".join(
        struct.pack(">HH", number, len(fields)) + b"".join(struct.pack(">HH", *field) for field in fields)
        for number, fields in TEMPLATES.items()
    )
    return _SET.pack(TEMPLATE_SET, _SET.size + len(described)) + described


def _set(kind: int, records: list[bytes]) -> bytes:
    if not records:
        return b""
    data = b"".join(records)
    return _SET.pack(kind, _SET.size + len(data)) + data
