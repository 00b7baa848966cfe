"""A table read for walking: rules as phrases, chains by name, elements found by key."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Mapping
from operator import or_
from typing import NamedTuple

from nfcompile.emit import Chain, Element, Map, Name, Rule, Set, Table
from nfcompile.emit.expressions import Bitwise, Constant, Elements, Verdict
from nfcompile.emit.statements import TH_SPORT, Mangle, Nat, Statement
from nfcompile.emit.validate import validate
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Range
from nfcompile.verify.boxes import Names, alike, divided_once, names_of, within
from nfcompile.verify.chosen_values import DrawnNumber
from nfcompile.verify.field_values import FieldValues, Ranges, Split
from nfcompile.verify.walk.values import Key, Value, key_within

FEW = 16
"""So many elements of several fields are compared one after the other."""


class Program(NamedTuple):
    """Chains by name, base chains by hook in their order, the tables that rules look into, and which base
    chains are of type nat: they see what connection tracking sees."""

    chains: dict[Name, tuple[Rule, ...]]
    hooks: Mapping[str, tuple[Name, ...]]
    sources: Mapping[Name, Source]
    nat: frozenset[Name]
    known: dict[tuple[Verdict, ...], Verdict | None]

    def either(self, verdicts: list[Verdict]) -> list[Verdict]:
        """One verdict that stands for several, where they lead to chains that differ in constant ports only,
        those of a translation or of the bits of a block;
        otherwise as they are. What reaches it is a number that the kernel has drawn."""
        key = tuple(verdicts)
        if key not in self.known:
            merged = _merged([self.chains[one.chain] for one in key if one.chain is not None])
            self.known[key] = None
            if merged is not None and len({one.kind for one in key}) == 1:
                first = key[0].chain
                name = Name("either", str(first), str(len(self.known)))
                self.chains[name] = merged
                self.known[key] = key[0]._replace(chain=name)
        found = self.known[key]
        return verdicts if found is None else [found]

    def entries(self, source: Name | Elements) -> Elements:
        """The elements of a named set or map, or those that stand in the rule."""
        return self.sources[source].entries if isinstance(source, Name) else source


class Source:
    """A set or map. Its elements are put in order when they are first asked for: they can be many."""

    __slots__ = (
        "_divided",
        "_entries",
        "_firsts",
        "_index",
        "_patterns",
        "dynamic",
        "name",
        "ranged",
        "thing",
    )

    def __init__(self, thing: Set | Map) -> None:
        self.thing = thing
        self.name = thing.name
        self.dynamic = "dynamic" in thing.flags
        self._entries: Elements | None = None
        self._firsts: list[int] = []
        self._index: tuple[int, list[int]] | None = None
        self._patterns: list[Range] | None = None
        self._divided: dict[FieldValues, dict[int, Ranges]] = {}
        self.ranged: dict[Range, tuple[list[Hit], bool]] = {}

    @property
    def sorted(self) -> bool:
        """Whether the elements are numbers of one field."""
        return bool(self.entries and self._firsts)

    @property
    def anything(self) -> Key:
        """Data that holds whatever an element can have; () in a set."""
        kinds = self.thing.data if isinstance(self.thing, Map) else ()
        return tuple(Range(0, PORT_LAST if kind == "inet_service" else ADDRESS_LAST) for kind in kinds)

    @property
    def entries(self) -> Elements:
        """The elements in the ruleset, those of one field in ascending order, those of several in that of the
        field that tells most of them apart, if it is a number in each."""
        if self._entries is None:
            entries = list(self.thing.elements)
            if entries and all(len(e.key) == 1 and isinstance(e.key[0], Range) for e in entries):
                entries.sort(key=lambda entry: _first(entry.key[0]))
                self._firsts = [_first(entry.key[0]) for entry in entries]
            elif len(entries) > FEW:
                parts = enumerate(zip(*(entry.key for entry in entries), strict=True))
                distinct = {at: len({*part}) for at, part in parts if all(map(_is_number, part))}
                if distinct:
                    at = max(distinct, key=lambda one: distinct[one])
                    entries.sort(key=lambda entry: _first(entry.key[at]))
                    self._index = at, [_first(entry.key[at]) for entry in entries]
            self._entries = tuple(entries)
        return self._entries

    def divided(self, part: FieldValues) -> dict[int, Ranges]:
        """Which of a part's values meet which element, by its position; -1 is for none."""
        if self._patterns is None:
            keys = [entry.key[0] for entry in self.entries]
            self._patterns = [one for one in keys if isinstance(one, Range)]
        return divided_once(part, self._patterns, self._divided)

    def near(self, key: Key) -> Elements:
        """The elements that a key can meet, and perhaps more."""
        entries = self.entries
        if self._index is not None:
            at, numbers = self._index
            if not isinstance(part := key[at], Range):
                return entries
            return entries[bisect_left(numbers, part.first) : bisect_right(numbers, part.last)]
        part = key[0]
        if not self._firsts or not isinstance(part, Range):
            return entries
        start = max(bisect_right(self._firsts, part.first) - 1, 0)
        return entries[start : bisect_right(self._firsts, part.last)]


