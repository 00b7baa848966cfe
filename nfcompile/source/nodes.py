"""What stands where in a YAML text: the nodes of a document, and places in its lines."""

import re
from typing import Any

from yaml.events import AliasEvent, ScalarEvent

from nfcompile.diagnostics import Place

CLIP_LENGTH = 60
NESTING_LIMIT = 50
TOO_DEEP = f"nested deeper than {NESTING_LIMIT} levels"
CODE = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|(?<!\s)#|[^#])*""")
"""A line up to its comment."""

Leaf = ScalarEvent | AliasEvent


class Branch:
    """A mapping (children by key, each with the event of its key) or a list (children in order)."""

    __slots__ = ("children", "end_mark", "items", "start_mark")

    def __init__(self, start: Any) -> None:
        self.start_mark = start.start_mark
        self.end_mark = start.end_mark
        self.children: dict[str, tuple[Leaf, Leaf | Branch]] = {}
        self.items: list[Leaf | Branch] = []


Node = Leaf | Branch


def clip(text: str) -> str:
    """Cut a text of the user to the length that a message can hold."""
    return text if len(text) <= CLIP_LENGTH else text[: CLIP_LENGTH - 3] + "..."


def child(node: Node | None, step: str | int) -> tuple[Leaf | None, Node] | None:
    """The node below another one, with the node of its key (None in a list); None where there is none."""
    if not isinstance(node, Branch):
        return None
    if isinstance(step, int) and 0 <= step < len(node.items):
        return None, node.items[step]
    return node.children.get(str(step))


def is_empty(node: Any) -> bool:
    """Whether nothing is written there, as after the colon of 'pools:'."""
    return bool(node.start_mark.index == node.end_mark.index)


def stretch(lines: list[str], node: Any, span: tuple[int, int] | None) -> Place:
    """The place of a node, or of a half-open stretch of its characters; of several lines the first."""
    line, first = node.start_mark.line, node.start_mark.column
    text = lines[line] if line < len(lines) else ""
    if node.end_mark.line != line:
        last = len(code_of(text))
    else:
        last = node.end_mark.column
        if span and isinstance(node, ScalarEvent):
            inner = first + 1 if node.style else first
            # Escapes in quotes move the characters; then the whole scalar is as near as it gets.
            if text[inner : inner + len(node.value)] == node.value:
                first, last = min(inner + span[0], last - 1), min(inner + span[1], last)
    if first >= last:  # an empty node stands behind the ':' or '-' that announces it
        first = max(min(first, len(text)) - 1, 0)
    return Place(line + 1, first + 1, max(last, first + 1))


def code_of(line: str) -> str:
    """A line without its comment and the spaces before that."""
    found = CODE.match(line)
    return (found[0] if found else line).rstrip()


def mark_place(mark: Any) -> Place:
    """The place of the character at a mark of PyYAML."""
    return Place(mark.line + 1, mark.column + 1, mark.column + 1)


def offset_place(text: str, start: int, length: int = 1) -> Place:
    """The place of `length` characters from an offset on, all in one line."""
    column = start - text.rfind("\n", 0, start)
    return Place(text.count("\n", 0, start) + 1, column, column + length - 1)
