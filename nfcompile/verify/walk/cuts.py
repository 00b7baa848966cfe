"""Where a ruleset can change its mind about a field: where what it is compared with begins or ends."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.emit.expressions import Bitwise, Concat, Expression, Field, Lookup
from nfcompile.emit.statements import Mangle, Match, Nat, Statement, VerdictMap
from nfcompile.model.ranges import Range
from nfcompile.verify.walk.program import Program


def patterns(program: Program, field: str) -> set[Range]:
    """What a ruleset compares a field with: packets that lie in the same of these ranges meet the same
    matches of it. A mask that is no prefix (`ct mark & 0xf`) makes no ranges and is left out."""
    return {
        Range(start, end - 1)
        for lines in program.chains.values()
        for line in lines
        for statement in line.statements
        for look in _looks(statement)
        for start, end in _asked(program, look, field)
    }


def _asked(program: Program, look: Match | VerdictMap | Lookup, field: str) -> Iterator[tuple[int, int]]:
    """First number and the one after the last of all that the field is compared with."""
    source = program.entries(look.right if isinstance(look, Match) else look.source)
    for index, part in enumerate(_parts(look.left if isinstance(look, Match) else look.key)):
        mask = 0xFFFFFFFF if isinstance(part, Field) else part.mask
        name = part.name if isinstance(part, Field) else part.field.name
        if name != field or not _is_prefix(mask):
            continue
        for pattern in (entry.key[index] for entry in source):
            if isinstance(pattern, Range):
                yield pattern.first, (pattern.last | ~mask & 0xFFFFFFFF) + 1


def _looks(statement: Statement) -> list[Match | VerdictMap | Lookup]:
    """The comparisons and map look-ups of a statement."""
    if isinstance(statement, Match | VerdictMap):
        return [statement]
    found: list[object] = []
    if isinstance(statement, Nat):
        found = [statement.address, statement.port]
    elif isinstance(statement, Mangle):
        found = [statement.value]
    return [one for one in found if isinstance(one, Lookup)]


def _parts(key: Expression) -> tuple[Field | Bitwise, ...]:
    if isinstance(key, Concat):
        return key.parts
    return (key,) if isinstance(key, Field | Bitwise) else ()


def _is_prefix(mask: int) -> bool:
    host = ~mask & 0xFFFFFFFF
    return host & (host + 1) == 0
