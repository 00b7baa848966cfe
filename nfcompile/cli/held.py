"""What the kernel holds beside what a site compiles to: as a value, as text, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.diagnostics import dotted
from nfcompile.emit.deviations import Deviation, Spot, as_compiled, deviations
from nfcompile.emit.validate import pruned
from nfcompile.pipeline import Compiled

SHOWN = 20
"""Spots of an object that are told in full; JSON has all."""
SAID = {"missing": "not in the kernel", "foreign": "not of the site", "changed": "differs"}


class Held(NamedTuple):
    """The site with the kernel's table in the place of its own, and in what the two differ."""

    compiled: Compiled
    objects: int
    deviations: tuple[Deviation, ...]


def compared(compiled: Compiled, namespace: str | None) -> Held:
    """Read the kernel's table. Raises KernelError where there is none."""
    from nfcompile.live import ruleset

    listed = ruleset.listed(namespace)
    found = tuple(deviations(compiled.table, listed))
    # What no packet gets to does not matter to the proof.
    table = pruned(as_compiled(compiled.table, listed.table)) if found else compiled.table
    return Held(compiled._replace(table=table), len(listed.table.objects) + len(listed.unread), found)


def as_text(held: Held) -> Iterator[str]:
    """The line `kernel`, and below it every object that differs, place by place."""
    count = f"{held.objects:,} object{'s' if held.objects != 1 else ''}"
    if not held.deviations:
        yield f"kernel     {count}, all as the site says"
        return
    number = len(held.deviations)
    yield f"kernel     NO: {number:,} of {count} {'is' if number == 1 else 'are'} not as the site says"
    for one in held.deviations:
        path = dotted(one.origin)
        yield f"    {one.object}{f' ({path})' if path else ''}: {SAID[one.how]}"
        for spot in one.spots[:SHOWN]:
            yield from _spot(spot)
        if len(one.spots) > SHOWN:
            yield f"        {len(one.spots) - SHOWN:,} more"


def _spot(spot: Spot) -> Iterator[str]:
    if spot.site:
        yield f"        - {spot.place}: {spot.site}"
    if spot.kernel:
        yield f"        + {spot.place}: {spot.kernel}"


def as_data(held: Held | None) -> dict[str, Any]:
    """The field `kernel` of the JSON form; docs/prove.md says what is in it."""
    if held is None:
        return {}
    return {"kernel": {"objects": held.objects, "different": [_deviation(one) for one in held.deviations]}}


def _deviation(one: Deviation) -> dict[str, Any]:
    kind, _, name = one.object.rpartition(" ")
    spots = [
        {"place": spot.place, "site": spot.site or None, "kernel": spot.kernel or None} for spot in one.spots
    ]
    return {"kind": kind, "name": name, "path": dotted(one.origin) or None, "how": one.how, "places": spots}
