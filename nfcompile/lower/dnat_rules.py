"""Aviatrix's first step: dnat rules, which give another destination and set a mark.

Rules keep the order of the file, and the first match wins. Those of one plain form are one look-up
(`dnat_forms`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nfcompile.emit import Chain, Element, Map, Rule
from nfcompile.emit.expressions import Concat, Field, Key
from nfcompile.emit.statements import (
    CT_MARK,
    IIFNAME,
    IP_DADDR,
    L4PROTO,
    PORTED,
    RETURN,
    TH_DPORT,
    Mangle,
    Match,
    Nat,
    Statement,
    concat,
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
from nfcompile.lower.dnat_forms import ADDRESSES, PORTS, PREFIXES, SOCKETS, Form, Group, grouped
from nfcompile.lower.part import Statements
from nfcompile.lower.prefix_maps import prefix_map, prefix_translation
from nfcompile.lower.qualifiers import constant, mark_statement, qualifier_matches
from nfcompile.model.rules import DnatRule

TYPES = {
    PORTS: ("inet_service",),
    SOCKETS: ("inet_proto", "ipv4_addr", "inet_service"),
    ADDRESSES: ("ipv4_addr",),
}


def dnat(context: Context) -> Contribution:
    """The chain of the dnat rules with its maps; nothing without dnat rules."""
    maps: list[Map] = []
    rules: list[Rule] = []
    runs: Counter[tuple[str, int | None]] = Counter()
    for group in grouped(context.site.dnat):
        if group.form is None or not group.is_map:
            rules += (_one_rule(context, rule) for rule in group.rules)
            continue
        alike = group.form.kind, group.form.protocol
        runs[alike] += 1
        more = _prefixes if group.form.kind == PREFIXES else _map
        tables, lines = more(context, group, group.form, runs[alike])
        maps += tables
        rules += (Rule(one, group.rules[0].path, group.comment) for one in lines)
    if not rules:
        return Contribution()
    chain = Chain(names.DNAT_RULES, tuple(rules), ("dnat",))
    return Contribution((*maps, chain), prerouting=(Rule((jump(names.DNAT_RULES),), ("dnat",)),))


def _prefixes(context: Context, group: Group, form: Form, run: int) -> tuple[list[Map], list[Statements]]:
    table = prefix_map("dnat", group.rules, run)
    return [table], [(*_arriving(context, group.rules[0]), prefix_translation("dnat", table))]


def _map(context: Context, group: Group, form: Form, run: int) -> tuple[list[Map], list[Statements]]:
    """One map of keys -> marks, one of keys -> destinations; the first of equal keys wins."""
    origin, kinds = group.rules[0].path, TYPES[form.kind]
    first = {one: rule for rule in reversed(group.rules) for one in _keys(rule, form)}
    rows = sorted(first.items(), key=lambda row: row[0])
    asked = _asked(form)
    before = (*_arriving(context, group.rules[0]), *_unless_for_us(context, group.rules[0]))
    of_protocol = (match(L4PROTO, form.protocol),) if form.protocol is not None else ()
    ported = (match(L4PROTO, *PORTED),) if form.kind == SOCKETS else of_protocol
    maps: list[Map] = []
    lines: list[Statements] = []
    if form.marks:
        name = names.rule_map("mark", form.kind, form.protocol, run)
        elements = tuple(Element(one, key(r.mark.value if r.mark else 0), r.path) for one, r in rows)
        maps.append(Map(name, kinds, ("mark",), origin, elements))
        # `tcp dport` matches the protocol, too.
        more = () if form.kind == PORTS else ported
        lines.append((*before, *more, Mangle(CT_MARK, lookup(asked, name))))
    name = names.rule_map("dnat", form.kind, form.protocol, run)
    table = lookup(asked, name)
    statement = Nat("dnat", table) if form.address else Nat("dnat", None, table)
    data = (*(("ipv4_addr",) if form.address else ()), *(("inet_service",) if form.port else ()))
    maps.append(Map(name, kinds, data, origin, tuple(Element(one, _given(r), r.path) for one, r in rows)))
    lines.append((*before, *ported, statement))
    return maps, lines


def _asked(form: Form) -> Field | Concat:
    """What is looked up."""
    if form.kind == PORTS:
        assert form.protocol is not None
        return port_field(form.protocol, "dport")
    return IP_DADDR if form.kind == ADDRESSES else concat(L4PROTO, IP_DADDR, TH_DPORT)


def _keys(rule: DnatRule, form: Form) -> Iterator[Key]:
    """The elements that a rule is: a socket for each of its protocols."""
    asked = rule.match
    protocols = asked.protocol.values if form.kind == SOCKETS and asked.protocol is not None else ()
    address = () if asked.dst_cidr is None else asked.dst_cidr.values
    port = () if asked.dst_port is None else asked.dst_port.values
    for protocol in protocols:
        yield key(protocol, *address, *port)
    if not protocols:
        yield key(*address, *port)


def _given(rule: DnatRule) -> Key:
    return key(*(one for one in (rule.dnat_ip, rule.dnat_port) if one is not None))


def _one_rule(context: Context, rule: DnatRule) -> Rule:
    statements: list[Statement] = [*_arriving(context, rule), *_unless_for_us(context, rule)]
    statements += qualifier_matches(rule.match)
    if rule.mark:
        statements.append(mark_statement(rule.mark))
    if rule.dnat_ip is None and rule.dnat_port is None:
        statements.append(RETURN)
    else:
        prefix = rule.prefix and rule.dnat_ip is not None and rule.dnat_ip.size > 1
        statements.append(Nat("dnat", constant(rule.dnat_ip), constant(rule.dnat_port), prefix))
    return Rule(tuple(statements), rule.path)


def _arriving(context: Context, rule: DnatRule) -> tuple[Match, ...]:
    """Where packets of a rule come in: on its interfaces, by default from inside."""
    interfaces = rule.match.interfaces(context.inside)
    if rule.match.names_interfaces:
        return (match(IIFNAME, *interfaces),)
    return context.direction("from_inside", *(interfaces if interfaces != context.inside else ()))


def _unless_for_us(context: Context, rule: DnatRule) -> tuple[Match, ...]:
    """Before routing: what goes to the gateway itself or back to an inside network stays untouched by rules
    that name neither an interface nor the destination."""
    destination = rule.match.dst_cidr
    if rule.match.names_interfaces or (destination is not None and not destination.negated):
        return ()
    return unlike(Field("fib daddr type"), "local"), *context.not_towards_inside
