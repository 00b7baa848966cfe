"""Which of many pools or rules a value can concern, found by one look-up: first match without asking all.

A box whose values concern different ones is cut at once into all its parts, not one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import Range
from nfcompile.model.site import AclRule
from nfcompile.verify.boxes import RangeTable

One = TypeVar("One")
Answer = TypeVar("Answer", bound=Hashable)


class Candidates(Generic[One, Answer]):
    """Of `many` in their order, each with the ranges that concern it, what is to be made of those that a
    value concerns: `answer` gets their list."""

    def __init__(
        self,
        many: Sequence[tuple[Iterable[Range], One]],
        answer: Callable[[list[One]], Answer],
    ) -> None:
        self.nothing = answer([])
        self.answers: list[Answer] = []
        numbers: dict[Answer, int] = {}
        rows = []
        for stretch, indices in _stretches([(one, index) for index, (r, _) in enumerate(many) for one in r]):
            found = answer([many[index][1] for index in indices])
            if found not in numbers:
                numbers[found] = len(self.answers)
                self.answers.append(found)
            rows.append((stretch, 0, numbers[found]))
        self.table = RangeTable(rows)

    def of(self, value: Range) -> Answer:
        """The answer for a value. Raises Split where its numbers have different ones."""
        found = self.table.tag(value)
        return self.nothing if found is None else self.answers[found]


class FirstMatch:
    """The rules of an ACL by source and destination: those that can hit a packet, or the answer where the
    first of them asks for nothing else."""

    def __init__(self, rules: Sequence[AclRule]) -> None:
        many = [((rule.source,), rule) for rule in rules]
        self._by_source = Candidates(many, lambda found: tuple(rule.number for rule in found))
        self._rules = {rule.number: rule for rule in rules}
        self._by_destination: dict[tuple[int, ...], Candidates[AclRule, bool | tuple[int, ...]]] = {}

    def of(self, source: Range, destination: Range) -> bool | list[AclRule]:
        """Whether packets are allowed, or the rules that decide about them. Raises Split."""
        mine = self._by_source.of(source)
        if mine not in self._by_destination:
            many = [((self._rules[one].destination,), self._rules[one]) for one in mine]
            self._by_destination[mine] = Candidates(many, _decided)
        found = self._by_destination[mine].of(destination)
        return found if isinstance(found, bool) else [self._rules[one] for one in found]


def _decided(rules: list[AclRule]) -> bool | tuple[int, ...]:
    """The answer of the first rule, or the rules up to the first one that asks for ends alone."""
    asked: list[int] = []
    for rule in rules:
        if not asked and _asks_for_ends(rule):
            return rule.allow
        asked.append(rule.number)
        if _asks_for_ends(rule):
            break
    return tuple(asked)


def _asks_for_ends(rule: AclRule) -> bool:
    more = rule.vid is not None or rule.source_ports or rule.destination_ports
    return rule.protocol == ANY_PROTOCOL and not more


def _stretches(ranges: Iterable[tuple[Range, int]]) -> Iterator[tuple[Range, list[int]]]:
    """Ascending stretches, and which of the ranges hold each, by their numbers."""
    events: dict[int, list[tuple[bool, int]]] = {}
    for one, index in ranges:
        events.setdefault(one.first, []).append((True, index))
        events.setdefault(one.last + 1, []).append((False, index))
    open_: dict[int, int] = {}
    places = sorted(events)
    for at, after in pairwise(places):
        for opens, index in events[at]:
            open_[index] = open_.get(index, 0) + (1 if opens else -1)
            if not open_[index]:
                del open_[index]
        if open_:
            yield Range(at, after - 1), sorted(open_)
