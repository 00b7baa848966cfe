"""The kernel's listing of our table in a form that two states can be compared in, line by line.

What packets wrote (elements of dynamic sets and maps) is left out, and elements stand one a line.
Knows nothing of how a listing is got.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

_OBJECT = re.compile(r"^\t(?:set|map) ")
_HEAD = re.compile(r"^\t((?:counter|ct timeout|ct helper|set|map|chain) \S+) \{")
_RUNTIME = re.compile(r"^\t\t(?:flags .*\b(?:dynamic|timeout)\b|timeout )")
_ELEMENTS = re.compile(r"^\t\telements = \{")
_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
# Beyond this many pairs of lines, finding the shortest difference takes longer than reading it.
_PATIENCE = 40_000_000


def normalised(listing: str) -> list[str]:
    r"""Take what packets wrote out of a listing, and put one element on a line.

    >>> normalised("table ip t {\n\tset s {\n\t\ttype mark\n\t\telements = { 1, 2,\n\t\t\t     3 }\n\t}\n}\n")
    ['table ip t {', '\tset s {', '\t\ttype mark', '\t\t\t1,', '\t\t\t2,', '\t\t\t3,', '\t}', '}']
    """
    lines = [line for line in listing.splitlines() if line.strip() and not line.startswith("#")]
    done: list[str] = []
    runtime = False
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if _OBJECT.match(line):
            runtime = False
        runtime = runtime or bool(_RUNTIME.match(line))
        if not _ELEMENTS.match(line):
            done.append(line)
            continue
        start = at - 1
        while not lines[at - 1].endswith("}"):
            at += 1
        if not runtime:
            done.extend(_elements(lines[start:at]))
    return done


def difference(live: str | None, desired: str, name: str) -> list[str]:
    """The unified difference between the live table (None: there is none) and the desired one."""
    old, new = normalised(live or ""), normalised(desired)
    if old == new:
        return []
    if len(old) * len(new) > _PATIENCE:
        return [f"--- live table {name}", f"+++ desired table {name}", *_coarse(old, new)]
    return list(difflib.unified_diff(old, new, f"live table {name}", f"desired table {name}", lineterm=""))


def objects(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The objects of a normalised listing: kind and name ('chain pool_homes'), and lines."""
    start = 0
    for at, line in enumerate(lines):
        if _HEAD.match(line):
            start = at
        elif line == "\t}" and (head := _HEAD.match(lines[start])):
            yield head[1], lines[start : at + 1]


def _elements(lines: list[str]) -> Iterator[str]:
    text = " ".join(line.strip() for line in lines)
    inner = text.removeprefix("elements = {").removesuffix("}").strip()
    return (f"\t\t\t{element.strip()}," for element in _ELEMENT.findall(inner))


def _coarse(old: list[str], new: list[str]) -> Iterator[str]:
    """What is only here and what is only there, in order and without context."""
    before, after = set(old), set(new)
    yield f"@@ -1,{len(old)} +1,{len(new)} @@"
    yield from (f"-{line}" for line in old if line not in after)
    yield from (f"+{line}" for line in new if line not in before)
