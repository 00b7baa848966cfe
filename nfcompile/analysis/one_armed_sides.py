"""Pools and rules of a one-armed gateway that its `inside_networks` leave nothing to translate.

### not-inside

Subscribers of a pool, or the sources of an `snat` rule, are not in `inside_networks`. Packets from there
count as from outside, so they would leave untranslated.

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0], inside_networks: [10.0.0.0/8]}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools: {homes: {type: nat, allocation: dynamic, acl: homes, priority: 10, global_ip: [203.0.113.0/24]}}
```

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0], inside_networks: [10.0.0.0/8, 100.64.0.0/24]}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools: {homes: {type: nat, allocation: dynamic, acl: homes, priority: 10, global_ip: [203.0.113.0/24]}}
```

### nothing-outside

No destination is outside: `inside_networks` is every address, or holds all of a rule's `dst_cidr`. Pools, and
`snat` rules without `interface`, translate only what goes outside.

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0], inside_networks: [0.0.0.0/0]}
snat: {all: {src_cidr: 10.0.0.0/8, snat_ip: interface}}
```

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0], inside_networks: [0.0.0.0/0]}
snat: {all: {interface: eth0, src_cidr: 10.0.0.0/8, snat_ip: interface}}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.ranges import EVERYWHERE, Range, intersect, range_text, subtract
from nfcompile.model.rules import Qualifier, SnatRule
from nfcompile.model.sides import GatewaySides, sides

NAME_INTERFACE = "add 'interface' to the rule: then it matches all packets that leave there"


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """An error for each pool, a warning for each rule; interfaces of one side alone know no networks."""
    site = checked.site
    given = site.interfaces.inside_networks is not None
    if not site.interfaces.shared or not given or not checked.knows(("interfaces",)):
        return
    found = sides(site)
    if set(found.inside) <= set(found.shared):
        yield from _not_inside(checked, found)
    if set(found.outside) <= set(found.shared):
        yield from _nothing_outside(checked, found)


def _not_inside(checked: CheckInput, found: GatewaySides) -> Iterator[Diagnostic]:
    for allocation in checked.allocations:
        strangers = subtract(allocation.subscribers, found.networks)
        if strangers and not allocation.unbounded:
            message = f"{range_text(strangers[0])} of pool '{allocation.pool.name}' is not inside"
            yield Diagnostic("not-inside", message, allocation.pool.path, key=True, hint=_add(strangers[0]))
    for rule in checked.site.snat:
        named = _named(rule.match.src_cidr)
        if named and not intersect(named, found.networks):
            message = f"no source of snat rule '{rule.name}' is inside"
            path = (*rule.path, "src_cidr")
            yield Diagnostic("not-inside", message, path, hint=_add(named[0]), severity="warning")


def _nothing_outside(checked: CheckInput, found: GatewaySides) -> Iterator[Diagnostic]:
    for pool in checked.site.active_pools if found.holds_everything else ():
        message = f"every address is inside, so pool '{pool.name}' translates nothing"
        hint = "write the networks of the inside only"
        yield Diagnostic("nothing-outside", message, ("interfaces", "inside_networks"), hint=hint)
        return
    for rule in checked.site.snat:
        if not rule.match.names_interfaces and not rule.exclude and _stays(rule, found):
            message = f"snat rule '{rule.name}' translates nothing: its destinations are inside"
            yield Diagnostic(
                "nothing-outside", message, rule.path, key=True, hint=NAME_INTERFACE, severity="warning"
            )


def _stays(rule: SnatRule, found: GatewaySides) -> bool:
    """Whether all that a rule is for goes inside."""
    named = _named(rule.match.dst_cidr) or (EVERYWHERE,)
    return found.holds_everything or not subtract(named, found.networks)


def _named(asked: Qualifier[Range] | None) -> tuple[Range, ...]:
    return () if asked is None or asked.negated else asked.values


def _add(network: Range) -> str:
    return f"add {range_text(network)} to inside_networks"
