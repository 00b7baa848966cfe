"""Proof of a compiled site: what holds for every packet, and whom it does not hold for.

    Compiled -> boxes (box.py) -> agreement, leaks, connections, sharing;  allocations -> stability

All packets are examined, not samples: as boxes, cut where a question needs it (boxes.py).
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from nfcompile.pipeline import Compiled
from nfcompile.verify.box import Box, TooManyBoxes
from nfcompile.verify.joined_boxes import joined
from nfcompile.verify.proof.agreement import Compared, compared, fates, opened
from nfcompile.verify.proof.connections import Connections, Followed, following
from nfcompile.verify.proof.leaks import Leak, leaks
from nfcompile.verify.proof.prefixes import prefixes
from nfcompile.verify.proof.sharing import Rectangle, Shared, Sharing, rectangles, sharing
from nfcompile.verify.proof.stability import Grown, grown
from nfcompile.verify.reference_site import gateway
from nfcompile.verify.walk import read

__all__ = [
    "MOST_BOXES",
    "Box",
    "Compared",
    "Followed",
    "Grown",
    "Leak",
    "Proof",
    "Shared",
    "Sharing",
    "TooManyBoxes",
    "prove",
]

MOST_BOXES = 200_000
"""More boxes than this of first packets, more ways of them at once and more boxes of later packets are not
looked at: a minute or two."""


class Proof(NamedTuple):
    """How much was looked at, and every counterexample."""

    boxes: int
    different: tuple[Compared, ...]
    ways: int
    leaks: tuple[Leak, ...]
    sharing: Sharing
    lists: int
    moved: tuple[Grown, ...]
    prefix_boxes: int = 0
    prefixes: tuple[Compared, ...] = ()
    later_boxes: int = 0
    later: tuple[Followed, ...] = ()

    @property
    def holds(self) -> bool:
        of_first = self.different or self.leaks or self.sharing.found
        return not (of_first or self.later or self.moved or self.prefixes)


def prove(compiled: Compiled, most_boxes: int = MOST_BOXES) -> Proof:
    """Look for a packet, a subscriber or a list for which the ruleset is not what the site says.

    Raises TooManyBoxes, and UnknownPhrase for a rule that the walker does not have.
    """
    site, program = compiled.site, read(compiled.table)
    pools = {pool.name: pool for pool in site.active_pools}
    count, different = 0, list[Compared]()
    leaving: dict[int, set[Rectangle]] = {}
    ways, leaking = 0, list[Leak]()
    gate = gateway(site, compiled.allocations)
    known = Connections(gate)
    for is_closed in (False, True) if site.pair is not None else (False,):
        said = list(islice(fates(compiled, program, is_closed), most_boxes + 1))
        if len(said) > most_boxes:
            raise TooManyBoxes.than(most_boxes)
        said = joined(said)
        for one in compared(program, said, opened(compiled, is_closed), most_boxes):
            count += 1
            if count > most_boxes:
                raise TooManyBoxes.than(most_boxes)
            if not one.agree:
                different.append(one._replace(is_closed=is_closed))
            leaving.setdefault(one.box.protocol, set()).update(rectangles(site, pools, one))
        for found in leaks(gate, program, said, most_boxes):
            ways += found.out_of_pools
            leaking += found.leaks
            known.add(found.passed)
    followed = 0
    unlike: list[Followed] = []
    protocols = sorted({box.protocol for box, _ in said})
    for later in following(gate, program, known, protocols, most_boxes):
        followed += 1
        if not later.agree:
            unlike.append(later)
    lists = list(grown(compiled.allocations))
    of_prefixes = list(prefixes(compiled))
    return Proof(
        count,
        tuple(different),
        ways,
        tuple(leaking),
        sharing(site, leaving),
        len(lists),
        tuple(one for one in lists if one.moved),
        len(of_prefixes),
        tuple(one for one in of_prefixes if not one.agree),
        followed,
        tuple(unlike),
    )