def read(table: Table) -> Program:
    """Put the chains of a table where packets meet them. Raises InvalidTable."""
    validate(table)
    chains = [thing for thing in table.objects if isinstance(thing, Chain)]
    hooks: dict[str, list[tuple[int, Name]]] = {}
    for chain in chains:
        if chain.hook:
            hooks.setdefault(chain.hook.hook, []).append((chain.hook.order, chain.name))
    return Program(
        {chain.name: chain.rules for chain in chains},
        {hook: tuple(name for _, name in sorted(found)) for hook, found in hooks.items()},
        {thing.name: Source(thing) for thing in table.objects if isinstance(thing, Set | Map)},
        frozenset(chain.name for chain in chains if chain.hook and chain.hook.type == "nat"),
        {},
    )


def _merged(chains: list[tuple[Rule, ...]]) -> tuple[Rule, ...] | None:
    """The rules of chains that differ in constant ports only, with all of these ports."""
    if len({len(rules) for rules in chains}) != 1:
        return None
    found: list[Rule] = []
    for rules in zip(*chains, strict=True):
        if len({len(rule.statements) for rule in rules}) != 1:
            return None
        statements = [_all_of(list(same)) for same in zip(*(rule.statements for rule in rules), strict=True)]
        found.append(rules[0]._replace(statements=tuple(one for one in statements if one is not None)))
        if None in statements:
            return None
    return tuple(found)


def _all_of(statements: list[Statement]) -> Statement | None:
    first = statements[0]
    if all(one == first for one in statements):
        return first
    if isinstance(first, Nat):
        ports = [
            one.port.value for one in statements if isinstance(one, Nat) and isinstance(one.port, Constant)
        ]
        if len(ports) == len(statements):
            every = Constant(Range(min(one.first for one in ports), max(one.last for one in ports)))
            same = {one._replace(port=every) for one in statements if isinstance(one, Nat)}
            return same.pop() if len(same) == 1 else None
    if isinstance(first, Mangle):
        return _any_port([one for one in statements if isinstance(one, Mangle)])
    return None


def _any_port(mangles: list[Mangle]) -> Mangle | None:
    """Of chains that keep low bits of a source port and put others above them: any of their ports."""
    values = [one.value for one in mangles if one.field == TH_SPORT and isinstance(one.value, Bitwise)]
    low = [one.mask for one in values if one.field == TH_SPORT and one.mask < PORT_LAST]
    if len(low) < len(mangles):
        return None
    above = [one.xor | one.bits for one in values]
    if any(mask & (mask + 1) or high & mask for mask, high in zip(low, above, strict=True)):
        return None
    every = Range(min(above), max(map(or_, above, low)))
    return mangles[0]._replace(value=Constant(every))


