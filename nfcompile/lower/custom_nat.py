"""Aviatrix's two steps: dnat rules that set a mark, and customized snat by mark and qualifiers.

Rules keep the order of the file, and the first match wins. Neighbouring rules of the plain form (a port
-> a port, a mark -> an address) become one map lookup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Element, Map, Rule, words
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import EVERYWHERE, Range, address_text, port_text, range_text
from nfcompile.model.site import ANY_PROTOCOL, DnatRule, Mark, Match, SnatRule

WHOLE_MARK = 0xFFFFFFFF


def dnat_objects(gate: Gate) -> tuple[Object, ...]:
    """The chain of the dnat rules with its maps; nothing without dnat rules."""
    maps: list[Object] = []
    rules: list[Rule] = []
    for shape, grouped in groupby(gate.site.dnat, key=_dnat_shape):
        group = list(grouped)
        if shape is None or len(group) == 1:
            rules += (_dnat_rule(gate, rule) for rule in group)
            continue
        more_maps, more_rules = _dnat_map(gate, group)
        maps += more_maps
        rules += more_rules
    if not rules:
        return ()
    return *maps, Chain(names.DNAT_RULES, tuple(rules), ("dnat",), None, "dnat")


def snat_objects(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The chain of the snat rules with its maps, and rules for interfaces other than the outside ones."""
    maps: list[Object] = []
    rules: list[Rule] = []
    elsewhere: list[Rule] = []
    for shape, grouped in groupby(gate.site.snat, key=_snat_shape):
        group = list(grouped)
        if shape is not None and len(group) > 1:
            maps.append(_snat_map(group))
            statement = f"snat ip to ct mark map @{_map_name('snat', group)} persistent"
            rules.append(Rule((statement,), group[0].path, _comment(group)))
            continue
        for rule in group:
            interface = rule.match.interface
            if interface is None or interface in gate.outside:
                rules.append(_snat_rule(rule, ()))
            else:
                elsewhere.append(_snat_rule(rule, (gate.from_inside,)))
    chain = Chain(names.SNAT_RULES, tuple(rules), ("snat",), None, "snat")
    return ((*maps, chain) if rules else ()), tuple(elsewhere)


def _plain(match: Match) -> bool:
    """Whether nothing but protocol and destination port is asked."""
    return match[1] is None and match[2] is None and match[3] is None and match[5] is None


def _dnat_shape(rule: DnatRule) -> tuple[object, ...] | None:
    """Rules of one shape can share a map; None where a rule needs its own line."""
    match, mark = rule.match, rule.mark
    single = match.dst_port is not None and match.dst_port.size == 1
    ports = rule.dnat_port is not None and rule.dnat_port.size == 1
    address = rule.dnat_ip is None or rule.dnat_ip.size == 1
    if not (_plain(match) and single and ports and address):
        return None
    if mark is not None and mark.mask != WHOLE_MARK:
        return None
    return match.protocol, rule.dnat_ip is None, mark is None


def _snat_shape(rule: SnatRule) -> tuple[object, ...] | None:
    whole = rule.mark is not None and rule.mark.mask == WHOLE_MARK
    bare = _plain(rule.match) and rule.match.dst_port is None and rule.match.protocol == ANY_PROTOCOL
    return ("mark",) if whole and bare and rule.snat_port is None else None


def _map_name(prefix: str, group: Sequence[DnatRule | SnatRule]) -> str:
    return f"{prefix}_{group[0].name}"


def _comment(group: Sequence[DnatRule | SnatRule]) -> str:
    return f"{dotted(group[0].path)} to {group[-1].name}"


