"""Where a ruleset can change its mind: the cut points of each field that it looks at.

Between two cuts all packets of a field meet the same matches, so the boxes between them are all that a
comparison of two rulesets has to look at. A mask that is no prefix (`ct mark & 0xf`) cuts no stretches:
such a field is looked at value by value.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.model.ranges import Range
from nfcompile.walk.phrases import Change, Concat, Expression, Field, Looked, Masked, Match, Nat, Vmap
from nfcompile.walk.program import Program
from nfcompile.walk.values import Value


def cuts(program: Program) -> dict[str, list[int]]:
    """Field -> the first numbers of its stretches, ascending, 0 not among them."""
    found: dict[str, set[int]] = {}
    for line in (line for lines in program.chains.values() for line in lines):
        for phrase in line.phrases:
            for name, pattern in _asked(program, phrase):
                if isinstance(pattern, Range):
                    found.setdefault(name, set()).update((pattern.first, pattern.last + 1))
    return {name: sorted(points - {0}) for name, points in sorted(found.items())}


def _asked(program: Program, phrase: object) -> Iterator[tuple[str, Value]]:
    """Every field that a phrase compares, with what it is compared with."""
    looks = [phrase] if isinstance(phrase, Match | Vmap) else _looks(phrase)
    for look in looks:
        source = program.sources[look.source].entries if isinstance(look.source, str) else look.source
        for entry in source:
            # A number that the kernel draws has no parts: nothing of the packet is asked.
            for part, pattern in zip(_parts(look.key), entry.key, strict=False):
                if isinstance(part, Field):
                    yield part.name, pattern
                elif isinstance(pattern, Range) and not part.bits and _is_prefix(part.mask):
                    yield part.field.name, Range(pattern.first, pattern.last | ~part.mask & 0xFFFFFFFF)


def _looks(phrase: object) -> list[Looked]:
    """The map look-ups in a statement."""
    found: list[object] = []
    if isinstance(phrase, Nat):
        found = [phrase.address, phrase.port]
    elif isinstance(phrase, tuple) and not isinstance(phrase, Change):
        found = list(phrase)
    return [one for one in found if isinstance(one, Looked)]


def _parts(key: Expression) -> tuple[Field | Masked, ...]:
    if isinstance(key, Concat):
        return key.parts
    return (key,) if isinstance(key, Field | Masked) else ()


def _is_prefix(mask: int) -> bool:
    host = ~mask & 0xFFFFFFFF
    return host & (host + 1) == 0