def ranged(source: Source, key: Key) -> tuple[list[Hit], bool] | None:
    """What `hits` says of one range of numbers of which the kernel has one; always the same lists.

    None for other keys. Maps have an element for every port of a block, and a search looks them up often.
    """
    part = key[0]
    if len(key) > 1 or type(part) is not Range or not source.sorted:
        return None
    if part not in source.ranged:
        met, covered, sure = list[Hit](), 0, False
        for entry in source.near(key):
            pattern = entry.key[0]
            assert isinstance(pattern, Range)
            first, last = max(pattern.first, part.first), min(pattern.last, part.last)
            if first <= last:
                met.append(Hit(entry))
                covered += last - first + 1
                sure = sure or last - first + 1 == part.size
        source.ranged[part] = met, sure or covered == part.size
    return source.ranged[part]


def hits(source: Source | Elements, key: Key) -> tuple[list[Element], bool]:
    """The elements that a key may meet, and whether it certainly meets one of them."""
    met: list[Element] = []
    covered = 0
    sure = False
    for entry in source.near(key) if isinstance(source, Source) else source:
        answer = key_within(key, entry.key)
        if answer is not False:
            met.append(entry)
            sure = sure or answer is True
            covered += _overlap(key, entry.key)
    part = key[0]
    if not sure and len(key) == 1 and isinstance(part, Range):
        sure = covered == (part.many if isinstance(part, DrawnNumber) else part.size)
    return met, sure


class Hit(NamedTuple):
    """An element that packets meet; `where` says which values `field` has in those of a box that do."""

    entry: Element
    field: str = ""
    where: Ranges = ()


Kind = Callable[[Element], Hashable]
"""What elements must have in common to be met by packets of one box."""


def divided(source: Source | Elements, part: FieldValues, kind: Kind) -> tuple[list[Hit], bool]:
    """The same for the packets of a box, each of which certainly meets one element or none. Raises Split."""
    if not isinstance(source, Source) and len(source) == 1 and isinstance(source[0].key[0], Range):
        # Most rules ask for one value, and most boxes lie wholly in it or beside it.
        answer = within(part, source[0].key[0])
        if answer is not None:
            return ([Hit(source[0], part.field, part.domain)], True) if answer else ([], False)
    if isinstance(source, Source):
        entries, found = source.entries, source.divided(part)
    else:
        entries = tuple(sorted(source, key=lambda one: _first(one.key[0])))
        found = part.divided([one.key[0] for one in entries if isinstance(one.key[0], Range)])
    alike(part, found, lambda index: kind(entries[index]))
    return [
        Hit(entries[index], part.field, where) for index, where in found.items() if index >= 0
    ], -1 not in found


def of_names(source: Source | Elements, part: str | Names, kind: Kind) -> tuple[list[Hit], bool]:
    """The same where the key is an interface: those with elements of one kind stay together. Raises Split."""
    elements = {entry.key[0]: entry for entry in (source.entries if isinstance(source, Source) else source)}
    kinds: dict[Hashable, list[str]] = {}
    for name in sorted(names_of(part)):
        entry = elements.get(name)
        kinds.setdefault(None if entry is None else (kind(entry),), []).append(name)
    if len(kinds) > 1 and isinstance(part, Names):
        raise Split(part.field, [frozenset(names) for names in kinds.values()])
    (names,) = kinds.values()
    met = [Hit(elements[name]) for name in names if name in elements]
    return met, bool(met)


def _overlap(key: Key, pattern: Key) -> int:
    """Numbers that a key of one field shares with a pattern; elements of a set do not overlap."""
    part, other = key[0], pattern[0]
    if not isinstance(part, Range) or not isinstance(other, Range):
        return 0
    return min(part.last, other.last) - max(part.first, other.first) + 1


def _first(value: Value) -> int:
    return value.first if isinstance(value, Range) else 0


def _is_number(value: Value) -> bool:
    return isinstance(value, Range) and value.first == value.last
