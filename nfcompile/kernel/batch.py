"""The one transaction that leads from the live table to the desired one and touches nothing else.

In the order that the kernel takes: empty the chains whose rules change or refer to what goes, take away
elements, sets, chains and objects, then declare what is new and fill it. What is the same on both sides is
not in the batch, so it keeps all its state. Knows objects and their words, and nothing of what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nfcompile.kernel.objects import TABLE6, ListedObject, ListedObjects

Elements = Mapping[str, str]
"""Elements of a set or map by their keys, as the kernel spells both."""

MAX_SINGLE_CHANGES = 8
"""Changing one interval costs nft 1.0.6 a pass over all of them (6 ms in a set of 16,000): up to so many one
by one, beyond that the set is filled anew."""

ELEMENT_KINDS = ("set", "map")
_AFTER_KEY = re.compile(r" (?:: |timeout |expires |limit |ct count )")
_LIFETIME = re.compile(r" expires ((?:\d+[a-z]+)+)")
_OWN_LIFETIME = re.compile(r" timeout ((?:\d+[a-z]+)+)")
_SPAN = re.compile(r"(\d+)(ms|[dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class TableDifference(NamedTuple):
    """Keys of objects that only one side has, and of those that are not the same."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.added + self.changed + self.removed


class BatchLine(NamedTuple):
    """A line of a batch, and the line of the desired text that it stands for (0: none)."""

    text: str
    origin: int = 0


def text_of(lines: Iterable[BatchLine]) -> str:
    """A batch as nft reads it."""
    return "\n".join(line.text for line in lines) + "\n"


def compare(live: ListedObjects, desired: ListedObjects) -> TableDifference:
    """Object by object, both in the kernel's own spelling."""
    return TableDifference(
        tuple(key for key in desired if key not in live),
        tuple(key for key in desired if key in live and not _same(live[key], desired[key])),
        tuple(key for key in live if key not in desired),
    )


def _same(old: ListedObject, new: ListedObject) -> bool:
    return old.lines == new.lines and (new.runtime or old.elements == new.elements)


def changed_elements(old: ListedObject, new: ListedObject) -> frozenset[str]:
    """The keys of the elements that are not the same on both sides."""
    return frozenset(key_of(one) for one in set(old.elements) ^ set(new.elements))


def key_of(element: str) -> str:
    """The key of an element as listed: `k`, `k : data`, with lifetimes or counts between them."""
    return _AFTER_KEY.split(element, 1)[0]


def carried(old: ListedObject, new: ListedObject) -> bool:
    """Whether contents that packets wrote still fit when a set is made anew. A token (`limit`) or a count of
    connections is the element's own memory, which nft cannot write; maps have none that matters."""
    return old.runtime and new.runtime and _type(old) == _type(new) and "timeout" in " ".join(new.lines)


def transaction(
    table: str,
    live: ListedObjects,
    desired: ListedObjects,
    own: ListedObjects,
    difference: TableDifference,
    stale: Mapping[str, Elements],
    contents: Mapping[str, Sequence[str]],
) -> list[BatchLine]:
    """The batch. `own` is the desired text in our own words, `stale` elements (by key of the set) that must
    go, `contents` what packets wrote in the sets that `rebuilt` names, as listed."""
    live, desired, difference, tables = _first_table(live, desired, own, difference)
    remade = rebuilt(live, desired, difference)
    gone = {*difference.removed, *remade}
    names = frozenset(live[key].name for key in gone)
    emptied = [
        key
        for key, thing in live.items()
        if thing.kind == "chain" and _emptied(key, thing, difference, names)
    ]
    refilled = [
        key for key in desired if key in live and key not in gone and _refilled(live, desired, key, names)
    ]
    patched = [
        key
        for key in difference.changed
        if desired[key].kind in ELEMENT_KINDS and key not in gone and key not in refilled
    ]
    written = {*difference.added, *remade, *refilled, *(key for key in emptied if key in desired)}
    lines = [BatchLine(f"flush chain {table} {live[key].name}") for key in emptied]
    lines += (BatchLine(f"flush {live[key].kind} {table} {live[key].name}") for key in refilled)
    for key in patched:
        lines += _elements_out(table, live[key], desired[key])
    for key, elements in stale.items():
        if key not in gone:
            lines += without(table, live[key].name, elements)
    for kind in (*ELEMENT_KINDS, "chain", "flowtable", "counter", "ct timeout", "ct helper"):
        lines += (
            BatchLine(f"delete {kind} {table} {live[key].name}")
            for key in live
            if key in gone and live[key].kind == kind
        )
    if written:
        lines += [BatchLine(f"table {table} {{"), *_raw(own, written), BatchLine("}")]
    for key in patched:
        lines += _elements_in(table, live[key], desired[key])
    for key in remade:
        lines += _carry(table, desired[key], contents.get(key, ()), stale.get(key, {}))
    return lines + tables


