"""Rules of one subscriber, a protocol each, that all lead to one block -> a row of a table of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nfcompile.importers.form import (
    ANYTHING,
    ICMP,
    PORTED,
    PROTOCOLS,
    ForeignRule,
    InterfaceSet,
    Ranges,
    Translate,
)
from nfcompile.model.ranges import Range, intersect, union

PORTED_ICMP: Ranges = (Range(ICMP, ICMP), *PORTED)
COVERED = (PORTED, PORTED_ICMP, PROTOCOLS)
"""What rows may translate: tcp and udp; these and icmp; everything."""


class FamilyRow(NamedTuple):
    """Neighbouring subscribers and their global addresses, as many, with one block of ports; `places` are
    the positions of its rules."""

    source: Range
    addresses: Range
    ports: Range
    outgoing: InterfaceSet
    covered: Ranges
    places: tuple[int, ...]


def read_rows(snat: Sequence[ForeignRule]) -> Iterator[FamilyRow]:
    """Subscribers whose rules all lead to one block."""
    groups: dict[tuple[Range, InterfaceSet], list[int]] = {}
    for place, rule in enumerate(snat):
        if _is_candidate(rule):
            groups.setdefault((rule.match.source[0], rule.match.outgoing), []).append(place)
    for (source, outgoing), places in groups.items():
        found = _block([snat[place] for place in places])
        if found is not None:
            addresses, ports, covered = found
            yield FamilyRow(source, addresses, ports, outgoing, covered, tuple(places))


def _is_candidate(rule: ForeignRule) -> bool:
    match, action = rule.match, rule.action
    if not isinstance(action, Translate) or action.interface or action.addresses is None:
        return False
    plain = match == ANYTHING._replace(source=match.source, protocol=match.protocol, outgoing=match.outgoing)
    one_to_one = len(match.source) == 1 and match.source[0].size == action.addresses.size
    return plain and one_to_one and (action.addresses.size == 1 or action.prefix)


def _block(rules: list[ForeignRule]) -> tuple[Range, Range, Ranges] | None:
    """The one block of a subscriber: global address, ports, and the protocols that are translated."""
    seen: Ranges = ()
    blocks: set[Range | None] = set()
    addresses: set[Range] = set()
    for rule in rules:
        action = rule.action
        assert isinstance(action, Translate)
        assert action.addresses is not None
        new = [one for one in rule.match.protocol if not intersect(seen, (one,))]
        if union(new) != rule.match.protocol and not _is_rest(rule, seen):
            return None
        if intersect(rule.match.protocol, PORTED) and not (action.ports is None and _covers(seen, PORTED)):
            blocks.add(action.ports)
        elif action.ports is not None:
            return None
        addresses.add(action.addresses)
        seen = union((*seen, *rule.match.protocol))
    if seen not in COVERED or len(blocks) != 1 or len(addresses) != 1:
        return None
    ports = blocks.pop()
    return None if ports is None else (addresses.pop(), ports, seen)


def _is_rest(rule: ForeignRule, seen: Ranges) -> bool:
    """A last rule for whatever the protocols before it left."""
    return rule.match.protocol == PROTOCOLS and _covers(seen, PORTED)


def _covers(some: Ranges, all_of: Ranges) -> bool:
    return intersect(some, all_of) == union(all_of)
