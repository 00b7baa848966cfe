"""The sets of a one-armed gateway: which addresses of its interface are inside.

An interface on both sides has no direction of its own, so `Context.direction` asks the address, too. Where
all interfaces of a side are such ones, that is one set of networks; where only some are, one set of
interfaces and addresses for each direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nfcompile.emit import Chain, Element, Object, Set
from nfcompile.emit.statements import Match
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.model.ranges import EVERYWHERE, Range, subtract

DIRECTIONS = ("from_inside", "from_outside", "to_inside", "to_outside")


def direction_sets(context: Context, objects: Iterable[Object]) -> Iterator[Set]:
    """The sets that the rules of a table look up."""
    sides = context.sides
    if not sides.shared:
        return
    asked = {
        one.right
        for chain in objects
        if isinstance(chain, Chain)
        for rule in chain.rules
        for one in rule.statements
        if isinstance(one, Match)
    }
    if names.INSIDE_NETWORKS in asked:
        yield address_set(names.INSIDE_NETWORKS, sides.networks, _origin(context))
    for word in DIRECTIONS:
        if names.direction(word) in asked:
            elements = tuple(_elements(context, word.endswith("inside")))
            yield Set(
                names.direction(word), ("ifname", "ipv4_addr"), _origin(context), elements, ("interval",)
            )


def _elements(context: Context, of_inside: bool) -> Iterator[Element]:
    sides = context.sides
    networks = sides.networks if of_inside else subtract((EVERYWHERE,), sides.networks)
    everywhere: tuple[Range, ...] = (EVERYWHERE,)
    for name in sides.inside if of_inside else sides.outside:
        for one in networks if name in sides.shared else everywhere:
            yield Element((name, one))


def _origin(context: Context) -> tuple[str, ...]:
    given = context.site.interfaces.inside_networks is not None
    return ("interfaces", "inside_networks") if given else ("interfaces", "inside")
