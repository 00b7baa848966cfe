"""Marks: the dnat rules that set them, and the snat rules that test them.

### mark-unset

An `snat` rule tests a mark that no `dnat` rule sets (a warning). Unless another program sets the mark, one
of the two numbers is wrong, and the traffic leaves from another address than intended.

```yaml
dnat: {web: {protocol: tcp, dst_port: 80, mark: 10}}
snat: {web: {mark: 11, snat_ip: 172.32.0.201}}
```

```yaml
dnat: {web: {protocol: tcp, dst_port: 80, mark: 10}}
snat: {web: {mark: 10, snat_ip: 172.32.0.201}}
```

### mark-unused

A `dnat` rule sets a mark that no `snat` rule tests (a warning).

```yaml
dnat: {web: {protocol: tcp, dst_port: 80, dnat_port: 8080, mark: 10}}
```

```yaml
dnat: {web: {protocol: tcp, dst_port: 80, dnat_port: 8080}}
```

### mark-reserved

A `dnat` rule sets a mark from 0x01000000 to 0x01ffffff, and a pool of the site uses these marks itself.
Dynamic pools and pools with mapping entries (`hairpin`, `filtering: endpoint_independent`,
`port_forwarding`, `randomize_ports`) mark connections in that range to see which of their blocks and ports
are in use; a foreign mark there would make them release a port in use. Choose another number.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, hairpin: on, global_ip: [203.0.113.0/30]}
dnat: {web: {protocol: tcp, dst_port: 80, mark: 0x01000005}}
snat: {web: {mark: 0x01000005, snat_ip: 192.0.2.1}}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, hairpin: on, global_ip: [203.0.113.0/30]}
dnat: {web: {protocol: tcp, dst_port: 80, mark: 0x5}}
snat: {web: {mark: 0x5, snat_ip: 192.0.2.1}}
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.rules import Mark

RESERVED_TOP_BYTE = 0x01
MAX_MARKS_IN_HINT = 20
"""More marks are not listed in a hint."""


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each mark without its counterpart, one error for each in the pools' range."""
    yield from _reserved(checked)
    sets = {rule.mark for rule in checked.site.dnat if rule.mark}
    used: dict[int, set[int]] = defaultdict(set)
    for rule in checked.site.snat:
        for mark in rule.mark.values if rule.mark else ():
            used[mark.mask].add(mark.value)
    # A test looks at the bits of its mask only; bits that no rule sets are 0.
    passed = {mask: {mark.value & mask for mark in sets} for mask in used}
    hint = _near(sets)
    for rule in checked.site.snat if checked.knows(("dnat",)) else ():
        for tested in rule.mark.values if rule.mark else ():
            if tested.value not in passed[tested.mask]:
                message = f"no dnat rule sets mark {_text(tested)}"
                path = (*rule.path, "mark")
                yield Diagnostic("mark-unset", message, path, hint=hint, severity="warning")
    for other in checked.site.dnat if checked.knows(("snat",)) else ():
        sets_mark = other.mark
        if sets_mark and not any(sets_mark.value & mask in values for mask, values in used.items()):
            message = f"no snat rule tests mark {_text(sets_mark)}"
            yield Diagnostic("mark-unused", message, (*other.path, "mark"), severity="warning")


def _reserved(checked: CheckInput) -> Iterator[Diagnostic]:
    if not any(pool.renews and checked.knows(pool.path) for pool in checked.site.active_pools):
        return
    for rule in checked.site.dnat:
        if rule.mark and rule.mark.value >> 24 == RESERVED_TOP_BYTE:
            message = f"mark {_text(rule.mark)} is in the range 0x01000000-0x01ffffff, which pools use"
            hint = "choose a mark below 0x01000000 or from 0x02000000 on"
            yield Diagnostic("mark-reserved", message, (*rule.path, "mark"), hint=hint)


def _near(sets: set[Mark]) -> str:
    words = sorted(map(_text, sets))
    return f"marks that dnat rules set: {', '.join(words)}" if 0 < len(words) <= MAX_MARKS_IN_HINT else ""


def _text(mark: Mark) -> str:
    return str(mark.value) if mark.mask == 0xFFFFFFFF else f"0x{mark.value:x}/0x{mark.mask:x}"
