"""Who had an address and port at a moment, by a log alone, and how certain that is.

A block is its last owner's until it is released, or until another subscriber gets a port of it. Where no log
ran, a release may be missing; that is said as a doubt, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nfcompile.allocation.lookup import Answer
from nfcompile.log.archive import Archive, ArchivedRecord
from nfcompile.log.records import (
    BEGAN,
    RELEASED,
    STARTED,
    STOPPED,
    BlockRecord,
    ConnectionRecord,
    LogEvent,
    time_text,
)
from nfcompile.model import protocols
from nfcompile.model.ranges import address_text
from nfcompile.records.clock import FOREVER, microseconds
from nfcompile.records.lookup_at import BindingQuestion, LogEvidence

LONGEST = 432_000_000_000
"""Microseconds that a silent connection may last by the kernel's own nf_conntrack_tcp_timeout_established."""


class LoggedHolder(NamedTuple):
    """A subscriber that held a block or a port: `record` is the first one that says so, `seen` when the log
    said so last."""

    gateway: str
    record: BlockRecord | ConnectionRecord
    seen: int

    @property
    def answer(self) -> Answer:
        """As `lookup` says it; a connection is a block of its one port."""
        one = self.record
        first: int | None
        if isinstance(one, BlockRecord):
            first, last = (one.first, one.last) if one.first else (None, None)
        else:
            first = last = one.global_port
        subscriber, address = address_text(one.subscriber), address_text(one.address)
        return Answer(one.pool or None, subscriber, address, first, last, "translate")

    def evidence(self, source: str) -> LogEvidence:
        """The record, for a report."""
        one = self.record
        found = LogEvidence(source, one.event, time_text(one.at), self.gateway)
        if isinstance(one, BlockRecord):
            return found
        began = one.at if one.event == BEGAN else one.began
        return found._replace(
            time=time_text(began) if began else "",
            ended="" if one.event == BEGAN else time_text(one.at),
            protocol=protocols.NAMES.get(one.protocol, str(one.protocol)),
            remote=f"{address_text(one.remote)}:{one.remote_port}",
        )


class LogStatement(NamedTuple):
    """What a log says of a question: blocks first, then connections; `doubt` is '' where it is certain."""

    holders: tuple[LoggedHolder, ...]
    doubt: str = ""


class LogGap(NamedTuple):
    """No log ran from `begin` to `end` (FOREVER: until now)."""

    gateway: str
    begin: int
    end: int

    @property
    def text(self) -> str:
        name = f" of {self.gateway}" if self.gateway else ""
        if not self.begin:
            return f"the log{name} begins {time_text(self.end)}"
        until = f"until {time_text(self.end)}" if self.end < FOREVER else "since"
        return f"no log{name} ran from {time_text(self.begin)} {until}"


