"""Local addresses of static entries: each is mapped once.

### local-twice

One local address is in two static entries, so its packets could leave from either global address. Keep one
entry. The same address on two VLANs belongs to two hosts; then both entries need `~vid`.

```yaml
pools:
  servers:
    type: static
    priority: 50
    global_map: {192.168.8.0/28: 200.0.8.0/28, 192.168.8.5: 200.0.0.3}
```

```yaml
pools:
  servers:
    type: static
    priority: 50
    global_map: {192.168.8.0/28: 200.0.8.0/28, 192.168.9.5: 200.0.0.3}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.ranges import Range, range_text
from nfcompile.model.site import StaticEntry


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One ascending pass over the entries of each VLAN; an entry without a VLAN is in every VLAN."""
    entries = [e for pool in checked.site.pools if pool.enable for e in pool.global_map]
    order = {id(entry): index for index, entry in enumerate(entries)}
    widest: dict[int | None, StaticEntry] = {}
    for entry in sorted(entries, key=lambda e: (e.local, order[id(e)])):
        for vid in widest if entry.vid is None else (entry.vid, None):
            other = widest.get(vid)
            if other is not None and entry.local.first <= other.local.last:
                early, late = sorted((other, entry), key=lambda e: order[id(e)])
                yield _twice(early, late)
                break
        seen = widest.get(entry.vid)
        if seen is None or entry.local.last > seen.local.last:
            widest[entry.vid] = entry


def _twice(early: StaticEntry, late: StaticEntry) -> Diagnostic:
    shared = Range(max(early.local.first, late.local.first), min(early.local.last, late.local.last))
    note = Note("the other entry is here", early.path, key=True)
    message = f"local address {range_text(shared)} is mapped twice"
    return Diagnostic("local-twice", message, late.path, key=True, notes=(note,))
