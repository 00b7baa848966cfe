"""The matches of a rule, the cheapest first: a packet that a rule does not concern leaves it early.

Matches without a side effect may stand in any order. Measured in thousandths of a `masquerade` (kernel 6.18,
each rule sixty times): an address in one prefix 1, the connection or the protocol 2 to 3, its addresses 5,
the name of an interface 7 (16 bytes are copied and compared), a set of numbers 9, of names 18, of ranges 19.

Every new packet meets the base chains, and most go to no global address and to no subscriber. Before the
look-up of an address in a set of ranges such a rule so asks for the one prefix that holds them all.
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.emit import Chain, Name, Object, Rule, Set
from nfcompile.emit.expressions import Bitwise, Elements, Field
from nfcompile.emit.statements import IIFNAME, IP_DADDR, IP_SADDR, OIFNAME, Match, match
from nfcompile.model.ranges import ADDRESS_LAST, Range

TUPLES = ("ct original ip", "ct reply ip")
ADDRESS, PLAIN, INTERFACE, SET, LAST = range(5)
Prefixes = dict[Name, Range]
"""Sets of ranges of addresses, each with the smallest prefix that holds all of them."""


def cheapest_first(objects: Iterable[Object]) -> tuple[Object, ...]:
    """The same objects; the matches with which a rule begins are sorted, those that cost the same stay."""
    every = tuple(objects)
    fixed = [one for one in every if isinstance(one, Set) and one.key == ("ipv4_addr",) and one.elements]
    found = {one.name: _prefix(one.elements) for one in fixed if "dynamic" not in one.flags}
    prefixes = {name: prefix for name, prefix in found.items() if prefix is not None}
    return tuple(_chain(one, prefixes) if isinstance(one, Chain) else one for one in every)


def _chain(chain: Chain, prefixes: Prefixes) -> Chain:
    """In the forward chain a set is asked for those that it is about, so there a prefix tells nothing."""
    met = chain.hook is not None and chain.hook.hook != "forward"
    rules = tuple([_rule(rule, prefixes if met else None) for rule in chain.rules])
    return chain if rules == chain.rules else chain._replace(rules=rules)


def _rule(rule: Rule, prefixes: Prefixes | None) -> Rule:
    matches: list[Match] = []
    for one in rule.statements:
        if not isinstance(one, Match):
            break
        matches.append(one)
    rest = rule.statements[len(matches) :]
    within = [] if prefixes is None else [one for each in matches for one in _within(each, prefixes)]
    if len(matches) + len(within) < 2:
        return rule
    return rule._replace(statements=(*sorted([*within, *matches], key=_cost), *rest))


def _within(one: Match, prefixes: Prefixes) -> tuple[Match, ...]:
    """The comparison before a look-up of an address in a set, and before two with the ends of a range."""
    if one.left not in (IP_SADDR, IP_DADDR) or one.op != "==":
        return ()
    if isinstance(one.right, Name):
        prefix = prefixes.get(one.right)
    else:
        prefix = _prefix(one.right) if len(one.right) == 1 else None
    within = () if prefix is None else (match(one.left, prefix),)
    return () if within == (one,) else within


def _prefix(elements: Elements) -> Range | None:
    """The smallest prefix that holds all addresses; none where it would hold every address."""
    ranges = [one for element in elements for one in element.key if isinstance(one, Range)]
    if not ranges or len(ranges) != len(elements):
        return None
    first, last = min(one.first for one in ranges), max(one.last for one in ranges)
    low = (1 << (first ^ last).bit_length()) - 1
    return None if low >= ADDRESS_LAST else Range(first & ~low, first | low)


def _cost(one: Match) -> int:
    """A route, and what counts, come last; a port without its protocol stays behind the protocol."""
    field = one.left.field if isinstance(one.left, Bitwise) else one.left
    if not isinstance(field, Field) or field.name.startswith("fib "):
        return LAST
    if not isinstance(one.right, tuple) or len(one.right) != 1 or field.name.startswith("th "):
        return SET
    if field in (IP_SADDR, IP_DADDR):
        return ADDRESS
    return INTERFACE if field in (IIFNAME, OIFNAME) or field.name.startswith(TUPLES) else PLAIN
