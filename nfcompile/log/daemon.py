"""The loop of the log daemon: kernel -> records -> outputs, until it is told to end.

One thread reads the kernel and never waits for an output. Blocks of which a message was lost are found in
the kernel, so a loss of block messages costs the exact time of an assignment, not the assignment.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nfcompile.kernel.conntrack_events import ConnectionEvents
from nfcompile.kernel.expiring import ExpiringMaps
from nfcompile.kernel.packet_log import PacketLog
from nfcompile.live.follow import FollowedSite, ScrapedSite
from nfcompile.log import statistics
from nfcompile.log.delivery import Delivery, Output
from nfcompile.log.memory_mark import MemoryMark
from nfcompile.log.process import Signals
from nfcompile.log.reading import SiteReader
from nfcompile.log.records import LOST, STARTED, STOPPED, BlockRecord, LogEvent, Record, time_text
from nfcompile.log.spool import Spool
from nfcompile.log.statistics import LogFigures, SourceFigures
from nfcompile.log.watch import BlockWatch
from nfcompile.lower.names import LOG_GROUP
from nfcompile.records import store
from nfcompile.records.clock import microseconds

GATHER = 0.02
"""Seconds that messages may gather in the kernel: a thousand at once cost less than one by one."""
LOOKS_AT_ONCE = 1000
DATAGRAMS_AT_ONCE = 2000
TICK, FIGURES_EVERY = 1.0, 5.0
LAST_PATIENCE = 5.0
BLOCKS, CONNECTIONS, MEMORY = "blocks", "connections", "memory"


class LogSettings(NamedTuple):
    """What to read and where to keep the daemon's own files.

    `sources` are BLOCKS and CONNECTIONS; `begins` adds the begin of each connection; `room` is the receive
    buffer of each source, `spool` the disk for each output, both in bytes.
    """

    folder: str
    root: str | None
    namespace: str | None
    sources: tuple[str, ...]
    begins: bool
    room: int
    spool: int


class Daemon:
    """From the first message to the last."""

    def __init__(
        self, settings: LogSettings, site: ScrapedSite, outputs: Sequence[Output], say: Callable[[str], None]
    ) -> None:
        """Open everything. Raises KernelError."""
        self._settings, self._say = settings, say
        self._followed = FollowedSite(site, settings.root, settings.namespace)
        self._maps = ExpiringMaps(settings.namespace)
        self._watch = BlockWatch(self._left)
        self._packets = self._events = None
        if BLOCKS in settings.sources:
            self._packets = PacketLog(LOG_GROUP, settings.namespace, settings.room)
        if CONNECTIONS in settings.sources:
            self._events = ConnectionEvents(settings.namespace, settings.room, settings.begins)
        self._killed: list[tuple[Delivery, list[LogEvent]]] = []
        self._deliveries = [self._delivery(one) for one in outputs]
        self._read = {BLOCKS: 0, CONNECTIONS: 0}
        self._foreign = {BLOCKS: 0, CONNECTIONS: 0}
        self._told = {BLOCKS: 0, CONNECTIONS: 0}
        self._started = time_text(_now())
        self._reader = self._older = SiteReader(site.compiled)
        self._since = 0
        self._reconciles, self._overruns = True, 0

    def _delivery(self, output: Output) -> Delivery:
        """The way to an output; of one that was killed, what it had in memory is lost, and said."""
        folder = os.path.join(self._settings.folder, store.digest(output.name.encode())[:16])
        spool = Spool(folder, self._settings.spool)
        mark = MemoryMark(folder)
        made = Delivery(output, spool, mark)
        if mark.was_killed:
            killed = [LogEvent(STOPPED, mark.died)]
            if mark.left:
                killed.append(LogEvent(LOST, _now(), MEMORY, mark.left))
            self._killed.append((made, killed))
            self._say(
                f"the last log was killed: at most {mark.left} records for {output.name} were in memory and "
                "are lost, as are messages of the kernel that were not read yet"
            )
        return made

    def run(self, signals: Signals) -> LogFigures:
        """Log until a signal or an output ends it; the last figures. Raises KernelError, and even then the
        outputs get what was read."""
        for one in self._deliveries:
            one.start()
        for one, killed in self._killed:
            one.put(killed)
        self._put([LogEvent(STARTED, _now())])
        poll = select.poll()
        for source in (self._packets, self._events, signals.descriptor):
            if source is not None:
                poll.register(source, select.POLLIN)
        try:
            self._loop(poll, signals)
        finally:
            figures = self._end()
        return figures

    def _loop(self, poll: select.poll, signals: Signals) -> None:
        written = 0.0
        while not signals.ends() and all(one.runs for one in self._deliveries):
            if signals.reopens():
                for one in self._deliveries:
                    one.output.reopen()
            self._turn()
            if time.monotonic() - written >= FIGURES_EVERY:
                self._write_figures()
                written = time.monotonic()
            if poll.poll(self._wait()):
                time.sleep(GATHER)

    def _wait(self) -> float:
        """Milliseconds until there is something to do without a message."""
        return min(TICK * 1000, self._watch.wait(_clock()) / 1000 + 1)

    def _turn(self) -> None:
        self._follow()
        found: list[Record] = [*self._assignments(), *self._connections()]
        if self._packets is not None:
            if self._reconciles:
                self._reconciles = False
                found += self._reconciled()
            found += self._watch.due(_now(), _clock(), LOOKS_AT_ONCE)
        found += self._losses()
        self._put(found)

    def _follow(self) -> None:
        """Take another site when the history has changed."""
        if not self._followed.history_changed():
            return
        before = self._followed.site
        live, _ = self._followed.follow()
        if self._followed.site is not before:
            self._older, self._reader = self._reader, SiteReader(self._followed.site.compiled)
            self._since = microseconds(live.at) if live is not None else 0
            self._reconciles = True

    def _assignments(self) -> Iterator[BlockRecord]:
        if self._packets is None:
            return
        packets = self._packets.read(DATAGRAMS_AT_ONCE)
        clock = _clock()
        for packet in packets:
            reader = self._reader if packet.at >= self._since else self._older
            record = reader.assignment(packet)
            if record is None:
                self._foreign[BLOCKS] += 1
            else:
                yield from self._watch.assigned(record, clock)
        self._read[BLOCKS] += len(packets)

    def _connections(self) -> Iterator[Record]:
        if self._events is None:
            return
        events = self._events.read(DATAGRAMS_AT_ONCE)
        read = self._reader.connection
        records = [record for event in events if (record := read(event)) is not None]
        self._read[CONNECTIONS] += len(events)
        self._foreign[CONNECTIONS] += len(events) - len(records)
        yield from records

    def _reconciled(self) -> list[BlockRecord]:
        """What the kernel holds now against what is known."""
        clock = _clock()
        listed = [
            (pool, element)
            for pool in self._reader.pools.values()
            for name in pool.maps
            for element in self._maps.every(name)
        ]
        time.sleep(GATHER)  # the kernel holds messages back for less, so those about what was listed are here
        at = _now()
        held = ((self._reader.held(pool, at, one.key, one.number), one.left) for pool, one in listed)
        late = list(self._assignments())  # of what came while the maps were read: these have the exact time
        found = [(record, left * 1000) for record, left in held if record is not None]
        return [*late, *self._watch.reconcile(found, at, clock)]

    def _left(self, record: BlockRecord) -> int | None:
        """The microseconds that the element of a block has left."""
        pool = self._reader.pools.get(record.pool)
        for name in pool.maps if pool else ():
            element = self._maps.one(name, record.subscriber)
            if element is not None and element.number == record.number:
                return element.left * 1000
        return None

    def _losses(self) -> Iterator[LogEvent]:
        """A line in the log itself for messages that were lost, where they are missing.

        Of block messages the number is known when the next one arrives; that some are missing, at once.
        """
        if self._packets is not None and self._packets.overruns != self._overruns:
            self._overruns = self._packets.overruns
            self._reconciles = True
        for source in self._sources():
            lost = source.lost - self._told[source.name]
            if lost:
                self._told[source.name] = source.lost
                self._reconciles |= source.name == BLOCKS
                self._say(f"{lost} messages of {source.name} were lost: the receive buffer was full")
                yield LogEvent(LOST, _now(), source.name, lost)

    def _sources(self) -> list[SourceFigures]:
        found = []
        for name, source in ((BLOCKS, self._packets), (CONNECTIONS, self._events)):
            if source is not None:
                figures = self._read[name], self._foreign[name], source.lost, source.overruns, source.room
                found.append(SourceFigures(name, *figures))
        return found

    def _figures(self) -> LogFigures:
        return LogFigures(
            self._started,
            time_text(_now()),
            os.getpid(),
            self._followed.site.digest,
            len(self._watch.held),
            tuple(self._sources()),
            tuple(one.state() for one in self._deliveries),
        )

    def _write_figures(self) -> None:
        try:
            statistics.write(self._settings.folder, self._figures())
        except OSError as error:
            self._say(f"cannot write the figures to '{self._settings.folder}': {error.strerror}")

    def _put(self, records: Sequence[Record]) -> None:
        if records:
            for one in self._deliveries:
                one.put(records)

    def _end(self) -> LogFigures:
        """Take no more messages, but all that were sent before; then empty the queues."""
        for source in (self._packets, self._events):
            if source is not None:
                source.leave()
        while found := [*self._assignments(), *self._connections()]:
            self._put(found)
        self._put([*self._losses(), LogEvent(STOPPED, _now())])
        for one in self._deliveries:
            one.stop(LAST_PATIENCE)
        self._write_figures()
        return self._figures()


def _now() -> int:
    return time.time_ns() // 1000


def _clock() -> int:
    return time.monotonic_ns() // 1000
