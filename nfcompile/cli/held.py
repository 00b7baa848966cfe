"""What the kernel holds beside what a site compiles to: as a value, as text, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.diagnostics import dotted
from nfcompile.emit.deviations import Deviation, Spot, as_compiled, deviations
from nfcompile.emit.listing import Listed
from nfcompile.emit.objects import FAMILY, Table
from nfcompile.emit.validate import pruned
from nfcompile.pipeline import Compiled

SHOWN = 20
"""Spots of an object that are told in full; JSON has all."""
SAID = {"missing": "not in the kernel", "foreign": "not of the site", "changed": "differs"}


class Held(NamedTuple):
    """The site with the kernel's tables in the place of its own, and in what they differ."""

    compiled: Compiled
    objects: int
    deviations: tuple[Deviation, ...]


def compared(compiled: Compiled, namespace: str | None) -> Held:
    """Read the kernel's tables. Raises KernelError where there is none."""
    from nfcompile.live import ruleset

    listed = ruleset.listed(namespace)
    found = tuple(deviations(compiled.table, listed))
    table = _proved(compiled.table, listed, found)
    of_ipv6 = _compared6(compiled.npt, ruleset.listed6(namespace))
    objects = _objects(listed) + of_ipv6.objects
    return Held(compiled._replace(table=table, npt=of_ipv6.table), objects, (*found, *of_ipv6.deviations))


class _Held6(NamedTuple):
    """The same of the table of IPv6; None where neither the site nor the kernel has one."""

    table: Table | None
    objects: int = 0
    deviations: tuple[Deviation, ...] = ()


def _compared6(site: Table | None, listed: Listed | None) -> _Held6:
    """A table that only one side has is one deviation; what the kernel lacks does nothing to packets."""
    if listed is None:
        if site is None:
            return _Held6(None)
        return _Held6(site._replace(objects=()), 0, (_whole(site, "missing"),))
    if site is None:
        return _Held6(pruned(listed.table), _objects(listed), (_whole(listed.table, "foreign"),))
    found = tuple(deviations(site, listed))
    return _Held6(_proved(site, listed, found), _objects(listed), found)


def _whole(table: Table, how: str) -> Deviation:
    return Deviation(f"table {table.name}", how, ("pools",) if how == "missing" else (), (), table.family)


def _proved(site: Table, listed: Listed, found: tuple[Deviation, ...]) -> Table:
    """The kernel's table without what no packet gets to, which does not matter to the proof."""
    return pruned(as_compiled(site, listed.table)) if found else site


def _objects(listed: Listed) -> int:
    return len(listed.table.objects) + len(listed.unread)


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
        family = "" if one.family == FAMILY else f"{one.family} "
        yield f"    {family}{one.object}{f' ({path})' if path else ''}: {SAID[one.how]}"
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
    named = {"family": one.family, "kind": kind, "name": name}
    return named | {"path": dotted(one.origin) or None, "how": one.how, "places": spots}
