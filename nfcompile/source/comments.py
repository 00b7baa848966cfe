"""A site's document -> the tree that `layout` writes, with the comments and empty lines of the text in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.source.document import Document
from nfcompile.source.layout import STEP, Item, LaidOutNode, Scalar
from nfcompile.source.nodes import Branch


class _Trivia(NamedTuple):
    """A comment that has its line to itself, or (`text` None) an empty line; line and column count from 0."""

    line: int
    column: int
    text: str | None


def tree(document: Document) -> LaidOutNode:
    """The whole file."""
    return _Reader(document).root()


class _Reader:
    """Walks nodes and comments side by side, in the order of the text."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines = document.lines
        self.beside: dict[int, tuple[int, str]] = {}
        self.trivia: list[_Trivia] = []
        self.next = 0
        self.scan(_scalars(document.nodes))

    def scan(self, scalars: dict[int, list[tuple[int, int]]]) -> None:
        """Find the comments: a '#' at the start of a word that is not part of a scalar."""
        for number, line in enumerate(self.lines):
            spans = scalars.get(number, [])
            if not line.strip() and not spans:
                self.trivia.append(_Trivia(number, -1, None))
                continue
            at = line.find("#")
            while at >= 0:
                free = not any(first <= at < last for first, last in spans)
                if free and (at == 0 or line[at - 1] in " \t"):
                    break
                at = line.find("#", at + 1)
            if at < 0:
                continue
            if line[:at].strip():
                self.beside[number] = (at, line[at + 1 :].rstrip())
            else:
                self.trivia.append(_Trivia(number, at, line[at + 1 :].rstrip()))

    def root(self) -> LaidOutNode:
        node = self.document.nodes
        if not isinstance(node, Branch):
            return LaidOutNode(items=(), below=tuple(one.text for one in self.trivia))
        found = self.collection(node, self.document.data, len(self.lines), 0)
        rest = [one.text for one in self.trivia[self.next :]]
        # What stands behind the bracket that ends the file has no item.
        rest += [text for _, (_, text) in sorted(self.beside.items())]
        return found._replace(below=(*found.below, *rest))

    def collection(self, branch: Branch, data: Any, limit: int, column: int) -> LaidOutNode:
        """A mapping or list; what follows it begins in line `limit`, its items stand in `column`."""
        flow = self.lines[branch.start_mark.line][branch.start_mark.column :][:1] in ("{", "[")
        children = list(_children(branch, data))
        starts = [mark.start_mark for mark, *_ in children]
        items = []
        for index, (_, key, node, value) in enumerate(children):
            end = starts[index + 1].line if index + 1 < len(children) else limit
            above = self.before(starts[index].line)
            items.append(self.item(key, node, value, starts[index].line, end, above))
        below = () if flow and not children else self.after(limit, column)
        return LaidOutNode(items=tuple(items), is_list=isinstance(data, list), flow=flow, below=below)

    def item(
        self, key: str | None, node: Any, value: Any, line: int, limit: int, above: tuple[str | None, ...]
    ) -> Item:
        """An item with the comment on its line, and, of a flow collection, the one behind its end."""
        if not isinstance(node, Branch):
            last = node.end_mark.line
            return Item(key, LaidOutNode(_scalar(value)), above, self.take(last) or self.take(line))
        beside = self.take(line) if node.start_mark.line > line else None
        after = self.take(node.end_mark.line, node.end_mark.column) if self.is_flow(node) else None
        column = _column(node)
        inner = self.collection(node, value, min(limit, self.end_of(node)), column)
        if beside is not None and after is not None:
            above, after = (*above, after), None
        return Item(key, inner, above, beside if beside is not None else after)

    def is_flow(self, node: Branch) -> bool:
        return self.lines[node.start_mark.line][node.start_mark.column :][:1] in ("{", "[")

    def end_of(self, node: Branch) -> int:
        """The line behind a flow collection; a block ends where the next thing begins."""
        return int(node.end_mark.line) if self.is_flow(node) else len(self.lines)

    def take(self, line: int, column: int = 0) -> str | None:
        """The comment behind that line, once."""
        found = self.beside.get(line)
        if found is None or found[0] < column:
            return None
        del self.beside[line]
        return found[1]

    def before(self, line: int) -> tuple[str | None, ...]:
        """Comments and empty lines above a line that no item has yet."""
        taken = []
        while self.next < len(self.trivia) and self.trivia[self.next].line < line:
            taken.append(self.trivia[self.next].text)
            self.next += 1
        return tuple(taken)

    def after(self, limit: int, column: int) -> tuple[str | None, ...]:
        """Comments behind the last item that are indented like the items, up to one that is not."""
        end = last = self.next
        while end < len(self.trivia) and self.trivia[end].line < limit:
            one = self.trivia[end]
            if one.text is not None and one.column < column:
                break
            end += 1
            if one.text is not None:
                last = end
        taken = tuple(one.text for one in self.trivia[self.next : last])
        self.next = last
        return taken


def _children(branch: Branch, data: Any) -> Iterator[tuple[Any, str | None, Any, Any]]:
    """Each child: where it begins, its key, its node, its value."""
    if isinstance(data, list):
        for node, value in zip(branch.items, data, strict=True):
            yield node, None, node, value
        return
    for key, (mark, node) in branch.children.items():
        yield mark, key, node, data[key]


def _column(branch: Branch) -> int:
    """Where the items of a collection stand; comments that are further left are not its own."""
    keys: list[Any] = [key for key, _ in branch.children.values()]
    items: list[Any] = list(branch.items)
    if items:
        return max(int(items[0].start_mark.column) - STEP, 0)
    return int(keys[0].start_mark.column) if keys else 0


def _scalar(value: Any) -> Scalar:
    assert value is None or isinstance(value, str | int | bool)
    return value


def _scalars(node: Any) -> dict[int, list[tuple[int, int]]]:
    """Columns that scalars take, by line."""
    found: dict[int, list[tuple[int, int]]] = {}
    waiting: list[Any] = [node] if node is not None else []
    while waiting:
        one = waiting.pop()
        if isinstance(one, Branch):
            for mark, child in one.children.values():
                waiting += [mark, child]
            waiting += one.items
            continue
        start, end = one.start_mark, one.end_mark
        for line in range(start.line, end.line + 1):
            first = start.column if line == start.line else 0
            last = end.column if line == end.line else 1 << 30
            found.setdefault(line, []).append((first, last))
    return found
