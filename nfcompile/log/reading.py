"""Messages of the kernel as records, in the words of one site."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.kernel.conntrack import DESTINATION_NAT, SOURCE_NAT
from nfcompile.kernel.conntrack_events import ConnectionEvent
from nfcompile.kernel.packet_log import LoggedPacket
from nfcompile.live.sessions import reader
from nfcompile.log.records import ASSIGNED, BEGAN, ENDED, HELD, BlockRecord, ConnectionRecord
from nfcompile.lower import names
from nfcompile.pipeline import Compiled
from nfcompile.records.assignment_log import PREFIX

_TRANSLATED = SOURCE_NAT | DESTINATION_NAT


class DynamicPool(NamedTuple):
    """A dynamic pool: what its numbers stand for, and the maps from subscribers to them."""

    name: str
    priority: int
    numbering: Numbering
    maps: tuple[str, ...]


class SiteReader:
    """Reads messages by one compiled site."""

    def __init__(self, compiled: Compiled) -> None:
        self.pools = {one.pool.name: _dynamic(one) for one in compiled.allocations if one.pool.is_dynamic}
        self._priorities = {one.pool.name: one.pool.priority for one in compiled.allocations}
        self._session = reader(compiled)

    def assignment(self, packet: LoggedPacket) -> BlockRecord | None:
        """The block that a message is about; None for a message about something else."""
        if not packet.prefix.startswith(PREFIX):
            return None
        pool = self.pools.get(packet.prefix.removeprefix(PREFIX).strip())
        return pool and self.block(ASSIGNED, pool, packet.at, packet.source, packet.mark)

    def held(self, pool: DynamicPool, at: int, subscriber: int, number: int) -> BlockRecord | None:
        """The record of a block that was found in the kernel."""
        return self.block(HELD, pool, at, subscriber, number)

    def block(
        self, event: str, pool: DynamicPool, at: int, subscriber: int, number: int
    ) -> BlockRecord | None:
        """A record of the block of that number; None where the pool has none."""
        block = pool.numbering.block(number)
        if block is None:
            return None
        return BlockRecord(event, at, pool.name, pool.priority, subscriber, number, *block)

    def connection(self, event: ConnectionEvent) -> ConnectionRecord | None:
        """The record of a connection; None for one that no pool or rule of the site has translated."""
        flow = event.flow
        if not flow.status & _TRANSLATED:
            return None
        session = self._session(flow)
        if session is None:
            return None
        pool = session.pool or ""
        return ConnectionRecord(
            ENDED if event.ended else BEGAN,
            event.at,
            event.began,
            pool,
            "" if pool else str(session.path[-1]),
            self._priorities.get(pool, 0),
            flow.protocol,
            *session.subscriber,
            *session.translated,
            *session.remote,
            session.inward,
        )


def _dynamic(allocation: PoolAllocation) -> DynamicPool:
    pool = allocation.pool
    slots = range(1, allocation.blocks_each + 1)
    maps = tuple(str(one) for slot in slots for one in names.assignments(slot, pool.name))
    return DynamicPool(pool.name, pool.priority, Numbering(allocation.stock), maps)
