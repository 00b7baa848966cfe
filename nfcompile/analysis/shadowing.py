"""rule-shadowed: an earlier rule already decides everything that this rule names (a warning).

In an ACL the first hit wins, and so it does among dnat and snat rules. A rule that nothing can reach is
mostly a wrong number or a wrong prefix. Move it up, or delete it.

Where more than about 700 rules of one list differ in more than their source, not every such rule is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from nfcompile.analysis.survey import Survey
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import EVERYWHERE, Cover, Range
from nfcompile.model.site import Acl, AclRule, DnatRule, Mark, Match, SnatRule

PATIENCE = 500_000
"""So many pairs of rules are compared, about a second; ports and protocols have no order to search in."""

Condition = tuple[int, int | None, Range, tuple[Range, ...], tuple[Range, ...]]


def check(survey: Survey) -> Iterator[Diagnostic]:
    """One warning for each rule that earlier ones cover."""
    for acl in survey.site.acls:
        yield from _acl(acl)
    yield from _rules(survey.site.dnat, "dnat")
    yield from _rules(survey.site.snat, "snat")


def _acl(acl: Acl) -> Iterator[Diagnostic]:
    """Earlier rules are kept by their conditions other than the source, so that long lists stay fast."""
    covers: dict[Condition, Cover[AclRule]] = {}
    looks = PATIENCE
    for rule in acl.rules:
        condition = _condition(rule)
        same = covers.setdefault(condition, Cover())
        for earlier, cover in ((condition, same), *covers.items()) if looks > 0 else ((condition, same),):
            looks -= 1
            if _wider(earlier, condition) and cover.covers(rule.source):
                note = Note("this rule decides first", cover.nearest(rule.source).path)
                message = f"rule {rule.number} of acl '{acl.name}' can never match"
                yield Diagnostic("rule-shadowed", message, rule.path, notes=(note,), severity="warning")
                break
        same.add(rule.source, rule)


def _condition(rule: AclRule) -> Condition:
    ports = rule.source_ports, rule.destination_ports
    return rule.protocol, rule.vid, rule.destination, *ports


def _wider(one: Condition, other: Condition) -> bool:
    return (
        one[0] in (ANY_PROTOCOL, other[0])
        and one[1] in (None, other[1])
        and one[2].first <= other[2].first
        and one[2].last >= other[2].last
        and _ports_within(other[3], one[3])
        and _ports_within(other[4], one[4])
    )


def _ports_within(inner: tuple[Range, ...], outer: tuple[Range, ...]) -> bool:
    if not outer:
        return True
    cover: Cover[None] = Cover()
    for ports in outer:
        cover.add(ports, None)
    return bool(inner) and all(cover.covers(ports) for ports in inner)


Rule = TypeVar("Rule", DnatRule, SnatRule)


def _rules(rules: Sequence[Rule], kind: str) -> Iterator[Diagnostic]:
    marked = kind == "snat"
    looks = PATIENCE
    for index, rule in enumerate(rules):
        for earlier in islice(rules, index) if looks > 0 else ():
            looks -= 1
            if _match_within(rule.match, earlier.match) and (
                not marked or _mark_within(rule.mark, earlier.mark)
            ):
                yield Diagnostic(
                    "rule-shadowed",
                    f"{kind} rule '{rule.name}' can never match",
                    rule.path,
                    key=True,
                    notes=(Note("this rule decides first", earlier.path, key=True),),
                    severity="warning",
                )
                break


def _match_within(inner: Match, outer: Match) -> bool:
    pairs = (
        (inner.src_cidr, outer.src_cidr),
        (inner.src_port, outer.src_port),
        (inner.dst_cidr, outer.dst_cidr),
        (inner.dst_port, outer.dst_port),
    )
    return (
        outer.protocol in (ANY_PROTOCOL, inner.protocol)
        and outer.interface in (None, inner.interface)
        and all(_range_within(small, large) for small, large in pairs)
    )


def _range_within(inner: Range | None, outer: Range | None) -> bool:
    if outer is None or outer == EVERYWHERE:
        return True
    return inner is not None and outer.first <= inner.first and inner.last <= outer.last


def _mark_within(inner: Mark | None, outer: Mark | None) -> bool:
    if outer is None:
        return True
    if inner is None or outer.mask & ~inner.mask:
        return False
    return inner.value & outer.mask == outer.value
