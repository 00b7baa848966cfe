"""Aviatrix's second step: customized snat by mark and qualifiers.

Rules keep the order of the file, and the first match wins. Neighbouring rules of one plain form (a prefix
-> a prefix, a mark or sources -> addresses) are one look-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Element, Map, Rule
from nfcompile.emit.expressions import Constant, Verdict
from nfcompile.emit.statements import (
    ACCEPT,
    CT_MARK,
    DROP,
    IP_SADDR,
    OIFNAME,
    RETURN,
    Match,
    Nat,
    counter,
    jump,
    key,
    lookup,
    match,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.prefix_maps import are_apart, prefix_map, prefix_translation
from nfcompile.lower.qualifiers import WHOLE_MARK, constant, mark_tests, qualifier_matches
from nfcompile.model.ranges import Cover
from nfcompile.model.rules import ANYTHING, Mark, SnatRule

PREFIX, MARK, SOURCE = "prefix", "mark", "source"
FEW = {PREFIX: 1, MARK: 1, SOURCE: 4}
"""Up to so many neighbours stay rules of their own."""


def snat(context: Context) -> Contribution:
    """The chain of the snat rules with its maps, and rules for interfaces other than the outside ones."""
    maps: list[Map] = []
    rules: list[Rule] = []
    elsewhere: list[Rule] = []
    runs: Counter[str] = Counter()
    for shape, grouped in groupby(context.site.snat, key=_snat_shape):
        group = list(grouped)
        if len(group) > FEW.get(shape, len(group)) and (shape != PREFIX or are_apart(group)):
            runs[shape] += 1
            table, statement = _MAPS[shape](group, runs[shape])
            maps.append(table)
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


def _snat_shape(rule: SnatRule) -> str:
    """What neighbouring rules that share a map differ in; "" where a rule needs its own line."""
    asked, mark = rule.match, _mark(rule)
    if rule.prefix:
        return PREFIX if rule.mark is None and asked == ANYTHING._replace(src_cidr=asked.src_cidr) else ""
    if rule.snat_ip is None or rule.snat_port is not None:
        return ""
    if asked == ANYTHING:
        return MARK if mark is not None and mark.mask == WHOLE_MARK else ""
    if asked.src_cidr is None or asked.src_cidr.negated or rule.mark is not None:
        return ""
    return SOURCE if asked == ANYTHING._replace(src_cidr=asked.src_cidr) else ""


def _comment(group: Sequence[SnatRule]) -> str:
    return f"{dotted(group[0].path)} to {group[-1].name}"


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


def _by_prefix(group: Sequence[SnatRule], run: int) -> tuple[Map, Nat]:
    table = prefix_map("snat", group, run)
    return table, prefix_translation("snat", table)


def _by_mark(group: Sequence[SnatRule], run: int) -> tuple[Map, Nat]:
    first = {mark: rule for rule in reversed(group) if (mark := _mark(rule))}
    elements = tuple(
        Element(key(mark.value), key(rule.addresses), rule.path)
        for mark, rule in sorted(first.items(), key=lambda item: item[0])
    )
    name = names.mark_map(run)
    table = Map(name, ("mark",), ("ipv4_addr",), group[0].path, elements, interval=True)
    return table, Nat("snat", lookup(CT_MARK, name), flags=("persistent",))


def _by_source(group: Sequence[SnatRule], run: int) -> tuple[Map, Nat]:
    """Of sources that several rules name the first one has them."""
    elements: list[Element] = []
    covered: Cover[None] = Cover()
    for rule in group:
        for source in rule.match.src_cidr.values if rule.match.src_cidr else ():
            elements += (Element((part,), key(rule.addresses), rule.path) for part in covered.rest(source))
            covered.add(source, None)
    name, ascending = names.source_map(run), tuple(sorted(elements, key=lambda one: one.key))
    table = Map(name, ("ipv4_addr",), ("ipv4_addr",), group[0].path, ascending, ("interval",), interval=True)
    return table, Nat("snat", lookup(IP_SADDR, name), flags=("persistent",))


def _mark(rule: SnatRule) -> Mark | None:
    """The only mark that a rule tests."""
    return None if rule.mark is None else rule.mark.single


_MAPS = {PREFIX: _by_prefix, MARK: _by_mark, SOURCE: _by_source}
