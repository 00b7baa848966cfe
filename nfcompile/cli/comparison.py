"""A comparison as text and as JSON: `diff` and `apply` have the same words for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.allocation.moves import Forgotten
from nfcompile.cli.moved import forgotten_data, moves_data, moves_text
from nfcompile.deploy.comparison import NO_MOVES, Comparison
from nfcompile.diagnostics import Path, dotted
from nfcompile.emit.differences import Changed
from nfcompile.model.ranges import range_text
from nfcompile.report import visible

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled


SIGNS = {"added": "+", "changed": "~", "removed": "-"}
COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
PLAIN = "\x1b[0m"


class Side(NamedTuple):
    """One of two sites that are compared."""

    name: str
    compiled: Compiled


def as_data(found: Comparison | None) -> dict[str, object]:
    """The fields of the JSON form that say what differs; docs/diff.md explains them."""
    objects = found.objects if found else Changed()
    return {
        "objects": {
            word: [_object(key, found.paths.get(key, ())) for key in keys] if found else []
            for word, keys in objects._asdict().items()
        },
        "moves_known": found is not None and found.moves is not None,
        **moves_data((found and found.moves) or NO_MOVES),
        "dynamic": [forgotten_data(one) for one in found.forgotten] if found else [],
        "sessions": found.sessions if found else None,
        "diff": found.lines if found else [],
    }


def _object(key: str, path: Path) -> dict[str, str | None]:
    kind, _, name = key.rpartition(" ")
    return {"kind": kind, "name": name, "path": dotted(path) or None}


def as_text(found: Comparison, color: bool) -> Iterator[str]:
    """The lines for people: the ruleset's, then its objects, then the subscribers that move."""
    yield from diff_text(found.lines, color)
    yield ""
    counts = ", ".join(f"{len(keys)} {word}" for word, keys in found.objects._asdict().items())
    yield f"objects: {counts}"
    for word, keys in found.objects._asdict().items():
        for key in keys:
            path = dotted(found.paths.get(key, ()))
            yield f"  {SIGNS[word]} {visible(key)}{f'  ({path})' if path else ''}"
    if found.moves is None:
        yield "subscribers: moves are not known, because the history does not say which site is live"
    else:
        yield from moves_text(found.moves)
    if found.sessions is not None:
        yield f"sessions: {found.sessions} would end"
    for one in found.forgotten:
        yield f"dynamic pool {one.pool}: {_forgotten(one)}"


def diff_text(lines: list[str], color: bool) -> Iterator[str]:
    """The lines of a unified diff, coloured on a terminal."""
    coloured = color and sys.stdout.isatty()
    for line in lines:
        text = "\t".join(map(visible, line.split("\t")))
        yield f"{COLORS[line[0]]}{text}{PLAIN}" if coloured and line[:1] in COLORS else text


def _forgotten(one: Forgotten) -> str:
    if not one.kept:
        return f"{one.why}; its assignments end"
    return f"{one.why}; assignments of {', '.join(map(range_text, one.kept))} stay"
