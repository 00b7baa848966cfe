"""The open ports in the kernel's sets, and a copy of them in memory: the kernel's are the ones that count.

A forwarding is three elements with one lifetime, put by one transaction: the entries of its socket in `eim`
and `eif`, as a packet would have made them, and the global socket in `forwarded`, with nonce and inside
socket as its comment. In a dynamic pool the same transaction renews the subscriber's assignment, which so
outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.kernel.expiring import ExpiringMaps
from nfcompile.kernel.socket_entries import (
    NewElement,
    Socket,
    SocketElement,
    SocketEntries,
    address_bytes,
    end_bytes,
    mark_bytes,
    socket_bytes,
)
from nfcompile.lower import names
from nfcompile.model.parse import Fault, address
from nfcompile.model.ranges import address_text
from nfcompile.pcp.decisions import Attempt, Closing, Forwarding
from nfcompile.pcp.messages import NONCE_BYTES, ResultCode, Told, refused
from nfcompile.pcp.serving import Inside, ServedPool, ServedPools

FADING = 40
"""Seconds that the entries of a closed port stay: a connection that still uses it renews them within 30."""
SLACK = 5.0
"""An element that is gone so many seconds before its time has been removed."""
Key = tuple[int, int, int]
"""Protocol, address and port of a subscriber's socket."""


class AssignedBlock(NamedTuple):
    """A block that the kernel has assigned to a subscriber of a dynamic pool, in a slot, by its number."""

    slot: int
    number: int
    block: Block


class ForwardingStore:
    """The open ports of one gateway. Methods raise KernelError."""

    def __init__(self, namespace: str | None) -> None:
        self._entries = SocketEntries(namespace)
        self._assigned = ExpiringMaps(namespace)
        self._open: dict[int, dict[Key, Forwarding]] = {}

    @property
    def count(self) -> int:
        """How many ports are open, or were when that was last looked at."""
        return sum(map(len, self._open.values()))

    def of(self, subscriber: int, now: float) -> list[Forwarding]:
        """The open ports of a subscriber, each with the seconds that it has left. `now` is of one clock."""
        mine = self._open.get(subscriber, {})
        for key in [key for key, one in mine.items() if one.left <= now]:
            del mine[key]
        if not mine:
            self._open.pop(subscriber, None)
        return [one._replace(left=one.left - now) for one in mine.values()]

    def assigned(self, served: ServedPool, subscriber: int) -> list[AssignedBlock]:
        """The blocks that a subscriber of a dynamic pool has now."""
        found = []
        for slot in range(1, served.allocation.blocks_each + 1) if served.numbering else ():
            maps = names.assignments(slot, served.pool.name)
            elements = (self._assigned.one(str(one), subscriber) for one in maps)
            element = next((one for one in elements if one is not None), None)
            block = served.numbering.block(element.number) if element and served.numbering else None
            if element is not None and block is not None:
                found.append(AssignedBlock(slot, element.number, block))
        return found

    def mapped(self, served: ServedPool, socket: Socket) -> tuple[int, int] | None:
        """The global address and port that an inside socket has already."""
        if not served.pool.keeps_forwardings:
            return None
        element = self._entries.one(str(names.eim(served.pool.name)), socket)
        return None if element is None else element.end

    # ---- changes

    def open(
        self, attempt: Attempt, inside: Socket, nonce: bytes, blocks: list[AssignedBlock], now: float
    ) -> Told:
        """Open the first of the ports that is free: the kernel refuses one that another socket has."""
        kept = list(_assignment(attempt.pool, inside.address, blocks))
        for port in attempt.ports:
            outside = Socket(inside.protocol, attempt.address, port)
            if self._entries.put([*_forwarding(attempt, outside, inside, nonce), *kept]):
                mine = self._open.setdefault(inside.address, {})
                until = now + attempt.lifetime
                mine[inside] = Forwarding(attempt.pool, *inside, attempt.address, port, nonce, until)
                return Told(ResultCode.SUCCESS, attempt.lifetime, attempt.address, port)
        return refused(attempt.otherwise)

    def open_again(self, served: ServedPool, one: Forwarding, now: float) -> bool:
        """Open a port that the subscriber had on the peer, for the time that is left; False where the site
        does not give that port here, or another socket has it."""
        socket = Socket(one.protocol, one.address, one.port)
        held = self.assigned(served, one.address)
        inside, end = Inside("", *socket), (one.global_address, one.global_port)
        if not served.pool.keeps_forwardings or not served.gives(inside, end, [a.block for a in held]):
            return False
        code = ResultCode.NO_RESOURCES
        attempt = Attempt(one.pool, one.global_address, (one.global_port,), int(one.left), code)
        return self.open(attempt, socket, one.nonce, held, now).result is ResultCode.SUCCESS

    def forwards(self) -> bool:
        """Whether the gate of this node of a pair is open."""
        return self._entries.holds_any(str(names.GATE))

    def close(self, closing: Closing) -> Told:
        """Close ports. Connections through them go on."""
        for one in closing.forwardings:
            outside = Socket(one.protocol, one.global_address, one.global_port)
            inside = Socket(one.protocol, one.address, one.port)
            self._entries.remove(str(names.forwarded(one.pool)), outside)
            self._entries.put(_mapping(one.pool, outside, inside, FADING))
            mine = self._open.get(one.address, {})
            mine.pop(inside, None)
        return closing.told

    # ---- what the kernel holds

    def read(self, pools: ServedPools, now: float) -> bool:
        """Copy what the kernel holds; whether anything is gone before its time. What leads nowhere goes."""
        known = (one for mine in self._open.values() for one in mine.values())
        before = {one[1:6] for one in known if one.left > now + SLACK}
        self._open = {}
        for served in pools.pools.values():
            if served.pool.keeps_forwardings:
                for one in self._read_pool(served.allocation, now):
                    before.discard(one[1:6])
                    self._open.setdefault(one.address, {})[one[1:4]] = one
        return bool(before)

    def _read_pool(self, allocation: PoolAllocation, now: float) -> Iterator[Forwarding]:
        pool = allocation.pool.name
        for element in list(self._entries.every(str(names.forwarded(pool)))):
            found = read_forwarding(pool, element, now)
            leads = None if found is None else self._entries.one(str(names.eif(pool)), element.key)
            if found is None or leads is None or leads.end != (found.address, found.port):
                self._entries.remove(str(names.forwarded(pool)), element.key)
            else:
                yield found


