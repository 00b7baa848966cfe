"""Where a ruleset can change its mind about a field: where what it is compared with begins or ends."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.model.ranges import Range
from nfcompile.verify.walk.phrases import Change, Concat, Expression, Field, Looked, Masked, Match, Nat, Vmap
from nfcompile.verify.walk.program import Program


def cuts(program: Program, field: str) -> list[int]:
    """The first numbers of the stretches between which all packets meet the same matches of that field,
    ascending, 0 not among them. A mask that is no prefix (`ct mark & 0xf`) cuts no stretches and is left
    out."""
    found: set[int] = set()
    for line in (line for lines in program.chains.values() for line in lines):
        for phrase in line.phrases:
            for look in _looks(phrase):
                for start, end in _asked(program, look, field):
                    found |= {start, end}
    return sorted(found - {0})


def _asked(program: Program, look: Match | Vmap | Looked, field: str) -> Iterator[tuple[int, int]]:
    """First number and the one after the last of all that the field is compared with."""
    for index, part in enumerate(_parts(look.key)):
        mask = 0xFFFFFFFF if isinstance(part, Field) else part.mask
        name = part.name if isinstance(part, Field) else part.field.name
        if name != field or not _is_prefix(mask):
            continue
        source = program.sources[look.source].entries if isinstance(look.source, str) else look.source
        for pattern in (entry.key[index] for entry in source):
            if isinstance(pattern, Range):
                yield pattern.first, (pattern.last | ~mask & 0xFFFFFFFF) + 1


def _looks(phrase: object) -> list[Match | Vmap | Looked]:
    """The comparisons and map look-ups of a phrase."""
    if isinstance(phrase, Match | Vmap):
        return [phrase]
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
