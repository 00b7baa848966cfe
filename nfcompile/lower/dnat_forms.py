"""Which `dnat` rules are one look-up, so that a new connection pays for one of them and not for all.

A form is what rules have in common but for their keys: prefixes, destination ports, sockets (protocol,
address, port) or addresses. Rules that no packet meets both of may change places. So a rule joins those of
its form that came before it, if it is apart from all that it passes on the way; of equal keys the first one
wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nfcompile.diagnostics import dotted
from nfcompile.lower.prefix_maps import are_apart
from nfcompile.lower.qualifiers import WHOLE_MARK
from nfcompile.model.protocols import TCP, UDP
from nfcompile.model.ranges import Range, intersect
from nfcompile.model.rules import ANYTHING, DnatRule, Qualifier

PREFIXES, PORTS, SOCKETS, ADDRESSES = "prefixes", "ports", "sockets", "addresses"
FEW = 4
"""Up to so many rules are asked one after the other: a look-up costs as much, and is harder to read."""
PASSED = 64
"""So many other rules a rule passes at most on its way to those of its form."""


class Form(NamedTuple):
    """`kind`: what the keys are. `protocol`: the only one of ports and addresses. `address`, `port`, `marks`:
    what the rules give."""

    kind: str
    protocol: int | None
    interface: Qualifier[str] | None
    address: bool
    port: bool
    marks: bool


class Group:
    """Rules of one form, in the order of the site; or one that has no form."""

    def __init__(self, form: Form | None, rule: DnatRule) -> None:
        self.form = form
        self.rules = [rule]
        self.behind: list[DnatRule] = []
        """Rules of later groups so far: what joins this one now passes them."""
        self.is_mixed = False

    @property
    def is_map(self) -> bool:
        """Whether the rules are one look-up."""
        if self.form is None or _are_few(self.form, len(self.rules)):
            return False
        return self.form.kind != PREFIXES or are_apart(self.rules)

    @property
    def comment(self) -> str:
        """Which rules of the site these are."""
        among = " (some)" if self.is_mixed else ""
        return f"{dotted(self.rules[0].path)} to {self.rules[-1].name}{among}"


def grouped(rules: Sequence[DnatRule]) -> list[Group]:
    """The rules, in an order with the same first match. Of a form with few each stays where it is."""
    forms = [form_of(rule) for rule in rules]
    counts = Counter(forms)
    groups: list[Group] = []
    latest: dict[Form, int] = {}
    for rule, asked in zip(rules, forms, strict=True):
        form = None if asked is None or _are_few(asked, counts[asked]) else asked
        place = None if form is None else latest.get(form)
        if place is not None and _may_pass(rule, groups[place].behind):
            groups[place].is_mixed |= bool(groups[place].behind)
            groups[place].rules.append(rule)
        else:
            place = len(groups)
            groups.append(Group(form, rule))
            if form is not None:
                latest[form] = place
        for other in latest.values():
            if other < place:
                groups[other].behind.append(rule)
    return groups


def _are_few(form: Form, count: int) -> bool:
    """Whether rules stay rules: but for prefixes, and Aviatrix's own form, a port for a port."""
    own = form.kind == PORTS and form.port and form.interface is None
    return count <= (1 if own or form.kind == PREFIXES else FEW)


def form_of(rule: DnatRule) -> Form | None:
    """The form of a rule; None where it needs its own line."""
    asked, mark, ip, port = rule.match, rule.mark, rule.dnat_ip, rule.dnat_port
    if rule.prefix:
        bare = asked == ANYTHING._replace(dst_cidr=asked.dst_cidr, interface=asked.interface) and mark is None
        return Form(PREFIXES, None, asked.interface, True, False, False) if bare else None
    if asked.src_cidr is not None or asked.src_port is not None:
        return None
    if any(one is not None and one.size > 1 for one in (ip, port)) or (mark and mark.mask != WHOLE_MARK):
        return None
    kind = _kind(rule)
    if kind is None:
        return None
    only = asked.protocol.single if asked.protocol is not None and kind != SOCKETS else None
    return Form(kind, only, asked.interface, ip is not None, port is not None, mark is not None)


def _kind(rule: DnatRule) -> str | None:
    """What the key of a rule would be that gives one address or port."""
    asked, ip, port = rule.match, rule.dnat_ip, rule.dnat_port
    protocol = asked.protocol
    if asked.dst_cidr is None:
        plain = protocol is not None and protocol.single is not None and (ip, port) != (None, None)
        return PORTS if plain and _is_one(asked.dst_port) else None
    if ip is None or not _is_one(asked.dst_cidr):
        return None
    if asked.dst_port is None:
        return ADDRESSES if port is None and (protocol is None or protocol.single is not None) else None
    ported = protocol is not None and not protocol.negated and {TCP, UDP}.issuperset(protocol.values)
    return SOCKETS if ported and _is_one(asked.dst_port) else None


def _is_one(asked: Qualifier[Range] | None) -> bool:
    return asked is not None and asked.single is not None and asked.single.size == 1


def _may_pass(rule: DnatRule, others: Sequence[DnatRule]) -> bool:
    return len(others) <= PASSED and all(_are_apart(rule, other) for other in others)


def _are_apart(one: DnatRule, other: DnatRule) -> bool:
    """Whether it is certain that no packet meets both: they ask for other ports, addresses or protocols."""
    mine, theirs = one.match, other.match
    if _ranges_apart(mine.dst_port, theirs.dst_port) or _ranges_apart(mine.dst_cidr, theirs.dst_cidr):
        return True
    if mine.protocol is None or theirs.protocol is None or mine.protocol.negated or theirs.protocol.negated:
        return False
    return not {*mine.protocol.values} & {*theirs.protocol.values}


def _ranges_apart(mine: Qualifier[Range] | None, theirs: Qualifier[Range] | None) -> bool:
    if mine is None or theirs is None or mine.negated or theirs.negated:
        return False
    return not intersect(mine.values, theirs.values)
