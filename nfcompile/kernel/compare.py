"""A ruleset against the live table: both as the kernel spells them, line by line and object by object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.diagnostics import SiteError
from nfcompile.kernel import netns, nft
from nfcompile.kernel.apply import Origin, diagnostics
from nfcompile.kernel.listing import difference, normalised

_HEAD = re.compile(r"^\t((?:chain|counter|ct helper|ct timeout|map|set) \S+) \{$")

Objects = dict[str, tuple[str, ...]]
"""The lines of each object by kind and name: 'chain pool_homes'."""


class Compared(NamedTuple):
    """`live` is None where there is no table of ours; `lines` is the unified difference."""

    live: Objects | None
    desired: Objects
    lines: list[str]


def compared(text: str, origin: Origin, namespace: str | None = None) -> Compared:
    """Hold a ruleset against what is live; SiteError where this kernel would refuse it.

    What packets wrote is left out on both sides.
    """
    live = netns.inside(namespace, nft.listing)
    refusals, desired = netns.in_scratch(lambda: (nft.load(text), nft.listing() or ""))
    if refusals:
        raise SiteError(diagnostics(refusals, text, origin))
    return Compared(
        None if live is None else dict(_objects(normalised(live))),
        dict(_objects(normalised(desired))),
        difference(live, desired, nft.TABLE),
    )


def _objects(lines: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Cut a listing into its objects."""
    start = 0
    for at, line in enumerate(lines):
        if _HEAD.match(line):
            start = at
        elif line == "\t}" and (head := _HEAD.match(lines[start])):
            yield head[1], tuple(lines[start : at + 1])
