"""What differs between a site and what it is compared with: as a value, as text, as JSON.

`diff` and `apply` say it in the same words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation import moves
from nfcompile.allocation.moves import Forgotten, Moves
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.cli import outcome
from nfcompile.cli.moved import NOBODY, forgotten_data, moves_data, moves_text
from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import differences
from nfcompile.emit.differences import Changed
from nfcompile.model.ranges import range_text
from nfcompile.pipeline import Compiled

KERNEL = "kernel"
SIGNS = {"added": "+", "changed": "~", "removed": "-"}
COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
PLAIN = "\x1b[0m"


class Found(NamedTuple):
    """What differs. `moves` is None where nobody can say: the live table comes from an unknown site; so is
    `sessions`, how many the change would end, where no kernel is asked."""

    against: str
    lines: list[str]
    objects: Changed
    paths: dict[str, Path]
    moves: Moves | None
    forgotten: tuple[Forgotten, ...]
    sessions: int | None = None

    @property
    def differs(self) -> bool:
        return bool(self.lines or any(self.moves or ()))


def against_kernel(new: Compiled, live: bytes | None, netns: str | None) -> Found:
    """What it takes to get to a site from the kernel's table; `live` is the text of the site that the table
    is made of, where that is known. Raises SiteError where the kernel refuses the site."""
    from nfcompile.kernel import apply
    from nfcompile.live.continuity import Continuity

    lines, objects, sessions = apply.survey(new.text.text, new.text.origin, netns, Continuity(new))
    if not lines:
        return Found(KERNEL, [], Changed(), {}, NOBODY, (), 0)
    paths = differences.origins(new.table)
    old = _live_claims(live, set(objects.added) >= set(paths))
    return Found(
        KERNEL,
        lines,
        Changed(*objects),
        paths,
        None if old is None else moves.moves(old, new.allocations),
        () if old is None else tuple(moves.forgotten(old, new.allocations)),
        sessions,
    )


def _live_claims(live: bytes | None, nothing_live: bool) -> tuple[PoolAllocation, ...] | None:
    """The pools whose ruleset the kernel has; None where nobody knows."""
    if nothing_live:
        return ()
    site = None if live is None else outcome.compiled_text(live, KERNEL).compiled
    return None if site is None else site.allocations


def as_data(found: Found | None) -> dict[str, object]:
    """The fields of the JSON form that say what differs; docs/diff.md says what they mean."""
    objects = found.objects if found else Changed()
    return {
        "objects": {
            word: [_object(key, found.paths.get(key, ())) for key in keys] if found else []
            for word, keys in objects._asdict().items()
        },
        "moves_known": found is not None and found.moves is not None,
        **moves_data((found and found.moves) or NOBODY),
        "dynamic": [forgotten_data(one) for one in found.forgotten] if found else [],
        "sessions": found.sessions if found else None,
        "diff": found.lines if found else [],
    }


def _object(key: str, path: Path) -> dict[str, str | None]:
    kind, _, name = key.rpartition(" ")
    return {"kind": kind, "name": name, "path": dotted(path) or None}


def as_text(found: Found, color: bool) -> Iterator[str]:
    """The lines for people: the ruleset's, then its objects, then who moves."""
    coloured = color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()
    for line in found.lines:
        yield f"{COLORS[line[0]]}{line}{PLAIN}" if coloured and line[0] in COLORS else line
    yield ""
    counts = ", ".join(f"{len(keys)} {word}" for word, keys in found.objects._asdict().items())
    yield f"objects: {counts}"
    for word, keys in found.objects._asdict().items():
        for key in keys:
            path = dotted(found.paths.get(key, ()))
            yield f"  {SIGNS[word]} {key}{f'  ({path})' if path else ''}"
    if found.moves is None:
        yield "subscribers: who moves is not known, since the site of the live table is not"
    else:
        yield from moves_text(found.moves)
    if found.sessions is not None:
        yield f"sessions: {found.sessions} would end"
    for one in found.forgotten:
        yield f"dynamic pool {one.pool}: {_forgotten(one)}"


def _forgotten(one: Forgotten) -> str:
    if not one.kept:
        return f"{one.why}; its assignments end"
    return f"{one.why}; assignments of {', '.join(map(range_text, one.kept))} stay"