def _first_table(
    live: ListedObjects, desired: ListedObjects, own: ListedObjects, difference: TableDifference
) -> tuple[ListedObjects, ListedObjects, TableDifference, list[BatchLine]]:
    """Both sides without the table of IPv6, and the lines that replace that where it differs."""
    lines: list[BatchLine] = []
    for key in difference.all:
        if not key.startswith(f"{TABLE6} "):
            continue
        lines += [BatchLine(key), BatchLine(f"delete {key}")]
        if key in own and key in desired:
            first = own[key].first
            lines += (BatchLine(line, first + at) for at, line in enumerate(own[key].raw))
    left = (tuple(key for key in keys if not key.startswith(f"{TABLE6} ")) for keys in difference)
    return _without_tables(live), _without_tables(desired), TableDifference(*left), lines


def _without_tables(found: ListedObjects) -> ListedObjects:
    return {key: thing for key, thing in found.items() if thing.kind != TABLE6}


def rebuilt(live: ListedObjects, desired: ListedObjects, difference: TableDifference) -> list[str]:
    """Objects whose frame changes: the kernel can only take them away and make them anew."""
    return [key for key in difference.changed if live[key].frame != desired[key].frame]


def without(table: str, name: str, elements: Elements) -> Iterator[BatchLine]:
    """Take elements away, whether they are still there or have just run out: add, then delete."""
    if elements:
        pairs = ", ".join(f"{key} : {data}" if data else key for key, data in elements.items())
        yield BatchLine(f"add element {table} {name} {{ {pairs} }}")
        yield BatchLine(f"delete element {table} {name} {{ {', '.join(elements)} }}")


def _emptied(key: str, thing: ListedObject, difference: TableDifference, names: frozenset[str]) -> bool:
    return key in difference.changed or key in difference.removed or bool(names & thing.words)


def _refilled(live: ListedObjects, desired: ListedObjects, key: str, gone: frozenset[str]) -> bool:
    """A set that keeps its frame and loses its elements: those of which much changes, and verdict maps that
    lead to a chain which is made anew."""
    old, new = live[key], desired[key]
    if new.kind not in ELEMENT_KINDS or new.runtime:
        return False
    if old.elements == new.elements:
        return bool(gone) and any(gone & set(element.split()) for element in new.elements)
    differing = len(changed_elements(old, new))
    interval = any("interval" in line for line in new.lines)
    return differing > MAX_SINGLE_CHANGES and (interval or 2 * differing > len(new.elements))


def _elements_out(table: str, old: ListedObject, new: ListedObject) -> Iterator[BatchLine]:
    keep = frozenset(new.elements)
    if keys := [key_of(one) for one in old.elements if one not in keep]:
        yield BatchLine(f"delete element {table} {old.name} {{ {', '.join(keys)} }}")


def _elements_in(table: str, old: ListedObject, new: ListedObject) -> Iterator[BatchLine]:
    there = frozenset(old.elements)
    if elements := [one for one in new.elements if one not in there]:
        yield BatchLine(f"add element {table} {new.name} {{ {', '.join(elements)} }}")


def _raw(own: ListedObjects, written: set[str]) -> Iterator[BatchLine]:
    for key, thing in own.items():
        if key in written:
            yield from (BatchLine(text, thing.first + offset) for offset, text in enumerate(thing.raw))


def _carry(table: str, new: ListedObject, contents: Sequence[str], stale: Elements) -> Iterator[BatchLine]:
    """Elements with what is left of their lifetimes, but no longer than the new one and no more than fit."""
    longest = max(_numbers(new, "timeout"), default=0)
    room = int(max(_numbers(new, "size"), default=len(contents)))
    kept = []
    for element in contents:
        if key_of(element) not in stale and not (new.kind == "set" and " limit " in element):
            kept.append((_left(element), element))
    kept.sort(reverse=True)
    spelled = [_spelled(element, left, longest) for left, element in kept[:room] if left >= 1]
    if spelled:
        yield BatchLine(f"add element {table} {new.name} {{ {', '.join(spelled)} }}")


def _spelled(element: str, left: float, longest: float) -> str:
    _, colon, data = element.partition(" : ")
    own = _OWN_LIFETIME.search(element)
    if own:
        life = f" timeout {own[1]} expires {int(min(left, _seconds(own[1])))}s"
    else:
        life = f" expires {int(min(left, longest) if longest else left)}s"
    return key_of(element) + life + colon + data


def _left(element: str) -> float:
    found = _LIFETIME.search(element)
    return _seconds(found[1]) if found else 0.0


def _seconds(span: str) -> float:
    """Read nft's spans ('1h2m3s400ms').

    >>> _seconds("1h2m3s500ms")
    3723.5
    """
    return sum(int(number) * _SECONDS[unit] for number, unit in _SPAN.findall(span))


def _numbers(thing: ListedObject, word: str) -> Iterator[float]:
    for line in thing.lines:
        first, _, rest = line.strip().partition(" ")
        if first == word:
            yield float(rest) if rest.isdigit() else _seconds(rest)


def _type(thing: ListedObject) -> str:
    return next(line.strip() for line in thing.lines if line.startswith("\t\ttype "))
