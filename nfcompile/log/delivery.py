"""Records on their way to one output: a bounded queue in memory, then a spool on the disk, then a loss.

The thread that reads the kernel never waits for an output; each output has a thread of its own. Records stay
in order, and each is delivered at least once: what an output was given when it failed is given to it again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nfcompile.log.memory_mark import MemoryMark
from nfcompile.log.records import Record
from nfcompile.log.spool import Spool, SpoolFull

AT_ONCE = 1000
IN_MEMORY = 20_000
RETRY_FIRST, RETRY_LAST = 0.25, 5.0


class OutputAway(Exception):
    """An output does not take records at present."""


class OutputEnded(Exception):
    """An output will never take records again."""


class Output(Protocol):
    """Where records go."""

    name: str

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when these are delivered. Raises OutputAway; then the same records come again."""

    def reopen(self) -> None:
        """Begin a new file, where the output is one. Called from another thread."""

    def close(self) -> None:
        """The end."""


class DeliveryState(NamedTuple):
    """How an output fares. `spooled` is bytes on the disk; `away` why it takes nothing, '' where it does;
    `lost` are records for which neither memory nor disk had room."""

    name: str
    delivered: int
    waiting: int
    spooled: int
    lost: int
    away: str


class Delivery:
    """One output with its queue, from `start` to `stop`."""

    def __init__(self, output: Output, spool: Spool, mark: MemoryMark | None = None) -> None:
        """`mark` keeps what is in memory for after a kill; what the last one lost counts as lost here."""
        self.output, self._spool, self._mark = output, spool, mark
        self._queue: deque[Record] = deque()
        self._pending: list[Record] = []
        self._from_spool = False
        self._changed = threading.Condition()
        self._stopping = self._ended = False
        self._delivered, self._lost = 0, mark.left if mark else 0
        self._away = ""
        self._thread = threading.Thread(target=self._run, name=output.name, daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, records: Sequence[Record]) -> None:
        """Take records; never waits for the output."""
        with self._changed:
            if not self._spool and len(self._queue) + len(records) <= IN_MEMORY:
                self._queue.extend(records)
            else:
                try:
                    self._spool.write(records)
                except (SpoolFull, OSError):
                    self._lost += len(records)
            self._note()
            self._changed.notify()

    @property
    def runs(self) -> bool:
        """Whether there is still something that delivers."""
        return self._thread.is_alive()

    def state(self) -> DeliveryState:
        """How it fares."""
        with self._changed:
            self._note()
            return DeliveryState(
                self.output.name,
                self._delivered,
                self._in_memory(),
                self._spool.size,
                self._lost + self._spool.unreadable,
                self._away,
            )

    def stop(self, patience: float) -> None:
        """Deliver what is there, for so many seconds at most; the rest is on the disk afterwards."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(patience)
        with self._changed:
            self._ended = True
            left = [] if self._from_spool else self._pending
            self._pending = []
            try:
                self._spool.put_in_front([*left, *self._queue])
                self._spool.close()
            except OSError:
                self._lost += len(left) + len(self._queue)
            self._queue.clear()
            if self._mark is not None:
                self._mark.close()
                self._mark = None
        self.output.close()

    def _run(self) -> None:
        retry = RETRY_FIRST
        while batch := self._next():
            try:
                self.output.deliver(batch)
            except OutputEnded as ended:
                self._away = str(ended)
                return
            except OutputAway as away:
                with self._changed:
                    self._away = str(away)
                    if self._stopping:
                        return
                    self._sleep(retry)
                retry = min(retry * 2, RETRY_LAST)
            else:
                retry = RETRY_FIRST
                self._done(len(batch))

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._changed.wait(left)

    def _next(self) -> list[Record]:
        """The records that are next, the same ones again until they are done; none at the end."""
        with self._changed:
            while not self._pending:
                if self._ended:
                    return []
                if self._queue:
                    size = min(AT_ONCE, len(self._queue))
                    self._pending = [self._queue.popleft() for _ in range(size)]
                    self._from_spool = False
                elif self._spool and (found := self._spool.read(AT_ONCE)):
                    self._pending = found
                    self._from_spool = True
                elif self._stopping:
                    return []
                elif not self._spool:
                    self._changed.wait()
            return self._pending

    def _done(self, count: int) -> None:
        with self._changed:
            if self._ended:
                return  # `stop` has put them on the disk
            if self._from_spool:
                self._spool.done(AT_ONCE)
            self._pending = []
            self._note()
            self._delivered += count
            self._away = ""

    def _in_memory(self) -> int:
        return len(self._queue) + (0 if self._from_spool else len(self._pending))

    def _note(self) -> None:
        if self._mark is not None:
            self._mark.note(self._in_memory())