def _dnat_map(gate: Gate, group: list[DnatRule]) -> tuple[list[Map], list[Rule]]:
    """One map of ports -> marks, one of ports -> destination; the first of equal ports wins."""
    first = {rule.match.dst_port: rule for rule in reversed(group)}
    rules = sorted(first.values(), key=lambda rule: rule.match.dst_port or EVERYWHERE)
    protocol = words.protocol(group[0].match.protocol)
    origin, comment = group[0].path, _comment(group)
    before = (gate.from_inside, *_not_for_us(gate))
    maps: list[Map] = []
    lines: list[Rule] = []
    if group[0].mark:
        name = _map_name("mark", group)
        elements = tuple(Element(_port(r), str(r.mark.value if r.mark else 0), r.path) for r in rules)
        maps.append(Map(name, "inet_service", "mark", origin, elements))
        phrases = (*before, f"ct mark set {protocol} dport map @{name}")
        lines.append(Rule(phrases, origin, comment))
    name = _map_name("dnat", group)
    if group[0].dnat_ip is None:
        data, target = "inet_service", "to :"
        elements = tuple(Element(_port(r), port_text(r.dnat_port or EVERYWHERE), r.path) for r in rules)
    else:
        data, target = "ipv4_addr . inet_service", "ip to"
        elements = tuple(
            Element(
                _port(r),
                f"{range_text(r.dnat_ip or EVERYWHERE)} . {port_text(r.dnat_port or EVERYWHERE)}",
                r.path,
            )
            for r in rules
        )
    maps.append(Map(name, "inet_service", data, origin, elements))
    statement = f"dnat {target} {protocol} dport map @{name}"
    lines.append(Rule((*before, f"meta l4proto {protocol}", statement), origin, comment))
    return maps, lines


def _not_for_us(gate: Gate) -> tuple[str, str]:
    """Before routing: what goes to the gateway itself or back to an inside network stays untouched."""
    return "fib daddr type != local", f"fib daddr oifname != {words.interface_set(gate.inside)}"


def _port(rule: DnatRule) -> str:
    return port_text(rule.match.dst_port or EVERYWHERE)


def _dnat_rule(gate: Gate, rule: DnatRule) -> Rule:
    interface, destination = rule.match.interface, rule.match.dst_cidr
    phrases = [f'iifname "{interface}"' if interface else gate.from_inside]
    if interface is None and destination in (None, EVERYWHERE):
        phrases += _not_for_us(gate)
    phrases += _match(rule.match)
    if rule.mark:
        phrases.append(_set_mark(rule.mark))
    if rule.dnat_ip is None and rule.dnat_port is None:
        phrases.append("return")
    else:
        phrases.append(f"dnat to {_target(rule.dnat_ip, rule.dnat_port)}")
    return Rule(tuple(phrases), rule.path, dotted(rule.path))


def _snat_rule(rule: SnatRule, before: tuple[str, ...]) -> Rule:
    phrases = [*before]
    if rule.match.interface:
        phrases.append(f'oifname "{rule.match.interface}"')
    if rule.mark:
        phrases.append(_test_mark(rule.mark))
    phrases += _match(rule.match)
    statement = f"snat to {_target(rule.snat_ip, rule.snat_port)}"
    if rule.snat_ip.size > 1:
        statement += " persistent"
    phrases.append(statement)
    return Rule(tuple(phrases), rule.path, dotted(rule.path))


def _snat_map(group: list[SnatRule]) -> Map:
    first = {rule.mark: rule for rule in reversed(group) if rule.mark}
    elements = tuple(
        Element(str(mark.value), words.interval_datum(rule.snat_ip), rule.path)
        for mark, rule in sorted(first.items(), key=lambda item: item[0])
    )
    return Map(_map_name("snat", group), "mark", "interval ipv4_addr", group[0].path, elements)


def _target(ip: Range | None, port: Range | None) -> str:
    address = ""
    if ip is not None:
        address = address_text(ip.first)
        if ip.size > 1:
            address += f"-{address_text(ip.last)}"
    return f"{address}:{port_text(port)}" if port is not None else address


def _match(match: Match) -> Iterator[str]:
    protocol, src_cidr, src_port, dst_cidr, dst_port, _ = match
    if src_cidr is not None and src_cidr != EVERYWHERE:
        yield f"ip saddr {range_text(src_cidr)}"
    if dst_cidr is not None and dst_cidr != EVERYWHERE:
        yield f"ip daddr {range_text(dst_cidr)}"
    if protocol != ANY_PROTOCOL and src_port is None and dst_port is None:
        yield f"meta l4proto {words.protocol(protocol)}"
    if src_port is not None:
        yield f"{words.protocol(protocol)} sport {port_text(src_port)}"
    if dst_port is not None:
        yield f"{words.protocol(protocol)} dport {port_text(dst_port)}"


def _set_mark(mark: Mark) -> str:
    if mark.mask == WHOLE_MARK:
        return f"ct mark set {mark.value}"
    return f"ct mark set ct mark & 0x{~mark.mask & WHOLE_MARK:x} | 0x{mark.value:x}"


def _test_mark(mark: Mark) -> str:
    if mark.mask == WHOLE_MARK:
        return f"ct mark {mark.value}"
    return f"ct mark & 0x{mark.mask:x} == 0x{mark.value:x}"
