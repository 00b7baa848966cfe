"""Prefixes of npt pools: each is given once, and inside and global ones do not overlap.

The codes are those of IPv4 pools: `pool-overlap`, `local-twice`, `global-inside`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.npt import PrefixPair, prefix6_text
from nfcompile.model.ranges import Cover


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each prefix that overlaps one before it."""
    pairs = [pair for pool in checked.site.npt if pool.enable for pair in pool.pairs]
    globals_: Cover[PrefixPair] = Cover()
    locals_: Cover[PrefixPair] = Cover()
    for pair in pairs:
        for part in globals_.parts(pair.globals.range):
            early = globals_.nearest(part)
            message = f"global prefix {prefix6_text(pair.globals)} overlaps {prefix6_text(early.globals)}"
            note = Note("the other pair is here", early.path)
            hint = "give each global address to one owner"
            yield Diagnostic("pool-overlap", message, pair.path, hint=hint, notes=(note,))
            break
        for part in locals_.parts(pair.local.range):
            message = f"local prefix {prefix6_text(pair.local)} is mapped twice"
            note = Note("the other pair is here", locals_.nearest(part).path, key=True)
            yield Diagnostic("local-twice", message, pair.path, key=True, notes=(note,))
            break
        globals_.add(pair.globals.range, pair)
        locals_.add(pair.local.range, pair)
    for pair in pairs:
        for part in locals_.parts(pair.globals.range):
            message = f"global prefix {prefix6_text(pair.globals)} is the inside of another pair"
            note = Note("that pair is here", locals_.nearest(part).path, key=True)
            yield Diagnostic("global-inside", message, pair.path, notes=(note,))
            break
