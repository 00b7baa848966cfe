"""A table's text, taken apart into its objects: our own text and the kernel's listing have one form.

What packets wrote (elements of dynamic sets and maps) is no part of an object. Knows nothing of how a
text is got, nor of what an object is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = re.compile(r"^\t(counter|ct timeout|ct helper|flowtable|set|map|chain) (\S+) \{")
_TABLE6 = re.compile(r"^table ip6 (\S+) \{")
_RUNTIME = re.compile(r"^\t\t(?:flags .*\b(?:dynamic|timeout)\b|timeout )")
_ELEMENTS = re.compile(r"^\t\telements = \{")
_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
_HOOKED = re.compile(r"^\t\t(?:type \w+ hook|comment) ")
_WORD = re.compile(r"[A-Za-z][\w.-]*")
_QUOTED_COMMENT = re.compile(r'\bcomment "[^"]*"')


TABLE6 = "table ip6"
"""The table of IPv6 is one object: no packet writes anything into it, so it is replaced as a whole."""


class ListedObject(NamedTuple):
    """One object: `lines` from its head to its brace without elements; `raw` is the text as it stood, from
    line `first` (from 1) on; `runtime` says that packets may write its elements."""

    kind: str
    name: str
    lines: tuple[str, ...]
    elements: tuple[str, ...]
    runtime: bool
    raw: tuple[str, ...]
    first: int

    @property
    def key(self) -> str:
        """Kind and name, as nft's commands take them."""
        return f"{self.kind} {self.name}"

    @property
    def frame(self) -> tuple[str, ...]:
        """What cannot be changed while the object lives: all but elements and rules."""
        if self.kind != "chain":
            return self.lines
        return tuple(line for line in self.lines if _HOOKED.match(line))

    @property
    def words(self) -> frozenset[str]:
        """Names that rules and elements may mean; comments do not count."""
        body = " ".join((*self.lines[1:], *self.elements))
        return frozenset(_WORD.findall(_QUOTED_COMMENT.sub("", body)))


ListedObjects = dict[str, ListedObject]
"""Objects by their keys, in the order of the text."""


def parse_objects(text: str) -> ListedObjects:
    r"""Take a text apart.

    >>> text = "table ip t {\n\tset s {\n\t\ttype mark\n\t\telements = { 1, 2,\n\t\t\t     3 }\n\t}\n}\n"
    >>> found = parse_objects(text)
    >>> found["set s"].lines, found["set s"].elements
    (('\tset s {', '\t\ttype mark', '\t}'), ('1', '2', '3'))
    """
    lines = text.splitlines()
    found: ListedObjects = {}
    at = 0
    while at < len(lines):
        if second := _TABLE6.match(lines[at]):
            start, at = at, lines.index("}", at) + 1
            raw = tuple(lines[start:at])
            thing = ListedObject(TABLE6, second[1], raw, (), False, raw, start + 1)
            found[thing.key] = thing
            continue
        head = _HEAD.match(lines[at])
        if not head:
            at += 1
            continue
        start = at
        while lines[at] != "\t}":
            at += 1
        at += 1
        thing = _thing(head[1], head[2], tuple(lines[start:at]), start + 1)
        found[thing.key] = thing
    return found


def _thing(kind: str, name: str, raw: tuple[str, ...], first: int) -> ListedObject:
    if kind not in ("set", "map"):
        return ListedObject(kind, name, raw, (), False, raw, first)
    begin = next((n for n, line in enumerate(raw) if _ELEMENTS.match(line)), None)
    runtime = any(_RUNTIME.match(line) for line in raw[:begin])
    if begin is None:
        return ListedObject(kind, name, raw, (), runtime, raw, first)
    end = begin
    while not raw[end].endswith("}"):
        end += 1
    elements = tuple(_elements(raw[begin : end + 1]))
    return ListedObject(kind, name, raw[:begin] + raw[end + 1 :], elements, runtime, raw, first)


def _elements(lines: tuple[str, ...]) -> Iterator[str]:
    text = " ".join(line.strip() for line in lines)
    inner = text.removeprefix("elements = {").removesuffix("}").strip()
    return (found for found in (one.strip() for one in _ELEMENT.findall(inner)) if found)
