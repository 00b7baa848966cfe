"""The targets of an iptables rule -> what becomes of the packets that match it."""

from __future__ import annotations

import re
from collections.abc import Callable

from nfcompile.importers import values
from nfcompile.importers.chains import Jump, Return
from nfcompile.importers.form import PORTED, Action, Exclude, PacketSet, Translate, Unsaid
from nfcompile.importers.iptables_options import RuleWords
from nfcompile.importers.values import Unreadable
from nfcompile.model.ranges import Range, intersect

GOES_ON = {
    "LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "CLASSIFY",
    "CHECKSUM", "TCPMSS", "TCPOPTSTRIP", "TOS", "DSCP", "TTL", "SET", "IDLETIMER", "LED",
    "RATEEST", "CT", "NOTRACK",
}  # fmt: skip
"""Targets after which iptables asks the next rule."""


def verdict_of(
    rule: RuleWords, match: PacketSet, own_chains: set[str]
) -> tuple[Action | Jump | Return | None, Unsaid | None]:
    if rule.target is None:
        return None, None
    name = rule.target.text
    if name in own_chains:
        return Jump(name, back=not rule.goto), None
    if name == "RETURN":
        return Return(), None
    if name == "ACCEPT":
        return Exclude(), None
    if name in GOES_ON:
        return None, None
    target = TARGETS.get(name)
    if target is None:
        return Unsaid("no-target", f"a site cannot express the target '{name}'", rule.target.column), None
    try:
        return target(rule, match), None
    except Unreadable as problem:
        return Unsaid(problem.code, problem.reason, rule.target.column), None


TO = re.compile(r"([^:\[\]]*)(?::(.*))?")


def _to(rule: RuleWords, *options: str) -> tuple[Range | None, Range | None]:
    given = [one for option in options for one in rule.values.get(option, ())]
    if len(given) != 1:
        raise Unreadable("syntax", f"'{options[0]}' is needed once, not {len(given)} times")
    found = TO.fullmatch(given[0])
    if found is None:
        raise Unreadable("ipv6", f"'{given[0]}' is not an IPv4 address")
    addresses = values.addresses(found[1]) if found[1] else None
    ports = _port_range(found[2]) if found[2] else None
    return addresses, ports


def _port_range(text: str) -> Range:
    if "/" in text:
        raise Unreadable("no-target", f"a site cannot express the shifted ports '{text}'")
    found = values.ports(text)
    return Range(max(found.first, 1), found.last)


def _needs_ports(match: PacketSet, ports: Range | None) -> None:
    if ports is not None and intersect(match.protocol, PORTED) != match.protocol:
        raise Unreadable("bad-port", "ports need '-p tcp' or '-p udp'")


def _random(rule: RuleWords) -> None:
    for option in ("--random", "--random-fully"):
        if option in rule.values:
            rule.notes.append("the kernel chooses the ports")


def _snat(rule: RuleWords, match: PacketSet) -> Action:
    addresses, ports = _to(rule, "--to-source", "--to")
    _needs_ports(match, ports)
    _random(rule)
    if addresses is None:
        raise Unreadable("bad-address", "the address is missing")
    return Translate(addresses, ports)


def _dnat(rule: RuleWords, match: PacketSet) -> Action:
    addresses, ports = _to(rule, "--to-destination", "--to")
    _needs_ports(match, ports)
    return Translate(addresses, ports)


def _masquerade(rule: RuleWords, match: PacketSet) -> Action:
    given = rule.values.get("--to-ports", [])
    ports = _port_range(given[0]) if given else None
    _needs_ports(match, ports)
    _random(rule)
    return Translate(None, ports, interface=True)


def _redirect(rule: RuleWords, match: PacketSet) -> Action:
    given = rule.values.get("--to-ports", [])
    ports = _port_range(given[0]) if given else None
    _needs_ports(match, ports)
    return Translate(None, ports, interface=True)


def _netmap(rule: RuleWords, match: PacketSet) -> Action:
    addresses, _ = _to(rule, "--to")
    return Translate(addresses, prefix=True)


TARGETS: dict[str, Callable[[RuleWords, PacketSet], Action]] = {
    "SNAT": _snat,
    "DNAT": _dnat,
    "MASQUERADE": _masquerade,
    "REDIRECT": _redirect,
    "NETMAP": _netmap,
}
