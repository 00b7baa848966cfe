"""mark-unset: an snat rule waits for a mark that no dnat rule sets (a warning).

mark-unused: a dnat rule sets a mark that no snat rule looks at (a warning).

The mark is what ties the two steps together. Another program may set or read it; otherwise one of the two
numbers is a slip.

mark-reserved: a dnat rule sets a mark from 0x01000000 to 0x01ffffff, which pools use themselves.

Dynamic pools and those with hairpin, endpoint-independent filtering or randomize_ports see by the marks of
that range which connections are in use. Take another number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.site import Mark

RESERVED_TOP_BYTE = 0x01
MAX_MARKS_IN_HINT = 20
"""As many may be in a hint."""


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each mark without its counterpart, one error for each that is taken."""
    yield from _reserved(checked)
    sets = {rule.mark for rule in checked.site.dnat if rule.mark}
    used: dict[int, set[int]] = defaultdict(set)
    for rule in checked.site.snat:
        if rule.mark:
            used[rule.mark.mask].add(rule.mark.value)
    # A connection passes a test when the bits that it looks at are set so; bits that nobody set are 0.
    passed = {mask: {mark.value & mask for mark in sets} for mask in used}
    hint = _near(sets)
    for rule in checked.site.snat:
        if rule.mark and rule.mark.value not in passed[rule.mark.mask]:
            message = f"no dnat rule sets mark {_text(rule.mark)}"
            path = (*rule.path, "mark")
            yield Diagnostic("mark-unset", message, path, hint=hint, severity="warning")
    for other in checked.site.dnat:
        mark = other.mark
        if mark and not any(mark.value & mask in values for mask, values in used.items()):
            message = f"no snat rule uses mark {_text(mark)}"
            yield Diagnostic("mark-unused", message, (*other.path, "mark"), severity="warning")


def _reserved(checked: CheckInput) -> Iterator[Diagnostic]:
    if not any(pool.renews for pool in checked.site.active_pools):
        return
    for rule in checked.site.dnat:
        if rule.mark and rule.mark.value >> 24 == RESERVED_TOP_BYTE:
            message = f"mark {_text(rule.mark)} is in the range that pools use themselves"
            hint = "take a mark below 0x01000000 or from 0x02000000 on"
            yield Diagnostic("mark-reserved", message, (*rule.path, "mark"), hint=hint)


def _near(sets: set[Mark]) -> str:
    words = sorted(map(_text, sets))
    return f"marks that are set: {', '.join(words)}" if 0 < len(words) <= MAX_MARKS_IN_HINT else ""


def _text(mark: Mark) -> str:
    return str(mark.value) if mark.mask == 0xFFFFFFFF else f"0x{mark.value:x}/0x{mark.mask:x}"
