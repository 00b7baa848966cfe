"""Who had that address and port at that time: the history says which site was live, the site computes, and
for dynamic pools the log of assignments, or the kernel, says who had which number.

Each finding carries what an answer to a legal request must name: the configuration that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from nfcompile.allocation.lookup import Answer, Index
from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled
from nfcompile.records import assignment_log
from nfcompile.records.history import Live, Timeline


class Question(NamedTuple):
    """An address, a port or id, a protocol, and a moment (as `history.Event.at`); None is not given."""

    address: int
    port: int | None = None
    proto: str | None = None
    at: str | None = None


class Finding(NamedTuple):
    """A binding, the site that says so, and when the block was assigned where a log knows it."""

    answer: Answer
    live: Live | None
    assigned: str = ""


class Held(NamedTuple):
    """Who holds a number of a dynamic pool, since when ('' where the kernel was asked: now)."""

    subscriber: int
    number: int
    at: str = ""


class Owners(Protocol):
    """Somebody who knows the assignments of dynamic pools at a moment: a log, or the kernel."""

    def owners(self, known: Known, allocation: PoolAllocation, numbers: list[int], at: str) -> list[Held]:
        """Who holds these numbers."""

    def owned(self, known: Known, allocation: PoolAllocation, subscriber: int, at: str) -> list[Held]:
        """Which numbers a subscriber holds."""


class Known:
    """A compiled site that answers many questions; what dynamic numbers stand for is read when needed."""

    __slots__ = ("_numberings", "compiled", "dynamic", "index")

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.index = Index(compiled.allocations)
        self.dynamic = tuple(allocation for allocation in compiled.allocations if allocation.pool.is_dynamic)
        self._numberings: dict[str, Numbering] = {}

    def allocation(self, pool: str) -> PoolAllocation | None:
        """The dynamic pool of that name."""
        return next((one for one in self.dynamic if one.pool.name == pool), None)

    def block(self, allocation: PoolAllocation, number: int) -> Block | None:
        """What a number stands for."""
        return self._numbering(allocation).block(number)

    def numbers(self, allocation: PoolAllocation, address: int, port: int | None) -> list[int]:
        """The numbers of a global address, or of the block that holds the port."""
        return self._numbering(allocation).numbers(address, port)

    def _numbering(self, allocation: PoolAllocation) -> Numbering:
        name = allocation.pool.name
        if name not in self._numberings:
            self._numberings[name] = Numbering(allocation.stock)
        return self._numberings[name]


class Logged:
    """The owners that a log of assignments knows. A number counts for as long as it means the same block."""

    __slots__ = ("_known", "_ledger", "_timeline")

    def __init__(
        self, ledger: assignment_log.Ledger, timeline: Timeline | None, known: Callable[[str], Known]
    ) -> None:
        self._ledger = ledger
        self._timeline = timeline
        self._known = known

    def owners(self, known: Known, allocation: PoolAllocation, numbers: list[int], at: str) -> list[Held]:
        """The last ones who got them by then."""
        found = (self._ledger.owner(allocation.pool.name, number, at) for number in numbers)
        return [_held(one) for one in found if one is not None and self._still(known, allocation, one)]

    def owned(self, known: Known, allocation: PoolAllocation, subscriber: int, at: str) -> list[Held]:
        """What a subscriber got by then, and nobody else since."""
        found = self._ledger.owned(allocation.pool.name, subscriber, at, allocation.blocks_each)
        return [_held(one) for one in found if self._still(known, allocation, one)]

    def _still(self, known: Known, allocation: PoolAllocation, one: assignment_log.Assignment) -> bool:
        """Whether the number meant the same block when it was assigned."""
        for live in self._timeline.when(one.at) if self._timeline else ():
            before = self._known(live.site) if live.site else None
            if before is known:
                return True
            pool = before.allocation(allocation.pool.name) if before else None
            if before and pool and before.block(pool, one.number) == known.block(allocation, one.number):
                return True
        return self._timeline is None


def find(question: Question, known: Known, live: Live | None, owners: Owners | None) -> list[Finding]:
    """Every binding that one site knows of, the same as `answers.lookups` where no pool is dynamic."""
    computed = known.index.lookups(question.address, question.port, question.proto)
    if owners is None or not known.dynamic:
        return [Finding(one, live) for one in computed]
    reached = [
        _finding(known, allocation, held, live)
        for allocation in known.dynamic
        if (numbers := known.numbers(allocation, question.address, question.port))
        for held in owners.owners(known, allocation, numbers, question.at or "")
    ]
    return reached or [
        finding for one in computed for finding in _with_blocks(one, question, known, live, owners)
    ]


def find_at(
    question: Question, timeline: Timeline, known: Callable[[str], Known], owners: Owners | None
) -> list[Finding]:
    """The same by whatever was live at the moment of the question; findings that are equal are one."""
    found: dict[Answer, Finding] = {}
    for live in timeline.when(question.at or ""):
        if live.site is not None:
            for one in find(question, known(live.site), live, owners):
                found.setdefault(one.answer, one)
    return list(found.values())


def _with_blocks(
    computed: Answer, question: Question, known: Known, live: Live | None, owners: Owners
) -> Iterator[Finding]:
    """A subscriber of a dynamic pool has the blocks that he was given; without any, he is just served."""
    allocation = known.allocation(computed.pool or "")
    held = owners.owned(known, allocation, question.address, question.at or "") if allocation else []
    if allocation is None or computed.subscriber != address_text(question.address) or not held:
        yield Finding(computed, live)
        return
    for one in held:
        yield _finding(known, allocation, one, live)


def _held(one: assignment_log.Assignment) -> Held:
    return Held(one.subscriber, one.number, one.at)


def _finding(known: Known, allocation: PoolAllocation, held: Held, live: Live | None) -> Finding:
    block = known.block(allocation, held.number)
    assert block is not None
    return Finding(assignment_log.answer(allocation.pool.name, held.subscriber, block), live, held.at)
