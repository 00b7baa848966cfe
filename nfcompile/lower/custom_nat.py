"""Aviatrix's two steps: dnat rules that set a mark, and customized snat by mark and qualifiers.

Rules keep the order of the file, and the first match wins. Neighbouring rules of the plain form (a port
-> a port, a mark -> an address) become one map lookup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Element, Map, Rule
from nfcompile.emit.expressions import Constant, Field, Key, Verdict
from nfcompile.emit.statements import (
    ACCEPT,
    CT_MARK,
    DROP,
    IIFNAME,
    L4PROTO,
    OIFNAME,
    RETURN,
    Mangle,
    Match,
    Nat,
    Statement,
    counter,
    jump,
    key,
    lookup,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.acl import port_field
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.prefix_maps import are_apart, prefix_map, prefix_translation
from nfcompile.lower.qualifiers import WHOLE_MARK, constant, mark_statement, mark_tests, qualifier_matches
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.model.rules import ANYTHING, DnatRule, Mark, Qualifiers, SnatRule

PREFIX = "prefix"
"""The shape of rules that map one prefix to another, and ask nothing else."""


def dnat(context: Context) -> Contribution:
    """The chain of the dnat rules with its maps; nothing without dnat rules."""
    maps: list[Map] = []
    rules: list[Rule] = []
    runs: Counter[int] = Counter()
    prefixes = 0
    for shape, grouped in groupby(context.site.dnat, key=_dnat_shape):
        group = list(grouped)
        if shape is not None and shape[0] == PREFIX and are_apart(group):
            prefixes += 1
            maps.append(prefix_map("dnat", group, prefixes))
            translate = prefix_translation("dnat", maps[-1])
            arriving = _arriving(context, group[0])
            rules.append(Rule((*arriving, translate), group[0].path, _comment(group)))
            continue
        if shape is None or shape[0] == PREFIX or len(group) == 1:
            for rule in group:
                rules += _dnat_rule(context, rule)
            continue
        runs[_protocol(group[0])] += 1
        more_maps, more_rules = _dnat_map(context, group, runs[_protocol(group[0])])
        maps += more_maps
        rules += more_rules
    if not rules:
        return Contribution()
    chain = Chain(names.DNAT_RULES, tuple(rules), ("dnat",))
    return Contribution((*maps, chain), prerouting=(Rule((jump(names.DNAT_RULES),), ("dnat",)),))


def snat(context: Context) -> Contribution:
    """The chain of the snat rules with its maps, and rules for interfaces other than the outside ones."""
    maps: list[Map] = []
    rules: list[Rule] = []
    elsewhere: list[Rule] = []
    runs = prefixes = 0
    for shape, grouped in groupby(context.site.snat, key=_snat_shape):
        group = list(grouped)
        if shape == (PREFIX,) and are_apart(group):
            prefixes += 1
            maps.append(prefix_map("snat", group, prefixes))
            statement = prefix_translation("snat", maps[-1])
            rules.append(Rule((statement,), group[0].path, _comment(group)))
            continue
        if shape == ("mark",) and len(group) > 1:
            runs += 1
            maps.append(_snat_map(group, runs))
            target = lookup(CT_MARK, maps[-1].name)
            statement = Nat("snat", target, flags=("persistent",))
            rules.append(Rule((statement,), group[0].path, _comment(group)))
            continue
        for rule in group:
            outside = _to_outside(context, rule)
            others = tuple(name for name in rule.match.interfaces(context.outside) if name not in outside)
            if outside:
                rules += _snat_rules(context, rule, () if rule.match.interface is None else outside)
            if others:
                elsewhere += _snat_rules(context, rule, others, *context.from_inside)
    inward = _inward(context)
    elsewhere += inward.postrouting
    if not rules:
        return inward._replace(postrouting=tuple(elsewhere))
    chain = Chain(names.SNAT_RULES, tuple(rules), ("snat",))
    entry = Rule((jump(names.SNAT_RULES),), ("snat",))
    return Contribution((*maps, chain, *inward.objects), postrouting=tuple(elsewhere), outbound=(entry,))


def _inward(context: Context) -> Contribution:
    """Rules that name a shared interface are for all that leaves there: for what goes back inside, too."""
    rules: list[Rule] = []
    for rule in context.site.snat:
        shared = tuple(name for name in _to_outside(context, rule) if name in context.sides.shared)
        if shared and rule.match.names_interfaces:
            rules += _snat_rules(context, rule, shared)
    if not rules:
        return Contribution()
    chain = Chain(names.SNAT_INWARD, tuple(rules), ("snat",))
    back = context.direction("to_inside", *context.sides.shared)
    entry = Rule((*context.from_inside, *back, jump(names.SNAT_INWARD)), ("snat",))
    return Contribution((chain,), postrouting=(entry,))


def left_alone(context: Context) -> tuple[Rule, ...]:
    """For packets that no rule has translated: those that an snat rule excludes return, those that an earlier
    rule would have translated are dropped; nothing without `exclude`."""
    towards = [rule for rule in context.site.snat if _to_outside(context, rule)]
    while towards and not towards[-1].exclude:
        towards.pop()
    drop = counter(names.LEAK_COUNTER), DROP
    rules = []
    for rule in towards:
        interfaces = () if rule.match.interface is None else _to_outside(context, rule)
        ends = (RETURN,) if rule.exclude else drop
        rules += [Rule((*matches, *ends), rule.path) for matches in _conditions(context, rule, interfaces)]
    return tuple(rules)


def _to_outside(context: Context, rule: SnatRule) -> tuple[str, ...]:
    """The outside interfaces of a rule."""
    return tuple(name for name in rule.match.interfaces(context.outside) if name in context.outside)


def _plain(asked: Qualifiers) -> bool:
    """Whether nothing but protocol and destination port is asked."""
    others = asked.src_cidr, asked.src_port, asked.dst_cidr, asked.interface
    return all(qualifier is None for qualifier in others)


def _dnat_shape(rule: DnatRule) -> tuple[object, ...] | None:
    """Rules of one shape can share a map; None where a rule needs its own line."""
    asked, mark = rule.match, rule.mark
    if rule.prefix:
        bare = asked == ANYTHING._replace(dst_cidr=asked.dst_cidr, interface=asked.interface)
        return (PREFIX, asked.interface) if bare and mark is None else None
    port = asked.dst_port.single if asked.dst_port is not None else None
    single = port is not None and port.size == 1 and asked.protocol is not None
    ports = rule.dnat_port is not None and rule.dnat_port.size == 1
    address = rule.dnat_ip is None or rule.dnat_ip.size == 1
    if not (_plain(asked) and single and ports and address) or _protocol(rule) == ANY_PROTOCOL:
        return None
    if mark is not None and mark.mask != WHOLE_MARK:
        return None
    return _protocol(rule), rule.dnat_ip is None, mark is None


def _protocol(rule: DnatRule) -> int:
    """The only protocol of a rule; any where it has several or none."""
    asked = rule.match.protocol
    return ANY_PROTOCOL if asked is None or asked.single is None else asked.single


def _snat_shape(rule: SnatRule) -> tuple[object, ...] | None:
    if rule.prefix:
        bare = rule.mark is None and rule.match == ANYTHING._replace(src_cidr=rule.match.src_cidr)
        return (PREFIX,) if bare else None
    mark = _mark(rule)
    whole = mark is not None and mark.mask == WHOLE_MARK
    bare = _plain(rule.match) and rule.match.dst_port is None and rule.match.protocol is None
    address = rule.snat_ip is not None and rule.snat_port is None
    return ("mark",) if whole and bare and address else None


def _comment(group: Sequence[DnatRule | SnatRule]) -> str:
    return f"{dotted(group[0].path)} to {group[-1].name}"


def _dnat_map(context: Context, group: list[DnatRule], run: int) -> tuple[list[Map], list[Rule]]:
    """One map of ports -> marks, one of ports -> destination; the first of equal ports wins."""
    first = {_dst_port(rule): rule for rule in reversed(group)}
    rules = sorted(first.values(), key=_dst_port)
    protocol = _protocol(group[0])
    port, mapped = port_field(protocol, "dport"), ("inet_service",)
    origin, comment = group[0].path, _comment(group)
    before = (*context.from_inside, *_not_for_us(context))
    maps: list[Map] = []
    lines: list[Rule] = []
    if group[0].mark:
        name = names.port_map("mark", protocol, run)
        elements = tuple(Element(_port(r), key(r.mark.value if r.mark else 0), r.path) for r in rules)
        maps.append(Map(name, mapped, ("mark",), origin, elements))
        lines.append(Rule((*before, Mangle(CT_MARK, lookup(port, name))), origin, comment))
    name = names.port_map("dnat", protocol, run)
    if group[0].dnat_ip is None:
        data: tuple[str, ...] = ("inet_service",)
        statement = Nat("dnat", None, lookup(port, name))
        elements = tuple(Element(_port(r), key(r.dnat_port or EVERYWHERE), r.path) for r in rules)
    else:
        data, statement = ("ipv4_addr", "inet_service"), Nat("dnat", lookup(port, name))
        elements = tuple(
            Element(_port(r), key(r.dnat_ip or EVERYWHERE, r.dnat_port or EVERYWHERE), r.path) for r in rules
        )
    maps.append(Map(name, mapped, data, origin, elements))
    lines.append(Rule((*before, match(L4PROTO, protocol), statement), origin, comment))
    return maps, lines


def _not_for_us(context: Context) -> tuple[Match, ...]:
    """Before routing: what goes to the gateway itself or back to an inside network stays untouched."""
    return unlike(Field("fib daddr type"), "local"), *context.not_towards_inside


def _port(rule: DnatRule) -> Key:
    return key(_dst_port(rule))


def _dst_port(rule: DnatRule) -> Range:
    """The only destination port of a rule that goes into a map."""
    asked = rule.match.dst_port
    assert asked is not None
    return asked.values[0]


def _dnat_rule(context: Context, rule: DnatRule) -> Iterator[Rule]:
    """The rule; none where it excludes every inside interface."""
    destination = rule.match.dst_cidr
    if not rule.match.interfaces(context.inside):
        return
    statements: list[Statement] = [*_arriving(context, rule)]
    if not rule.match.names_interfaces and (destination is None or destination.negated):
        statements += _not_for_us(context)
    statements += qualifier_matches(rule.match)
    if rule.mark:
        statements.append(mark_statement(rule.mark))
    if rule.dnat_ip is None and rule.dnat_port is None:
        statements.append(RETURN)
    else:
        prefix = rule.prefix and rule.dnat_ip is not None and rule.dnat_ip.size > 1
        statements.append(Nat("dnat", constant(rule.dnat_ip), constant(rule.dnat_port), prefix))
    yield Rule(tuple(statements), rule.path)


def _arriving(context: Context, rule: DnatRule) -> tuple[Match, ...]:
    """Where packets of a rule come in: on its interfaces, by default from inside."""
    interfaces = rule.match.interfaces(context.inside)
    if rule.match.names_interfaces:
        return (match(IIFNAME, *interfaces),)
    return context.direction("from_inside", *(interfaces if interfaces != context.inside else ()))


def _snat_rules(
    context: Context, rule: SnatRule, interfaces: tuple[str, ...], *before: Match
) -> Iterator[Rule]:
    """The rule; without interfaces it stands where all packets go out of an outside one."""
    for matches in _conditions(context, rule, interfaces):
        yield Rule((*before, *matches, _translation(rule)), rule.path)


def _conditions(context: Context, rule: SnatRule, interfaces: tuple[str, ...]) -> Iterator[tuple[Match, ...]]:
    """What a packet must be that the rule is for: one of these."""
    out = (match(OIFNAME, *interfaces),) if interfaces else ()
    tokens = any(pool.renews for pool in context.site.active_pools)
    for marks in mark_tests(rule.mark, tokens) if rule.mark else ((),):
        yield *out, *marks, *qualifier_matches(rule.match)


def _translation(rule: SnatRule) -> Nat | Verdict:
    """What a rule does; `accept` leaves the nat chains, so no pool is asked either."""
    if rule.exclude:
        return ACCEPT
    port = constant(rule.snat_port)
    if rule.snat_ip is None:
        return Nat("masquerade", None, port)
    several = rule.snat_ip.size > 1
    flags = ("persistent",) if several and not rule.prefix else ()
    return Nat("snat", Constant(rule.snat_ip), port, rule.prefix and several, flags)


def _snat_map(group: list[SnatRule], run: int) -> Map:
    first = {mark: rule for rule in reversed(group) if (mark := _mark(rule))}
    elements = tuple(
        Element(key(mark.value), key(rule.addresses), rule.path)
        for mark, rule in sorted(first.items(), key=lambda item: item[0])
    )
    return Map(names.mark_map(run), ("mark",), ("ipv4_addr",), group[0].path, elements, interval=True)


def _mark(rule: SnatRule) -> Mark | None:
    """The only mark that a rule tests."""
    return None if rule.mark is None else rule.mark.single
