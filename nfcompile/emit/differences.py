"""What a ruleset has that another has not, or has otherwise: objects by kind and name, and lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.emit import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Map,
    Object,
    Set,
    Table,
    object_lines,
)

KINDS = {
    Counter: "counter",
    CtTimeout: "ct timeout",
    CtHelper: "ct helper",
    Flowtable: "flowtable",
    Set: "set",
    Map: "map",
    Chain: "chain",
}
PATIENCE = 40_000_000
"""Beyond this many pairs of lines, finding the shortest difference takes longer than reading it."""

Objects = Mapping[str, Sequence[str]]
"""The lines of each object by its key, kind and name as nft's commands take them: 'chain pool_homes'."""


def label(one: Object) -> str:
    """Kind and name, as nft's commands take them: 'chain pool_homes'."""
    return f"{KINDS[type(one)]} {one.name}"


class Changed(NamedTuple):
    """Keys of the objects that are more, otherwise, and no longer there, in the order of the rulesets."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def objects(table: Table) -> Objects:
    """The objects of a table as they are emitted."""
    keyed = ((label(thing), thing) for thing in table.objects)
    return {key: tuple(line for lines, _ in object_lines(thing) for line in lines) for key, thing in keyed}


def origins(table: Table) -> dict[str, Path]:
    """The site path that each object of a table serves; () for those of the whole gateway."""
    return {label(thing): thing.origin for thing in table.objects}


def compare(before: Objects, after: Objects) -> Changed:
    """What makes `before` into `after`."""
    return Changed(
        tuple(key for key in after if key not in before),
        tuple(key for key, lines in after.items() if key in before and before[key] != lines),
        tuple(key for key in before if key not in after),
    )


def unified(old: list[str], new: list[str], old_name: str, new_name: str) -> list[str]:
    """The difference of lines as `diff -u` writes it, a coarse one where the finer would take too long."""
    import difflib

    if old == new:
        return []
    if len(old) * len(new) > PATIENCE:
        return [f"--- {old_name}", f"+++ {new_name}", *_coarse(old, new)]
    return list(difflib.unified_diff(old, new, old_name, new_name, lineterm=""))


def _coarse(old: list[str], new: list[str]) -> Iterator[str]:
    """What is only here and what is only there, in order and without context."""
    before, after = set(old), set(new)
    yield f"@@ -1,{len(old)} +1,{len(new)} @@"
    yield from (f"-{line}" for line in old if line not in after)
    yield from (f"+{line}" for line in new if line not in before)
