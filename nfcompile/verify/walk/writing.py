"""Chains that write one field, and what a map of verdicts makes of a box whose packets go to many of them.

A pool jumps by the source to a chain that writes the subscriber's address or port. A box need not be cut
for that: the address is moved by a number for each source, and the port is turned over by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from nfcompile.emit import Element
from nfcompile.emit.expressions import Bitwise, Constant, Field, Verdict
from nfcompile.emit.statements import TH_SPORT, Mangle
from nfcompile.model.ranges import Range, union
from nfcompile.verify.chosen_values import DrawnBlocks, DrawnNumber, Scrambled
from nfcompile.verify.field_values import FieldValues, Ranges, Segment
from nfcompile.verify.walk.packet import WRITABLE
from nfcompile.verify.walk.program import Program

Written = tuple[Ranges, Range]
"""Values of a field of the box, and what is written where it has them."""


def writes(program: Program, verdict: object) -> Mangle | None:
    """What a verdict does where it leads to a chain that writes a field and does nothing else."""
    if not isinstance(verdict, Verdict) or verdict.kind != "jump" or verdict.chain is None:
        return None
    rules = program.chains[verdict.chain]
    statements = rules[0].statements if len(rules) == 1 else ()
    only = statements[0] if len(statements) == 1 else None
    if not isinstance(only, Mangle) or only.field.name not in WRITABLE:
        return None
    return only if isinstance(only.value, Bitwise | Constant) else None


def kind(program: Program, entry: Element) -> Hashable:
    """What elements of a map of verdicts must have in common to be met by packets of one box."""
    mangle = writes(program, entry.data)
    if mangle is None:
        return entry.data
    mask = mangle.value.mask if isinstance(mangle.value, Bitwise) else None
    return mangle.field.name, mask if mangle.field == TH_SPORT else None


def together(written: Field, field: str, parts: Sequence[Written]) -> Range | None:
    """One value for all parts of a box; None where there is none."""
    return _ports(field, parts) if written == TH_SPORT else addresses(field, parts)


def addresses(field: str, parts: Iterable[Written]) -> Range | None:
    """Numbers that packets have by their value of a field, as that field moved; None where several have one
    number."""
    pieces: list[Segment] = []
    for kept, value in parts:
        if isinstance(value, FieldValues) and value.field == field and value.grain == 1:
            pieces += value.pieces
        elif value.size == 1 and len(kept) == 1 and kept[0].size == 1:
            pieces.append(Segment(*kept[0], value.first - kept[0].first))
        else:
            return None
    return FieldValues(field, pieces)


def _ports(field: str, parts: Sequence[Written]) -> Range | None:
    """Ports that are computed from one field in one way, but for what they are turned over by, or drawn."""
    if all(isinstance(value, DrawnNumber | DrawnBlocks) for _, value in parts):
        return _drawn(field, parts)
    turned: list[tuple[Range, int]] = []
    ways = set()
    for kept, value in parts:
        if isinstance(value, Scrambled) and len(value.of[2]) == 1 and value.of[3] is None:
            of, mask, (bits,), _ = value.of
        elif value.size == 1:
            of, mask, bits = "source_port", 0, value.first
        else:
            return None
        ways.add((of, mask))
        turned += ((one, bits) for one in union(kept))
    if len(ways) > 1:
        return None
    (of, mask) = ways.pop()
    return Scrambled(of, mask, 0, by=(field, tuple(sorted(turned))))


def _drawn(field: str, parts: Iterable[Written]) -> Range | None:
    rows: list[tuple[Range, Range]] = []
    for kept, value in parts:
        if not isinstance(value, DrawnBlocks):
            rows += ((one, Range(*value)) for one in union(kept))
        elif value.field == field:
            rows += value.rows
        else:
            return None
    return DrawnBlocks.of(field, rows)
