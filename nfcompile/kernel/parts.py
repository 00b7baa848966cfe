"""A first load that is too large for one batch: in parts, the chains that hang in hooks last.

The kernel takes a batch from one message (nfnetlink reads it from one buffer), and a message must fit into
the socket's send buffer: 208 KB by default (net.core.wmem_default), and only the root of the machine may go
beyond wmem_max. So no transaction of the root of a user namespace can be larger. But a table without base
chains meets no packet: until the last part comes, which has all of them, nothing has changed for the packets,
and then all at once. A table that is live cannot be changed in this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from nfcompile.kernel import nft
from nfcompile.kernel.batch import BatchLine
from nfcompile.kernel.objects import TABLE6, ListedObject, ListedObjects, parse_objects

T = TypeVar("T")
Refusals = tuple[nft.Refusal, ...]

AT_ONCE, ELEMENTS = 200, 400
"""Objects or rules that are tried at once, and elements on a line; what is too large is halved."""


def load(text: str, more: Sequence[BatchLine] = ()) -> Refusals:
    """Load a text of ours where there is no table, and `more` with the last part. After a refusal, at the
    line of the text, there is none again. Raises KernelError where the base chains alone are too large."""
    gone = [BatchLine(f"table {nft.TABLE}"), BatchLine(f"delete table {nft.TABLE}")]
    refusals: Refusals = ()
    loaded = False
    try:
        refusals = _sent([[*gone, BatchLine(f"table {nft.TABLE}")]]) or _filled(text, more)
        loaded = not refusals
    finally:
        if not loaded:
            _sent([gone])
    return refusals


def is_unfinished(live: ListedObjects, desired: ListedObjects) -> bool:
    """Whether a table is what a killed load has left: it has no base chain, and should have some."""
    return any(map(_is_hooked, desired.values())) and not any(map(_is_hooked, live.values()))


def _filled(text: str, more: Sequence[BatchLine]) -> Refusals:
    """Names first, then what refers to them."""
    found = parse_objects(text)
    hooked = [thing for thing in found.values() if _is_hooked(thing)]
    inner = [thing for thing in found.values() if thing.kind != TABLE6 and not _is_hooked(thing)]
    frames = (_within(_frame(thing)) for thing in inner)
    elements = ([line] for thing in inner for line in _elements(thing))
    rules = ([line] for thing in inner if thing.kind == "chain" for line in _rule_lines(thing))
    for items in (frames, elements, rules):
        for some in _batched(items, AT_ONCE):
            if refusals := _sent(some):
                return refusals
    last = _within(line for thing in hooked for line in _numbered(thing, range(len(thing.raw))))
    for thing in found.values():
        if thing.kind == TABLE6:
            last += (BatchLine(thing.key), BatchLine(f"delete {thing.key}"))
            last += _numbered(thing, range(len(thing.raw)))
    return _sent([[*last, *more]])


def _sent(items: Sequence[list[BatchLine]]) -> Refusals:
    """Load some items together, or one half after the other."""
    lines = [line for item in items for line in item]
    try:
        refusals = nft.load("\n".join(line.text for line in lines) + "\n")
    except nft.TooLargeForUser:
        if len(items) == 1:
            raise
        half = len(items) // 2
        return _sent(items[:half]) or _sent(items[half:])
    return tuple(
        one._replace(line=lines[one.line - 1].origin if 0 < one.line <= len(lines) else 0) for one in refusals
    )


def _elements(thing: ListedObject) -> Iterator[BatchLine]:
    for elements in _batched(thing.elements, ELEMENTS):
        text = f"add element {nft.TABLE} {thing.name} {{ {', '.join(elements)} }}"
        yield BatchLine(text, thing.first)


def _rule_lines(thing: ListedObject) -> Iterator[BatchLine]:
    for at in _rules(thing):
        text = f"add rule {nft.TABLE} {thing.name} {thing.raw[at].strip()}"
        yield BatchLine(text, thing.first + at)


def _within(lines: Iterable[BatchLine]) -> list[BatchLine]:
    return [BatchLine(f"table {nft.TABLE} {{"), *lines, BatchLine("}")]


def _is_hooked(thing: ListedObject) -> bool:
    return thing.kind == "chain" and any(line.startswith("\t\ttype ") for line in thing.raw)


def _frame(thing: ListedObject) -> Iterator[BatchLine]:
    """An object without its elements or rules."""
    if thing.kind == "chain":
        rules = frozenset(_rules(thing))
        return _numbered(thing, (at for at in range(len(thing.raw)) if at not in rules))
    return (BatchLine(line, thing.first) for line in thing.lines)


def _rules(thing: ListedObject) -> list[int]:
    """Where the rules of a chain stand in its lines."""
    frame = frozenset(thing.frame)
    return [at for at in range(1, len(thing.raw) - 1) if thing.raw[at] not in frame]


def _numbered(thing: ListedObject, which: Iterable[int]) -> Iterator[BatchLine]:
    return (BatchLine(thing.raw[at], thing.first + at) for at in which)


def _batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some
