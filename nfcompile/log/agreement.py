"""A log beside the sites that were live: what both say is one answer, what only one says is said as such."""

from __future__ import annotations

from collections.abc import Sequence

from nfcompile.allocation.lookup import Answer
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.log.answers import LoggedHolder, LogReader, LogStatement
from nfcompile.log.records import BlockRecord, time_text
from nfcompile.records.lookup_at import Attribution, HeldNumber, KnownSite


class ArchiveOwners:
    """The owners of dynamic numbers, as `records.lookup_at` asks for them: the log's holders of just the
    block that the site makes of the number."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def owners(
        self, known: KnownSite, allocation: PoolAllocation, numbers: list[int], at: str
    ) -> list[HeldNumber]:
        """The holders of these numbers, which are all of one global address."""
        block = known.block(allocation, numbers[0])
        found = self._same(known, allocation, block.address, at) if block is not None else []
        return [one for one in found if one.number in numbers]

    def owned(
        self, known: KnownSite, allocation: PoolAllocation, subscriber: int, at: str
    ) -> list[HeldNumber]:
        """The numbers that a subscriber holds."""
        found = self._same(known, allocation, subscriber, at)
        return [one for one in found if one.subscriber == subscriber]

    def _same(self, known: KnownSite, allocation: PoolAllocation, address: int, at: str) -> list[HeldNumber]:
        found = []
        for holder in self._reader.about(address, at).holders:
            one = holder.record
            if not isinstance(one, BlockRecord) or one.pool != allocation.pool.name:
                continue
            if known.block(allocation, one.number) == Block(one.address, one.first, one.last):
                found.append(HeldNumber(one.subscriber, one.number, time_text(one.at)))
        return found


def compared(
    found: Sequence[Attribution], statement: LogStatement, source: str, live: Sequence[str]
) -> tuple[list[Attribution], str]:
    """The answers of the sites that were live, and what the log says besides; and a doubt, where one has what
    contradicts the other. `live` are the names of those sites: without any the log speaks alone."""
    answers = list(found)
    doubts = [statement.doubt] if statement.doubt else []
    for holder in statement.holders:
        said = holder.answer
        same = [number for number, one in enumerate(answers) if _agrees(one.answer, holder)]
        for number in same:
            if answers[number].evidence is None:
                answers[number] = answers[number]._replace(evidence=holder.evidence(source))
        if same:
            continue
        answers.append(Attribution(said, None, _since(holder), holder.evidence(source)))
        others = sorted({one.answer.subscriber or "" for one in found if one.answer.action == "translate"})
        if live and (isinstance(holder.record, BlockRecord) or others):
            doubts.append(_contradiction(said, others, live))
    return answers, "; ".join(doubts)


def _agrees(answer: Answer, holder: LoggedHolder) -> bool:
    """Whether a site's answer has a holder of the log in it."""
    said = holder.answer
    if isinstance(holder.record, BlockRecord):
        return answer == said
    if answer.subscriber != said.subscriber or answer.global_ip != said.global_ip:
        return False
    first, last = answer.port_first, answer.port_last
    return first is None or last is None or first <= holder.record.global_port <= last


def _contradiction(said: Answer, others: Sequence[str], live: Sequence[str]) -> str:
    ports = f":{said.port_first}-{said.port_last}" if said.port_first is not None else ""
    by_site = f"{' and '.join(others)} had it" if others else "it was no such block"
    return (
        f"the log says that {said.subscriber} had {said.global_ip}{ports} of pool '{said.pool}'; "
        f"by {' and '.join(live)}, {by_site}"
    )


def _since(holder: LoggedHolder) -> str:
    return holder.evidence("").time