class LogReader:
    """An archive that answers questions; what a log says of itself is read once."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._gaps: tuple[LogGap, ...] | None = None
        self._last: tuple[BindingQuestion, LogStatement] | None = None

    def statement(self, question: BindingQuestion) -> LogStatement:
        """Who held the address (and port), or what the subscriber held, at the moment of the question."""
        if self._last is not None and self._last[0] == question:
            return self._last[1]
        at = microseconds(question.at or "")
        holders = self._of_global(question, at) or self._of_subscriber(question.address, at)
        made = LogStatement(tuple(holders), self._doubt(holders, at))
        self._last = question, made
        return made

    def about(self, address: int, at: str) -> LogStatement:
        """The statement that was made last, where it is about that address and time; else a new one, of all
        its ports."""
        if self._last is not None and (self._last[0].address, self._last[0].at) == (address, at):
            return self._last[1]
        return self.statement(BindingQuestion(address, None, None, at))

    def _of_global(self, question: BindingQuestion, at: int) -> list[LoggedHolder]:
        records = self.archive.of_address(question.address, question.port, at)
        blocks = _held(records)
        number = protocols.NUMBERS.get(question.proto or "")
        found = [*_connections(records, at, number)]
        served = {one.record.subscriber for one in blocks}
        return [*blocks, *(one for one in found if one.record.subscriber not in served)]

    def _of_subscriber(self, subscriber: int, at: int) -> list[LoggedHolder]:
        """The blocks that it was given, and that nobody else has a port of."""
        given = _held(self.archive.of_subscriber(subscriber, at))
        found = []
        for one in given:
            block = one.record
            assert isinstance(block, BlockRecord)
            port = block.first or None
            now = {other.record for other in _held(self.archive.of_address(block.address, port, at))}
            if block in now:
                found.append(one)
        return found

    def _doubt(self, holders: Sequence[LoggedHolder], at: int) -> str:
        """Why the answer may be wrong: no log ran then, or none since that would have seen the release."""
        if self._gaps is None:
            self._gaps = tuple(_gaps(self.archive.events()))
        doubts = [gap.text for gap in self._gaps if gap.begin <= at < gap.end]
        for one in holders:
            if isinstance(one.record, ConnectionRecord):
                if one.record.event != BEGAN and not one.record.began:
                    doubts.append("the log does not say when the connection began")
                continue
            gaps = (gap for gap in self._gaps if gap.gateway == one.gateway and one.seen < gap.begin <= at)
            doubts += [f"{gap.text}, and no later record confirms the block" for gap in gaps][:1]
        return "; ".join(dict.fromkeys(doubts))


def _held(records: Iterable[ArchivedRecord]) -> list[LoggedHolder]:
    """The blocks that are held after these records, in their order."""
    held: dict[tuple[str, int, int, int], LoggedHolder] = {}
    for gateway, one in sorted(_blocks(records), key=_order):
        key = one.pool, one.address, one.first, one.last
        before = held.get(key)
        if one.event == RELEASED:
            if before is not None and before.record.subscriber == one.subscriber:
                del held[key]
        elif before is not None and before.record.subscriber == one.subscriber:
            held[key] = before._replace(seen=one.at)
        else:
            for other in [other for other in held if _meet(other, key)]:
                del held[other]
            held[key] = LoggedHolder(gateway, one, one.at)
    return [*held.values()]


def _blocks(records: Iterable[ArchivedRecord]) -> Iterator[tuple[str, BlockRecord]]:
    for gateway, one in records:
        if isinstance(one, BlockRecord):
            yield gateway, one


def _order(one: tuple[str, BlockRecord]) -> tuple[int, bool]:
    return one[1].at, one[1].event != RELEASED


def _meet(one: tuple[str, int, int, int], other: tuple[str, int, int, int]) -> bool:
    """Whether two blocks of a pool have a port in common; a whole address has all."""
    if one[:2] != other[:2]:
        return False
    return not one[2] or not other[2] or (one[2] <= other[3] and other[2] <= one[3])


def _connections(records: Iterable[ArchivedRecord], at: int, protocol: int | None) -> Iterator[LoggedHolder]:
    """The connections that ran at that time. Where an end has no begin, the first that ended after it, in a
    pool without blocks in the log: a block says better whose the port was."""
    records = list(records)
    all_ = ((gateway, one) for gateway, one in records if isinstance(one, ConnectionRecord))
    found = [(gateway, one) for gateway, one in all_ if protocol in (None, one.protocol)]
    ended = sorted((pair for pair in found if pair[1].event != BEGAN), key=lambda pair: pair[1].at)
    covered: set[tuple[object, ...]] = set()
    without = not any(isinstance(one, BlockRecord) for _, one in records)
    for gateway, one in ended:
        if one.at < at or one.began > at or not (one.began or (without and one.at <= at + LONGEST)):
            continue
        without = without and bool(one.began)
        covered.add(_tuples(one))
        yield LoggedHolder(gateway, one, one.at)
    for gateway, one in found:
        if one.event != BEGAN or one.at > at or _tuples(one) in covered:
            continue
        if not any(_tuples(end) == _tuples(one) and one.at <= end.at for _, end in ended):
            yield LoggedHolder(gateway, one, one.at)


def _tuples(one: ConnectionRecord) -> tuple[object, ...]:
    return one[6:13]


def _gaps(records: Iterable[ArchivedRecord]) -> Iterator[LogGap]:
    """When no log of a gateway ran: before its first start, and from each stop to the next start."""
    events = sorted(
        (one for one in records if isinstance(one.record, LogEvent)), key=lambda one: one.record.at
    )
    for gateway in dict.fromkeys(one.gateway for one in events):
        begin = 0
        runs = False
        for _, one in (each for each in events if each.gateway == gateway):
            if one.event == STARTED:
                if not runs:
                    yield LogGap(gateway, begin, one.at)
                runs = True
            elif one.event == STOPPED:
                begin, runs = one.at, False
        if not runs and begin:
            yield LogGap(gateway, begin, FOREVER)
