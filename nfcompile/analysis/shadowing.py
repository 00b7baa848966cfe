"""Rules that an earlier rule makes useless.

### rule-shadowed

Earlier rules match every packet that this rule matches (a warning). In an ACL, and among `dnat` and `snat`
rules, the first match decides, so this rule never does. Usually a rule number or a prefix is wrong. Move
the rule up, or delete it. In a list of more than about 700 rules that differ in more than their source,
some of these rules may not be found.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/24, 20: deny ip 100.64.0.9}}
pools:
  homes: {type: fake, acl: homes, priority: 100}
```

```yaml
acls: {homes: {10: deny ip 100.64.0.9, 20: allow ip 100.64.0.0/24}}
pools:
  homes: {type: fake, acl: homes, priority: 100}
```
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Cover, Range, subtract
from nfcompile.model.rules import DnatRule, Mark, Qualifier, Qualifiers, SnatRule
from nfcompile.model.sides import sides
from nfcompile.model.site import Acl, AclRule

MAX_RULE_PAIRS = 500_000
"""About a second: ports and protocols have no order to search in, so rules are compared in pairs."""


class Condition(NamedTuple):
    """The conditions of an ACL rule besides the source address."""

    protocol: int
    vid: int | None
    destination: Range
    source_ports: tuple[Range, ...]
    destination_ports: tuple[Range, ...]


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each rule that earlier ones cover."""
    for acl in checked.site.acls:
        yield from _acl(acl)
    if not checked.knows(("interfaces",)):
        return
    found = sides(checked.site)
    shared = frozenset(found.shared)
    yield from _rules(checked.site.dnat, "dnat", RuleInterfaces(found.inside, shared))
    yield from _rules(checked.site.snat, "snat", RuleInterfaces(found.outside, shared))


def _acl(acl: Acl) -> Iterator[Diagnostic]:
    """Earlier rules are kept by their conditions other than the source, so that long lists stay fast."""
    covers: dict[Condition, Cover[AclRule]] = {}
    pairs_left = MAX_RULE_PAIRS
    for rule in acl.rules:
        condition = _condition(rule)
        same = covers.setdefault(condition, Cover())
        others = covers.items() if pairs_left > 0 else ()
        for earlier, cover in ((condition, same), *others):
            pairs_left -= 1
            if _within(condition, earlier) and cover.covers(rule.source):
                note = Note("this rule decides first", cover.nearest(rule.source).path)
                message = f"rule {rule.number} of acl '{acl.name}' can never match"
                yield Diagnostic("rule-shadowed", message, rule.path, notes=(note,), severity="warning")
                break
        same.add(rule.source, rule)


def _condition(rule: AclRule) -> Condition:
    ports = rule.source_ports, rule.destination_ports
    return Condition(rule.protocol, rule.vid, rule.destination, *ports)


def _within(inner: Condition, outer: Condition) -> bool:
    """Whether every packet that meets `inner` meets `outer`."""
    return (
        outer.protocol in (ANY_PROTOCOL, inner.protocol)
        and outer.vid in (None, inner.vid)
        and outer.destination.first <= inner.destination.first
        and outer.destination.last >= inner.destination.last
        and _ports_within(inner.source_ports, outer.source_ports)
        and _ports_within(inner.destination_ports, outer.destination_ports)
    )


def _ports_within(inner: tuple[Range, ...], outer: tuple[Range, ...]) -> bool:
    if not outer:
        return True
    cover: Cover[None] = Cover()
    for ports in outer:
        cover.add(ports, None)
    return bool(inner) and all(cover.covers(ports) for ports in inner)


Rule = TypeVar("Rule", DnatRule, SnatRule)
Value = TypeVar("Value")


class RuleInterfaces(NamedTuple):
    """The interfaces of rules that name none, and those that are on both sides: a rule that names one of
    these is for more packets."""

    default: tuple[str, ...]
    shared: frozenset[str]

    def within(self, inner: Qualifiers, outer: Qualifiers) -> bool:
        """Whether `outer` is for all packets of the interfaces of `inner`."""
        small, large = (set(one.interfaces(self.default)) for one in (inner, outer))
        wider = inner.names_interfaces and not outer.names_interfaces
        return small <= large and not (wider and small & self.shared)


def _rules(rules: Sequence[Rule], kind: str, interfaces: RuleInterfaces) -> Iterator[Diagnostic]:
    pairs_left = MAX_RULE_PAIRS
    for index, rule in enumerate(rules):
        for earlier in islice(rules, index) if pairs_left > 0 else ():
            pairs_left -= 1
            # Lists of rules differ in a mark or an end, so most pairs are done with one of these.
            if (
                _marks_within(rule, earlier)
                and _match_within(rule.match, earlier.match)
                and interfaces.within(rule.match, earlier.match)
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


def _marks_within(inner: DnatRule | SnatRule, outer: DnatRule | SnatRule) -> bool:
    """Whether the marks that `inner` tests are among those of `outer`; dnat rules test none."""
    if isinstance(inner, SnatRule) and isinstance(outer, SnatRule):
        return _mark_within(inner.mark, outer.mark)
    return True


def _match_within(inner: Qualifiers, outer: Qualifiers) -> bool:
    return (
        _ranges_within(inner.dst_port, outer.dst_port, PORT_LAST)
        and _ranges_within(inner.dst_cidr, outer.dst_cidr, ADDRESS_LAST)
        and _ranges_within(inner.src_cidr, outer.src_cidr, ADDRESS_LAST)
        and _ranges_within(inner.src_port, outer.src_port, PORT_LAST)
        and _words_within(inner.protocol, outer.protocol)
    )


def _words_within(inner: Qualifier[Value] | None, outer: Qualifier[Value] | None) -> bool:
    """Whether `outer` matches all protocols that `inner` does."""
    if outer is None:
        return True
    if inner is None:
        return False
    small, large = set(inner.values), set(outer.values)
    if outer.negated:
        return large <= small if inner.negated else not large & small
    return not inner.negated and small <= large


def _ranges_within(inner: Qualifier[Range] | None, outer: Qualifier[Range] | None, last: int) -> bool:
    if outer is None:
        return True
    if inner is None:
        return False
    if inner.single is not None and outer.single is not None:
        return outer.single.first <= inner.single.first and inner.single.last <= outer.single.last
    return not subtract(_covered(inner, last), _covered(outer, last))


def _covered(asked: Qualifier[Range], last: int) -> tuple[Range, ...]:
    return subtract([Range(0, last)], asked.values) if asked.negated else asked.values


def _mark_within(inner: Qualifier[Mark] | None, outer: Qualifier[Mark] | None) -> bool:
    if outer is None:
        return True
    if inner is None or inner.negated or outer.negated:
        return inner == outer
    if inner.single is not None and outer.single is not None:
        return _tests_less(outer.single, inner.single)
    return all(any(_tests_less(large, small) for large in outer.values) for small in inner.values)


def _tests_less(outer: Mark, inner: Mark) -> bool:
    """Whether every mark that passes `inner` passes `outer`."""
    return not outer.mask & ~inner.mask and inner.value & outer.mask == outer.value
