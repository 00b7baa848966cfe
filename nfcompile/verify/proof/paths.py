"""The paths of connections: as few as there can be, with the ends of all connections on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import le

from nfcompile.verify.field_values import Ranges

Paths = tuple[frozenset[str], frozenset[str], frozenset[str]]
"""Where first packets arrive, where their routes lead, and those to their sources."""
EndValues = tuple[set[Ranges], ...]
"""All that connections have at each of their eight ends."""


def no_ends(count: int) -> EndValues:
    return tuple(set() for _ in range(count))


def joined(known: Mapping[Paths, EndValues]) -> dict[Paths, EndValues]:
    """The same paths, as few as there can be: those that differ at one place are one with both, and those
    within others are theirs. What has another's path may have its ends: more than there is."""
    found, count = dict(known), len(known) + 1
    while len(found) < count:
        count = len(found)
        for place in range(3):
            rows: dict[tuple[frozenset[str], ...], list[Paths]] = {}
            for paths in found:
                rows.setdefault(paths[:place] + paths[place + 1 :], []).append(paths)
            for alike in (alike for alike in rows.values() if len(alike) > 1):
                _join(found, alike, _with(alike[0], place, frozenset().union(*(one[place] for one in alike))))
        for paths in list(found):
            around = next((one for one in found if one != paths and all(map(le, paths, one))), None)
            if around is not None:
                _join(found, [paths, around], around)
    return found


def _with(paths: Paths, place: int, names: frozenset[str]) -> Paths:
    first, second, third = (names if at == place else one for at, one in enumerate(paths))
    return first, second, third


def _join(found: dict[Paths, EndValues], some: Iterable[Paths], paths: Paths) -> None:
    ends = [found.pop(one) for one in some]
    found[paths] = tuple(set().union(*values) for values in zip(*ends, strict=True))
