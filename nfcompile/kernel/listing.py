"""The difference of two states of our table as lines that people read: a unified diff.

What packets wrote (elements of dynamic sets and maps) is left out, elements stand one a line, and the objects
of both sides in the order of the desired one: the kernel lists them in the order in which they came.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from nfcompile.kernel.objects import TABLE6, ListedObjects

# Beyond this many pairs of lines, finding the shortest difference takes longer than reading it.
MAX_DIFF_PAIRS = 40_000_000


def normalised(found: ListedObjects, name: str, order: ListedObjects | None = None) -> list[str]:
    """A table as lines; what `order` does not have stands at the end."""
    keys = (
        found if order is None else [*(k for k in order if k in found), *(k for k in found if k not in order)]
    )
    lines = [f"table {name} {{"]
    tables = [found[key] for key in keys if found[key].kind == TABLE6]
    for key in keys:
        thing = found[key]
        if thing.kind == TABLE6:
            continue
        lines += thing.lines[:-1]
        if not thing.runtime:
            lines += (f"\t\t\t{element}," for element in thing.elements)
        lines.append(thing.lines[-1])
    return [*lines, "}", *(line for table in tables for line in table.lines)]


def difference(live: ListedObjects | None, desired: ListedObjects, name: str) -> list[str]:
    """The unified difference between the live table (None: there is none) and the desired one."""
    old = [] if live is None else normalised(live, name, desired)
    new = normalised(desired, name)
    if old == new:
        return []
    if len(old) * len(new) > MAX_DIFF_PAIRS:
        return [f"--- live table {name}", f"+++ desired table {name}", *_coarse(old, new)]
    return list(difflib.unified_diff(old, new, f"live table {name}", f"desired table {name}", lineterm=""))


def _coarse(old: list[str], new: list[str]) -> Iterator[str]:
    """What is only here and what is only there, in order and without context."""
    before, after = set(old), set(new)
    yield f"@@ -1,{len(old)} +1,{len(new)} @@"
    yield from (f"-{line}" for line in old if line not in after)
    yield from (f"+{line}" for line in new if line not in before)
