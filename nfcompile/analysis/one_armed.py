"""One-armed gateways: an interface that is inside and outside, where addresses decide the direction.

### inside-assumed

An interface is on both sides, and the site has no `inside_networks` (a note). Packets on such an interface
are inside if their source is one that the site names: in the pools, their ACLs, and in `src_cidr` of its
rules. The note lists what was found; write it down as `inside_networks`, and the note goes.

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0]}
snat: {all: {src_cidr: 10.0.0.0/8, snat_ip: 192.0.2.1}}
```

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth1]}
snat: {all: {src_cidr: 10.0.0.0/8, snat_ip: 192.0.2.1}}
```

### inside-unknown

An interface is on both sides, and what is inside cannot be told: a pool's ACL allows any source, or a rule
has no `src_cidr`, and there is no `inside_networks`. An `snat` rule that tests a mark needs none, since the
`dnat` rules that set the mark have one, nor does a `dnat` rule without mark that names its interface.

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth0]}
snat: {all: {snat_ip: 192.0.2.1}}
```

```yaml
version: 1
interfaces: {inside: [eth0], outside: [eth1]}
snat: {all: {snat_ip: 192.0.2.1}}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model.ranges import range_text
from nfcompile.model.rules import DnatRule, SnatRule
from nfcompile.model.sources import named_sources

HINT = "write inside_networks, the networks of the inside"
MAX_NETWORKS_SHOWN = 8


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One note, or one error for each source that is not limited."""
    interfaces = checked.site.interfaces
    if not interfaces.shared or interfaces.inside_networks is not None:
        return
    if not checked.knows(("interfaces",), ("pools",), ("acls",), ("dnat",), ("snat",)):
        return
    unlimited = list(_unlimited(checked))
    for path, what in unlimited:
        message = f"{what}, so the inside of '{interfaces.shared[0]}' is not known"
        yield Diagnostic("inside-unknown", message, path, key=True, hint=HINT)
    if not unlimited:
        yield _assumed(checked, interfaces.shared[0])


def _unlimited(checked: CheckInput) -> Iterator[tuple[Path, str]]:
    for allocation in checked.allocations:
        for acl_rule in allocation.unbounded:
            yield acl_rule.path, f"the acl of pool '{allocation.pool.name}' allows any source"
    for rule in checked.site.rules:
        limited = rule.match.src_cidr is not None and not rule.match.src_cidr.negated
        if not limited and not _limited_otherwise(rule):
            yield rule.path, f"{rule.path[0]} rule '{rule.name}' has no src_cidr that names the inside"


def _limited_otherwise(rule: DnatRule | SnatRule) -> bool:
    """An snat rule by a mark is for what the dnat rules with that mark name; a dnat rule for an interface is
    for all that comes in there, whatever is inside; and an exclusion translates nothing."""
    if rule.exclude:
        return True
    if isinstance(rule, SnatRule):
        return rule.mark is not None and not rule.mark.negated
    return rule.match.names_interfaces and rule.mark is None


def _assumed(checked: CheckInput, name: str) -> Diagnostic:
    networks = named_sources(checked.site)
    shown = ", ".join(map(range_text, networks[:MAX_NETWORKS_SHOWN])) or "nothing"
    more = f" and {len(networks) - MAX_NETWORKS_SHOWN} more" if len(networks) > MAX_NETWORKS_SHOWN else ""
    message = f"inside of '{name}' is {shown}{more}: the sources that the site names"
    path = ("interfaces", "inside", checked.site.interfaces.inside.index(name))
    return Diagnostic("inside-assumed", message, path, hint=HINT, severity="note")
