"""Attribute an address and port at a time to a subscriber.

The history says which site was live, the site computes the binding, and for dynamic pools the log of
assignments, or the kernel, has the owner of each number. Each attribution names the configuration that it
comes from, as an answer to a legal request must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from nfcompile.allocation.lookup import Answer, Index
from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.prefix_lookup import prefix_lookups
from nfcompile.ipalloc import Block
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled
from nfcompile.records import assignment_log
from nfcompile.records.timeline import LiveSite, Timeline


class BindingQuestion(NamedTuple):
    """An address, a port or id, a protocol, a moment (as `history.Event.at`), and the VLAN of a subscriber;
    None is not given."""

    address: int
    port: int | None = None
    proto: str | None = None
    at: str | None = None
    is_ipv6: bool = False
    vid: int | None = None


class Configuration(NamedTuple):
    """A site that answers: the SHA-256 and file of its text, and since when it was live (None for a site
    that the history was not asked for)."""

    site: str
    file: str
    since: LiveSite | None = None


class LogEvidence(NamedTuple):
    """The record of a log that an answer rests on. `ended` is when a connection ended, and `remote` and
    `protocol` are of connections; all '' where the log does not say, or for blocks."""

    source: str
    event: str
    time: str
    gateway: str = ""
    ended: str = ""
    protocol: str = ""
    remote: str = ""


class Attribution(NamedTuple):
    """A binding, the configuration that it comes from (None: a log alone says so), when its block was
    assigned ('' where no log says so), and the record that says it, where one was found."""

    answer: Answer
    configuration: Configuration | None
    assigned: str = ""
    evidence: LogEvidence | None = None


class HeldNumber(NamedTuple):
    """A number of a dynamic pool, the subscriber that holds it, and since when ('': the kernel says now)."""

    subscriber: int
    number: int
    at: str = ""


class Owners(Protocol):
    """A source of the assignments of dynamic pools at a moment: a log, or the kernel."""

    def owners(
        self, known: KnownSite, allocation: PoolAllocation, numbers: list[int], at: str
    ) -> list[HeldNumber]:
        """The holders of these numbers."""

    def owned(
        self, known: KnownSite, allocation: PoolAllocation, subscriber: int, at: str
    ) -> list[HeldNumber]:
        """The numbers that a subscriber holds."""


class KnownSite:
    """A compiled site that answers many questions; what dynamic numbers stand for is read when needed."""

    __slots__ = ("_numberings", "compiled", "dynamic", "index")

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.index = Index(compiled.allocations, compiled.site.snat)
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


class LoggedOwners:
    """The owners in a log of assignments. A number counts for as long as it means the same block."""

    __slots__ = ("_known", "_ledger", "_timeline")

    def __init__(
        self,
        ledger: assignment_log.AssignmentLog,
        timeline: Timeline | None,
        known: Callable[[str], KnownSite],
    ) -> None:
        self._ledger = ledger
        self._timeline = timeline
        self._known = known

    def owners(
        self, known: KnownSite, allocation: PoolAllocation, numbers: list[int], at: str
    ) -> list[HeldNumber]:
        """The last subscribers that were assigned them by then."""
        found = (self._ledger.owner(allocation.pool.name, number, at) for number in numbers)
        return [_held_number(one) for one in found if one is not None and self._still(known, allocation, one)]

    def owned(
        self, known: KnownSite, allocation: PoolAllocation, subscriber: int, at: str
    ) -> list[HeldNumber]:
        """What was assigned to a subscriber by then, and to no other one since."""
        found = self._ledger.owned(allocation.pool.name, subscriber, at, allocation.blocks_each)
        return [_held_number(one) for one in found if self._still(known, allocation, one)]

    def _still(self, known: KnownSite, allocation: PoolAllocation, one: assignment_log.Assignment) -> bool:
        """Whether the number meant the same block when it was assigned."""
        for live in self._timeline.when(one.at).live if self._timeline else ():
            before = self._known(live.site) if live.site else None
            if before is known:
                return True
            pool = before.allocation(allocation.pool.name) if before else None
            if before and pool and before.block(pool, one.number) == known.block(allocation, one.number):
                return True
        return self._timeline is None


def find(
    question: BindingQuestion, known: KnownSite, configuration: Configuration, owners: Owners | None
) -> list[Attribution]:
    """Every binding by one site, the same as `allocation.lookup.lookups` where no pool is dynamic."""
    if question.is_ipv6:
        pairs = prefix_lookups(known.compiled.site, question.address)
        return [Attribution(one, configuration) for one in pairs]
    computed = known.index.lookups(question.address, question.port, question.proto)
    if owners is None or not known.dynamic:
        return [Attribution(one, configuration) for one in computed]
    reached = [
        _attribution(known, allocation, held, configuration)
        for allocation in known.dynamic
        if (numbers := known.numbers(allocation, question.address, question.port))
        for held in owners.owners(known, allocation, numbers, question.at or "")
    ]
    return reached or [
        attribution
        for one in computed
        for attribution in _with_blocks(one, question, known, configuration, owners)
    ]


def find_at(
    question: BindingQuestion, timeline: Timeline, known: Callable[[str], KnownSite], owners: Owners | None
) -> list[Attribution]:
    """The same by each site that may have been live at the moment of the question; equal answers are one."""
    found: dict[Answer, Attribution] = {}
    for live in timeline.when(question.at or "").live:
        if live.site is not None:
            configuration = Configuration(live.site, live.file, live)
            for one in find(question, known(live.site), configuration, owners):
                found.setdefault(one.answer, one)
    return list(found.values())


def _with_blocks(
    computed: Answer,
    question: BindingQuestion,
    known: KnownSite,
    configuration: Configuration,
    owners: Owners,
) -> Iterator[Attribution]:
    """A subscriber of a dynamic pool has the blocks assigned to it; without any, the pool just serves it."""
    allocation = known.allocation(computed.pool or "")
    held = owners.owned(known, allocation, question.address, question.at or "") if allocation else []
    if allocation is None or computed.subscriber != address_text(question.address) or not held:
        yield Attribution(computed, configuration)
        return
    for one in held:
        yield _attribution(known, allocation, one, configuration)


def _held_number(one: assignment_log.Assignment) -> HeldNumber:
    return HeldNumber(one.subscriber, one.number, one.at)


def _attribution(
    known: KnownSite, allocation: PoolAllocation, held: HeldNumber, configuration: Configuration
) -> Attribution:
    block = known.block(allocation, held.number)
    assert block is not None
    return Attribution(
        assignment_log.answer(allocation.pool.name, held.subscriber, block), configuration, held.at
    )
