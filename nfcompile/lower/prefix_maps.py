"""Neighbouring rules that map one prefix to another each, as one look-up: NETMAP keeps the host bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nfcompile.emit import Element, Map
from nfcompile.emit.statements import IP_DADDR, IP_SADDR, Nat, lookup
from nfcompile.lower import names
from nfcompile.model.ranges import Range
from nfcompile.model.rules import DnatRule, SnatRule


def are_apart(group: Sequence[DnatRule | SnatRule]) -> bool:
    """Whether there are several, and no packet meets two of them: then their order does not matter."""
    sources = sorted(_pair(rule)[0] for rule in group)
    apart = all(one.last < other.first for one, other in pairwise(sources))
    return len(group) > 1 and apart


def prefix_map(stage: str, group: Sequence[DnatRule | SnatRule], run: int) -> Map:
    """Prefix -> prefix."""
    pairs = sorted((*_pair(rule), rule.path) for rule in group)
    elements = tuple(Element((matched,), (target,), path) for matched, target, path in pairs)
    name = names.prefix_map(stage, run)
    return Map(name, ("ipv4_addr",), ("ipv4_addr",), group[0].path, elements, ("interval",), interval=True)


def prefix_translation(stage: str, table: Map) -> Nat:
    """`snat ip prefix to ip saddr map @...`, or the same of the destination; a miss ends the rule."""
    return Nat(stage, lookup(IP_SADDR if stage == "snat" else IP_DADDR, table.name), prefix=True)


def _pair(rule: DnatRule | SnatRule) -> tuple[Range, Range]:
    """The prefix that a rule matches, and the one that it maps to."""
    if isinstance(rule, SnatRule):
        asked, target = rule.match.src_cidr, rule.snat_ip
    else:
        asked, target = rule.match.dst_cidr, rule.dnat_ip
    assert asked is not None
    assert asked.single is not None
    assert target is not None
    return asked.single, target
