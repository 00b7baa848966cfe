"""When a block is released: the kernel sends no message of it, but an element tells when it will go.

An element that is used is made to live longer, never shorter. So each is looked at when the time that it had
at the last look is over: one that is gone then went at just that time. A block that is taken out
(by `apply`, `sessions clear`) is missed at the next look, or when the site changes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from nfcompile.log.records import HELD, RELEASED, BlockRecord

FIRST_LOOK = 1_000_000
"""Microseconds from an assignment to the first look at its element."""

DELIVERY = 1_000_000
"""Microseconds within which a message of an assignment is read, on a busy machine too."""

Look = Callable[[BlockRecord], int | None]
"""The microseconds that the element of a block has left; None where there is no such element."""
Key = tuple[str, int]


class BlockWatch:
    """The blocks that are held, by pool and number. All times are microseconds: `at` since 1970, `clock`
    of a clock that nobody sets."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.held: dict[Key, BlockRecord] = {}
        self._due: list[tuple[int, Key]] = []
        self._next: dict[Key, int] = {}

    def assigned(self, record: BlockRecord, clock: int) -> Iterator[BlockRecord]:
        """Take an assignment: its record, after the release of what the message shows to be over."""
        key = record.pool, record.number
        before = self.held.get(key)
        if before is not None and not _same_and_later(before, record):
            yield before._replace(event=RELEASED, at=record.at)
        yield record
        self._keep(key, record, clock + FIRST_LOOK)

    def due(self, at: int, clock: int, most: int) -> Iterator[BlockRecord]:
        """Look at the elements whose time is over, at most so many; the releases. Raises what look does."""
        for _ in range(most):
            if not self._due or self._due[0][0] > clock:
                return
            time, key = heapq.heappop(self._due)
            record = self.held.get(key)
            if record is None or self._next[key] != time:
                continue
            left = self._look(record)
            if left is None:
                yield self._released(key, at - (clock - time))
            else:
                self._keep(key, record, clock + max(left, 1))

    def wait(self, clock: int) -> int:
        """Microseconds until the next look; a long time where there is none."""
        return max(0, self._due[0][0] - clock) if self._due else 1 << 40

    def reconcile(
        self, found: Iterable[tuple[BlockRecord, int]], at: int, clock: int
    ) -> Iterator[BlockRecord]:
        """Compare with the blocks that the kernel holds, each with the microseconds that it has left:
        releases of those that are not there any more, and those that were not known."""
        there = {(record.pool, record.number): (record, left) for record, left in found}
        for key, record in list(self.held.items()):
            if key not in there and self._look(record) is None:
                yield self._released(key, at)
        for key, (record, left) in there.items():
            before = self.held.get(key)
            if before is not None and before[4:] != record[4:]:
                yield self._released(key, at)
                before = None
            if before is None:
                yield record
            self._keep(key, before or record, clock + left)

    def _keep(self, key: Key, record: BlockRecord, due: int) -> None:
        self.held[key] = record
        self._next[key] = due
        heapq.heappush(self._due, (due, key))

    def _released(self, key: Key, at: int) -> BlockRecord:
        del self._next[key]
        return self.held.pop(key)._replace(event=RELEASED, at=at)


def _same_and_later(before: BlockRecord, record: BlockRecord) -> bool:
    """Whether a block was found in the kernel before the message of its assignment was read.

    A message without the kernel's own time has that of its reading.
    """
    return before.event == HELD and before[4:] == record[4:] and record.at <= before.at + DELIVERY
