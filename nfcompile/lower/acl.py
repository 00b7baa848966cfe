"""An ACL -> the rules of a pool's chain: `deny` returns to the next pool, `allow` goes to the translation.

Neighbouring rules that differ in nothing but the source become one rule with a set, so a list of ten
thousand customers is one lookup.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import Element, Rule, Set, words
from nfcompile.emit.objects import Object
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import EVERYWHERE, Range, range_text, union
from nfcompile.model.site import ANY_PROTOCOL, Acl, AclRule

INLINE_SOURCES = 8
"""More sources than this are written as a named set, one a line, so that a diff shows which changed."""


def acl_rules(
    gate: Gate, acl: Acl, pool: str, allow: tuple[tuple[str, ...], ...]
) -> tuple[list[Object], list[Rule]]:
    """The sets and rules of one ACL in one pool. Each ending in `allow` makes a rule of an allow rule."""
    sets: list[Object] = []
    rules: list[Rule] = []
    for _, grouped in groupby(acl.rules, key=_apart_from_source):
        group = list(grouped)
        first = group[0]
        comment = dotted(first.path) + (f"-{group[-1].number}" if len(group) > 1 else "")
        source = union(rule.source for rule in group)
        name = f"acl_{pool}_{first.number}"
        if len(source) > INLINE_SOURCES:
            sets.append(address_set(name, source, first.path))
            source_words = f"ip saddr @{name}"
        else:
            source_words = "" if source == (EVERYWHERE,) else f"ip saddr {words.addresses(source)}"
        for ending in allow if first.allow else (("return",),):
            phrases = (*_match(gate, first, source_words), *ending)
            rules.append(Rule(phrases, first.path, comment))
    return sets, rules


def address_set(name: str, ranges: tuple[Range, ...], origin: Path) -> Set:
    """A named set of addresses, one range a line."""
    elements = tuple(Element(range_text(one)) for one in ranges)
    return Set(name, "ipv4_addr", origin, elements, ("interval",))


def _apart_from_source(rule: AclRule) -> tuple[object, ...]:
    return (
        rule.allow,
        rule.protocol,
        rule.vid,
        rule.destination,
        rule.source_ports,
        rule.destination_ports,
    )


def _match(gate: Gate, rule: AclRule, source: str) -> Iterator[str]:
    if rule.vid is not None:
        yield f'iifname "{gate.site.interfaces.vlan(rule.vid)}"'
    ports = rule.source_ports or rule.destination_ports
    if rule.protocol != ANY_PROTOCOL and not ports:
        yield f"meta l4proto {words.protocol(rule.protocol)}"
    if source:
        yield source
    if rule.destination != EVERYWHERE:
        yield f"ip daddr {range_text(rule.destination)}"
    if rule.source_ports:
        yield f"{words.protocol(rule.protocol)} sport {words.ports(rule.source_ports)}"
    if rule.destination_ports:
        yield f"{words.protocol(rule.protocol)} dport {words.ports(rule.destination_ports)}"
