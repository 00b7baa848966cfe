"""An ACL -> the rules of a pool's chain: `deny` returns to the next pool, `allow` goes to the translation.

Neighbouring rules that differ in nothing but the source become one rule with a set, so a list of ten
thousand customers is one lookup; those that differ in the destination only become one verdict map.
"""

from collections.abc import Iterator
from itertools import groupby

from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import Element, Map, Name, Object, Rule, Set
from nfcompile.emit.expressions import Field, Verdict
from nfcompile.emit.statements import IIFNAME, IP_DADDR, IP_SADDR, L4PROTO, RETURN, Match, VerdictMap, match
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.part import Statements
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import EVERYWHERE, Cover, Range, union
from nfcompile.model.site import Acl, AclRule

INLINE = 8
"""More sources than this are written as a named set, one a line, so that a diff shows which changed."""


def acl_rules(
    context: Context,
    acl: Acl,
    pool: str,
    allow: tuple[Statements, ...],
    *,
    deny: Statements = (RETURN,),
    mapped: bool = True,
) -> tuple[list[Object], list[Rule]]:
    """The sets and rules of one ACL in one pool. Each ending in `allow` makes a rule of an allow rule.

    `mapped`: rules that differ in the destination only may become one verdict map.
    """
    objects: list[Object] = []
    rules: list[Rule] = []
    for by_destination, run in _runs(acl.rules, mapped=mapped and len(allow) == 1):
        more, lines = (
            _destinations(context, run, pool, allow[0])
            if by_destination
            else _one_by_one(context, run, pool, allow, deny)
        )
        objects += more
        rules += lines
    return objects, rules


def _runs(rules: tuple[AclRule, ...], mapped: bool) -> Iterator[tuple[bool, list[AclRule]]]:
    """Stretches of rules; True for those that become one look-up of the destination."""
    plain: list[AclRule] = []
    for _, grouped in groupby(rules, key=_apart_from_destination):
        run = list(grouped)
        if not mapped or len(run) <= INLINE:
            plain += run
            continue
        if plain:
            yield False, plain
            plain = []
        yield True, run
    if plain:
        yield False, plain


def _destinations(
    context: Context, run: list[AclRule], pool: str, accept: Statements
) -> tuple[list[Object], list[Rule]]:
    """Rules that differ in destination and verdict only: one verdict map, first match resolved here."""
    first = run[0]
    (verdict,) = accept
    assert isinstance(verdict, Verdict)
    elements: list[Element] = []
    covered: Cover[None] = Cover()
    for rule in run:
        for part in list(covered.rest(rule.destination)):
            elements.append(Element((part,), verdict if rule.allow else RETURN, rule.path))
        covered.add(rule.destination, None)
    elements.sort(key=lambda element: element.key)
    name = names.acl_destinations(pool, first.number)
    table = Map(name, ("ipv4_addr",), ("verdict",), first.path, tuple(elements), ("interval",))
    source = None if first.source == EVERYWHERE else match(IP_SADDR, first.source)
    anywhere = first._replace(destination=EVERYWHERE)
    statements: Statements = (*_match(context, anywhere, source), VerdictMap(IP_DADDR, name))
    return [table], [Rule(statements, first.path, f"{dotted(first.path)}-{run[-1].number}")]


def _one_by_one(
    context: Context, run: list[AclRule], pool: str, allow: tuple[Statements, ...], deny: Statements
) -> tuple[list[Object], list[Rule]]:
    """A rule for each stretch of neighbours that differ in nothing but the source."""
    sets: list[Object] = []
    rules: list[Rule] = []
    for _, grouped in groupby(run, key=_apart_from_source):
        group = list(grouped)
        first = group[0]
        note = f"{dotted(first.path)}-{group[-1].number}" if len(group) > 1 else ""
        source = union(rule.source for rule in group)
        source_match = None if source == (EVERYWHERE,) else match(IP_SADDR, *source)
        if len(source) > INLINE:
            name = names.acl_sources(pool, first.number)
            sets.append(address_set(name, source, first.path))
            source_match = match(IP_SADDR, name)
        for ending in allow if first.allow else (deny,):
            statements = (*_match(context, first, source_match), *ending)
            rules.append(Rule(statements, first.path, note))
    return sets, rules


def address_set(name: Name, ranges: tuple[Range, ...], origin: Path) -> Set:
    """A named set of addresses, one range a line."""
    return Set(name, ("ipv4_addr",), origin, tuple(Element((one,)) for one in ranges), ("interval",))


def _apart_from_destination(rule: AclRule) -> tuple[object, ...]:
    return rule.protocol, rule.vid, rule.source, rule.source_ports, rule.destination_ports


def _apart_from_source(rule: AclRule) -> tuple[object, ...]:
    return (
        rule.allow,
        rule.protocol,
        rule.vid,
        rule.destination,
        rule.source_ports,
        rule.destination_ports,
    )


def _match(context: Context, rule: AclRule, source: Match | None) -> Iterator[Match]:
    if rule.vid is not None:
        yield match(IIFNAME, context.site.interfaces.vlan(rule.vid))
    if rule.protocol != ANY_PROTOCOL and not (rule.source_ports or rule.destination_ports):
        yield match(L4PROTO, rule.protocol)
    if source:
        yield source
    if rule.destination != EVERYWHERE:
        yield match(IP_DADDR, rule.destination)
    if rule.source_ports:
        yield match(port_field(rule.protocol, "sport"), *union(rule.source_ports))
    if rule.destination_ports:
        yield match(port_field(rule.protocol, "dport"), *union(rule.destination_ports))


def port_field(protocol: int, end: str) -> Field:
    """`tcp dport` and the like: a field that matches its protocol too."""
    return Field(f"{'tcp' if protocol == 6 else 'udp'} {end}")
