"""A site as a tree that keeps comments, and the one way in which such a tree is laid out as text.

`fmt` and `import` write through this file. It knows YAML's spelling, not which keys a site has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

WIDTH = 110
"""Columns: a flow collection that needs more is written in block form."""
STEP = 2
GAP = 2
"""Spaces before a comment behind a line."""

Scalar = str | int | bool | None

PLAIN = re.compile(r"[A-Za-z0-9_./(+$^\\;=-](?:[^\x00-\x1f\x7f-\x9f\ufeff:#]|:(?=[^\s,\[\]{}])|(?<=\S)#)*")
"""Text that YAML reads as itself without quotes, as far as its characters go."""
FLOW_MARKS = re.compile(r"[,\[\]{}]")
NOT_TEXT = re.compile(r"|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|-?[0-9]+|-|\.\.\.|---|=|<<")
"""Words that YAML would not read as text, or not as a value."""


class Item(NamedTuple):
    """A key with its value, or (`key` None) an item of a list.

    above    comment lines before it, without '#'; None is an empty line
    beside   the comment on its line
    """

    key: str | None
    node: LaidOutNode
    above: tuple[str | None, ...] = ()
    beside: str | None = None


class LaidOutNode(NamedTuple):
    """A scalar, or a collection of items; `flow` asks for one line, `below` are comments after its items."""

    value: Scalar = None
    items: tuple[Item, ...] | None = None
    is_list: bool = False
    flow: bool = False
    below: tuple[str | None, ...] = ()


def scalar(value: Scalar) -> LaidOutNode:
    """A leaf."""
    return LaidOutNode(value)


def mapping(*items: Item, flow: bool = False) -> LaidOutNode:
    """A mapping."""
    return LaidOutNode(items=items, flow=flow)


def sequence(values: list[Scalar], flow: bool = True) -> LaidOutNode:
    """A list of scalars."""
    return LaidOutNode(
        items=tuple(Item(None, LaidOutNode(value)) for value in values), is_list=True, flow=flow
    )


Line = tuple[str, str | None]
"""Text, and the comment behind it."""


def render(root: LaidOutNode) -> str:
    """Lay out a whole file."""
    lines = _without_double_gaps(_block(root, 0))
    while lines and not lines[-1][0]:
        lines.pop()
    return "".join(f"{text}\n" for text in _aligned(lines))


def _without_double_gaps(lines: Iterator[Line]) -> list[Line]:
    """No empty line at the start, and no two of them anywhere."""
    kept: list[Line] = []
    for line in lines:
        if line[0] or (kept and kept[-1][0]):
            kept.append(line)
    return kept


def _aligned(lines: list[Line]) -> Iterator[str]:
    """Comments behind lines that follow each other begin in one column, if they fit there."""
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and lines[end][1] is not None:
            end += 1
        group = lines[at:end]
        column = max((len(text) for text, _ in group), default=0)
        fits = all(column + GAP + 1 + len(comment or "") <= WIDTH for _, comment in group)
        for text, comment in group:
            yield f"{text.ljust(column if fits else 0)}{' ' * GAP}#{comment}"
        if end < len(lines):
            yield lines[end][0]
        at = end + 1


def _block(node: LaidOutNode, indent: int) -> Iterator[Line]:
    """The lines of a collection in block form."""
    for item in node.items or ():
        yield from _comments(item.above, indent)
        yield from _item(item, indent)
    yield from _comments(node.below, indent)


def _comments(lines: tuple[str | None, ...], indent: int) -> Iterator[Line]:
    for line in lines:
        yield ("" if line is None else f"{' ' * indent}#{line}"), None


def _item(item: Item, indent: int) -> Iterator[Line]:
    if _is_nested(item):
        yield from _nested(item, indent)
        return
    margin = " " * indent
    start = f"{margin}-" if item.key is None else f"{margin}{_key(item.key)}:"
    line = _one_line(item.node)
    if line is not None and (not item.node.flow or len(start) + 1 + len(line) <= WIDTH):
        yield f"{start} {line}".rstrip(), item.beside
        return
    yield start, item.beside
    yield from _block(item.node, indent + STEP)


def _is_nested(item: Item) -> bool:
    """Whether an item of a list is a collection in block form."""
    return item.key is None and bool(item.node.items) and _one_line(item.node) is None


def _nested(item: Item, indent: int) -> Iterator[Line]:
    """A collection in a list: its first item stands behind the dash, comments above both."""
    above, item = _lifted(item)
    yield from _comments(above, indent)
    for number, (text, beside) in enumerate(_block(item.node, indent + STEP)):
        yield (f"{' ' * indent}-{text[indent + 1 :]}" if not number else text), beside


def _lifted(item: Item) -> tuple[tuple[str | None, ...], Item]:
    """The comments that have no place behind a dash, and the item without them."""
    first, *rest = item.node.items or ()
    above = first.above if item.beside is None else (item.beside, *first.above)
    first = first._replace(above=())
    if _is_nested(first):
        more, first = _lifted(first)
        above = (*above, *more)
    return above, item._replace(beside=None, node=item.node._replace(items=(first, *rest)))


def one_line(node: LaidOutNode) -> str:
    """A collection without comments on one line, however long that is."""
    return _flow(node) or ""


def _one_line(node: LaidOutNode) -> str | None:
    """A node on one line, None where it needs several."""
    if node.items is None:
        return "" if node.value is None else spelled(node.value)
    if not node.items and not node.below:
        return "[]" if node.is_list else "{}"
    return _flow(node) if node.flow else None


def _flow(node: LaidOutNode) -> str | None:
    if node.items is None:
        return "null" if node.value is None else spelled(node.value, in_flow=True)
    if node.below:
        return None
    parts = []
    for item in node.items:
        inner = _flow(item.node)
        if inner is None or item.above or item.beside is not None:
            return None
        parts.append(inner if item.key is None else f"{_key(item.key, in_flow=True)}: {inner}")
    inside = ", ".join(parts)
    return f"[{inside}]" if node.is_list else f"{{{inside}}}"


def spelled(value: Scalar, in_flow: bool = False) -> str:
    """A scalar as YAML 1.2 reads it back.

    >>> [spelled(one) for one in ("lan0", "10:20", "5", 5, True, "!10.0.0.0/8", "a: b", "")]
    ['lan0', '10:20', '"5"', '5', 'true', '"!10.0.0.0/8"', '"a: b"', '""']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    return value if not NOT_TEXT.fullmatch(value) and _is_plain(value, in_flow) else _quoted(value)


def _key(text: str, in_flow: bool = False) -> str:
    """A key; all keys are text, so numbers and words like 'true' need no quotes."""
    return text if text not in ("", "<<", "-") and _is_plain(text, in_flow) else _quoted(text)


def _is_plain(text: str, in_flow: bool) -> bool:
    whole = PLAIN.fullmatch(text) and text.isprintable() and text == text.strip()
    return bool(whole) and not (in_flow and FLOW_MARKS.search(text)) and not text.startswith(("- ", "---"))


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(one) for one in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}" if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"
