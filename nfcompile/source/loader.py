"""The events of the YAML parser -> plain data and nodes, side by side.

Refuses what YAML allows and a site does not: aliases, tags, merge keys, repeated keys, a second document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Note, Path, Place
from nfcompile.source.characters import has_invisible
from nfcompile.source.nodes import NESTING_LIMIT, TOO_DEEP, Branch, Node, clip, is_empty, mark_place, stretch

DIGITS_LIMIT = 30
"""No number of a site has more; Python refuses to read 4301."""
WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
"""The words of YAML 1.2's core schema; `on`, `no` and the like stay text."""
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
PROPERTY = re.compile(r"\s*([&!][^\s,\[\]{}]*)")
"""An anchor or a tag."""


class _SyntaxStop(Exception):
    """The rest of the text cannot be read."""


class Loader:
    """One pass over the events of the YAML parser.

    A branch joins its parent before it is filled, so that the nodes can be used after a stop too.
    """

    def __init__(self, text: str, lines: list[str]) -> None:
        self.text = text
        self.lines = lines
        self.problems: list[Diagnostic] = []
        self.unread: set[Path] = set()
        self.complete = False
        self.nodes: Node | None = None
        # libyaml is 30 times faster; PyYAML without it differs in the wording of its errors only.
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self.events: Iterator[Any] = iter(loader.get_event, None)

    def run(self) -> Any:
        """Return the data of the text; its faults are in `problems`."""
        try:
            return self.document()
        except yaml.YAMLError as error:
            from nfcompile.source.syntax_errors import syntax_error

            self.problems.append(syntax_error(error, self.lines))
        except _SyntaxStop:
            pass
        return None

    def document(self) -> Any:
        next(self.events)  # the start of the stream
        if type(next(self.events)) is StreamEndEvent:
            self.empty()
            return None
        event = next(self.events)
        self.nodes, value = self.begin(event, ())
        if isinstance(self.nodes, Branch):
            self.fill(self.nodes, value, (), 1)
        next(self.events)  # the end of the document
        following = next(self.events)
        if type(following) is DocumentStartEvent:
            hint = "one file describes one gateway"
            self.refuse("yaml-documents", "a second document starts here", (), following, hint)
        self.complete = True
        if not isinstance(value, dict) and not self.problems:
            self.not_a_mapping(event, value)
        return value

    def not_a_mapping(self, event: Any, value: Any) -> None:
        if value is None and is_empty(event):
            return self.empty()
        what = "a list" if isinstance(value, list) else "one value"
        message = f"the file holds {what}, not keys with values"
        hint = "a site starts with 'version: 1'"
        self.refuse("yaml-not-a-mapping", message, (), self.nodes, hint)

    def empty(self) -> None:
        message = "the file holds no keys" if self.lines else "the file is empty"
        hint = "'nfcompile init' writes a site to start from"
        self.problems.append(Diagnostic("yaml-empty", message, place=Place(1, 1, 1), hint=hint))

    def begin(self, event: Any, path: Path) -> tuple[Node, Any]:
        """Make the node and the value of an event; a branch and its value are still empty."""
        kind = type(event)
        if kind is ScalarEvent:
            return event, self.scalar(event, path)
        if kind is AliasEvent:
            hint = "write the value out"
            self.refuse("yaml-alias", f"alias '*{clip(event.anchor)}'", path, event, hint)
            self.unread.add(path)
            return event, None
        if event.anchor or event.tag:
            self.properties(event, path)
        return Branch(event), {} if kind is MappingStartEvent else []

    def fill(self, branch: Branch, value: Any, path: Path, depth: int) -> None:
        if depth > NESTING_LIMIT:
            place = mark_place(branch.start_mark)
            self.problems.append(Diagnostic("yaml-nesting", TOO_DEEP, path, place=place))
            raise _SyntaxStop
        if isinstance(value, dict):
            self.fill_mapping(branch, value, path, depth)
        else:
            self.fill_list(branch, value, path, depth)

    def fill_mapping(self, branch: Branch, data: Any, path: Path, depth: int) -> None:
        children, events, begin = branch.children, self.events, self.begin
        for event in events:
            if type(event) is MappingEndEvent:
                branch.end_mark = event.end_mark
                return
            key = self.key(event, path)
            following = next(events)
            if key == "<<" and not event.style:
                following = self.without_merge(event, following, path)
            here = (*path, key)
            node, value = begin(following, here)
            if key in data:
                note = Note(f"'{clip(key)}' is given here first", here, key=True)
                self.refuse("yaml-duplicate-key", f"key '{clip(key)}' is given twice", here, event, "", note)
                self.unread.add(here)
            else:
                children[key] = (event, node)
                data[key] = value
            if type(node) is Branch:
                self.fill(node, value, here, depth + 1)

    def fill_list(self, branch: Branch, data: Any, path: Path, depth: int) -> None:
        for event in self.events:
            if type(event) is SequenceEndEvent:
                branch.end_mark = event.end_mark
                return
            here = (*path, len(data))
            node, value = self.begin(event, here)
            branch.items.append(node)
            data.append(value)
            if isinstance(node, Branch):
                self.fill(node, value, here, depth + 1)

    def key(self, event: Any, path: Path) -> str:
        """Keys stay text, numbers too: an ACL rule's number and an address are keys."""
        if type(event) is ScalarEvent:
            if event.anchor or event.tag or has_invisible(event.value):
                self.scalar(event, path)
            return str(event.value)
        if type(event) is AliasEvent:
            self.begin(event, path)
            return f"*{event.anchor}"
        hint = "put text that starts with '{' or '[' in quotes"
        place = mark_place(event.start_mark)
        message = "a key must be one word"
        self.problems.append(Diagnostic("yaml-key", message, path, place=place, hint=hint))
        raise _SyntaxStop

    def without_merge(self, key: Any, following: Any, path: Path) -> Any:
        """Refuse a merge key; the alias that follows is the same mistake and gets no message of its own."""
        hint = "write the keys out"
        self.refuse("yaml-merge-key", "merge key '<<'", (*path, "<<"), key, hint)
        self.unread.add(path)
        if type(following) is not AliasEvent:
            return following
        empty = (True, False)
        return ScalarEvent(None, None, empty, "", following.start_mark, following.start_mark)

    def scalar(self, event: Any, path: Path) -> Any:
        text = event.value
        if event.anchor or event.tag:
            self.properties(event, path)
        if has_invisible(text):
            hint = "write it on one line"
            message = "a value with a line break"
            if "\n" not in text:
                message, hint = "a value with a control character", "remove it"
            elif event.style in ("|", ">"):
                hint = "write it on one line, or use '>-'"
            self.refuse("yaml-character", message, path, event, hint)
            self.unread.add(path)
        if event.style:
            return text
        if INTEGER.fullmatch(text):
            if len(text) <= DIGITS_LIMIT:
                return int(text)
            message = f"a number of {len(text.lstrip('-'))} digits"
            self.refuse("yaml-number", message, path, event)
            self.unread.add(path)
        return WORDS.get(text, text)

    def properties(self, event: Any, path: Path) -> None:
        """Refuse an anchor and a tag, which stand before their node in either order."""
        mark = event.start_mark
        at = mark.index
        while found := PROPERTY.match(self.text, at):
            at, start = found.end(), found.start(1)
            line = mark.line + self.text.count("\n", mark.index, start)
            column = start - self.text.rfind("\n", 0, start)
            place = Place(line + 1, column, column + len(found[1]) - 1)
            code, kind, hint = "yaml-tag", "tag", "remove it; put text that starts with '!' in quotes"
            if found[1][0] == "&":
                code, kind, hint = "yaml-alias", "anchor", "remove it, and write each value out"
            message = f"{kind} '{clip(found[1])}'"
            self.problem(Diagnostic(code, message, path, place=place, hint=hint))

    def problem(self, one: Diagnostic) -> None:
        self.problems.append(one)
        if len(self.problems) == PROBLEMS_LIMIT:
            raise _SyntaxStop

    def refuse(self, code: str, message: str, path: Path, event: Any, hint: str = "", *notes: Note) -> None:
        place = stretch(self.lines, event, None)
        self.problem(Diagnostic(code, message, path, hint=hint, notes=notes, place=place))
