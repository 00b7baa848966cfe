"""Prefixes in dnat and snat rules that are probably meant one to one.

### prefix-not-mapped

`snat_ip` or `dnat_ip` has as many addresses as the rule's `src_cidr` or `dst_cidr` (a warning). The kernel
then chooses an address of the range for each host, and the host bits are not kept. `snat_prefix` and
`dnat_prefix` map one prefix to the other, address by address.

```yaml
snat: {lines: {src_cidr: 10.1.0.0/24, snat_ip: 203.0.113.0/24}}
```

```yaml
snat: {lines: {src_cidr: 10.1.0.0/24, snat_ip: 203.0.113.0-203.0.113.9}}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Qualifier


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each rule that translates a prefix to another one of its size in any order."""
    for snat in checked.site.snat:
        if not snat.prefix and _as_large(snat.match.src_cidr, snat.snat_ip):
            yield _warning(snat.path, "snat")
    for dnat in checked.site.dnat:
        if not dnat.prefix and _as_large(dnat.match.dst_cidr, dnat.dnat_ip):
            yield _warning(dnat.path, "dnat")


def _as_large(asked: Qualifier[Range] | None, target: Range | None) -> bool:
    if asked is None or asked.single is None or target is None or target.size == 1:
        return False
    aligned = target.size & (target.size - 1) == 0 and target.first % target.size == 0
    return aligned and asked.single.size == target.size


def _warning(path: Path, stage: str) -> Diagnostic:
    message = f"'{stage}_ip' does not keep the host bits: the kernel chooses an address of the prefix"
    hint = f"write {stage}_prefix to map address by address"
    return Diagnostic("prefix-not-mapped", message, (*path, f"{stage}_ip"), hint=hint, severity="warning")