def _forwarding(attempt: Attempt, outside: Socket, inside: Socket, nonce: bytes) -> Iterator[NewElement]:
    note = f"{nonce.hex()} {address_text(inside.address)} {inside.port}"
    name = str(names.forwarded(attempt.pool))
    yield NewElement(name, socket_bytes(outside), seconds=attempt.lifetime, comment=note)
    yield from _mapping(attempt.pool, outside, inside, attempt.lifetime)


def _mapping(pool: str, outside: Socket, inside: Socket, seconds: int) -> Iterator[NewElement]:
    yield NewElement(str(names.eim(pool)), socket_bytes(inside), end_bytes(outside.end), seconds)
    yield NewElement(str(names.eif(pool)), socket_bytes(outside), end_bytes(inside.end), seconds)


def _assignment(pool: str, subscriber: int, blocks: list[AssignedBlock]) -> Iterator[NewElement]:
    """The blocks of a subscriber, with the whole lifetime of their sets, on trial or not."""
    for one in blocks:
        number = mark_bytes(one.number)
        yield NewElement(str(names.assigned(one.slot, pool)), address_bytes(subscriber), number)
        yield NewElement(str(names.taken(pool)), number)


def read_forwarding(pool: str, element: SocketElement, now: float) -> Forwarding | None:
    """A forwarding by its element of `forwarded`; None where another program has made that. `left` is the
    moment of its end, counted from `now`."""
    words = element.comment.split(" ")
    try:
        nonce, inside, port = bytes.fromhex(words[0]), address(words[1]), int(words[2])
    except (ValueError, IndexError, Fault):
        return None
    if len(nonce) != NONCE_BYTES:
        return None
    key, until = element.key, now + element.left / 1000
    return Forwarding(pool, key.protocol, inside, port, key.address, key.port, nonce, until)
