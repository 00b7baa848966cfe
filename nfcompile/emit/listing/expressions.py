"""Expressions as `nft -j list` shows them: fields, masks, concatenations, map look-ups, numgen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nfcompile.emit.expressions import (
    FIELDS,
    Bitwise,
    Concat,
    Constant,
    Elements,
    Expression,
    Field,
    Lookup,
    Name,
    Numgen,
    datatypes,
    every_bit,
)
from nfcompile.emit.listing.values import UnknownListing, elements, number, only, single, value
from nfcompile.model.ranges import Range

BARE_META = ("iifname", "oifname")
"""Keys of meta that nft writes without the word."""


def expression(listed: Any, datatype: str = "") -> Expression:
    """An expression; `datatype` is that of the place where a constant stands. Raises UnknownListing."""
    if not isinstance(listed, dict) or "range" in listed or "prefix" in listed:
        found = value(listed, datatype)
        if not isinstance(found, Range):
            raise UnknownListing(listed)
        return Constant(found)
    kind, inside = single(listed)
    if kind == "map":
        return _lookup(inside, datatype)
    if kind == "numgen":
        inner = only(inside, {"mode", "mod", "offset"})
        return Numgen(inner["mode"], inner["mod"], inner.get("offset", 0))
    return selector(listed)


def selector(listed: Any) -> Field | Bitwise | Concat:
    """What keys are made of. Raises UnknownListing."""
    kind, inside = single(listed)
    if kind == "concat":
        return Concat(tuple(part(one) for one in inside))
    return part(listed)


def part(listed: Any) -> Field | Bitwise:
    """A field, or bits of one. Raises UnknownListing."""
    kind, inside = single(listed)
    if kind in ("&", "|", "^"):
        return _bitwise(kind, inside)
    name = _field_name(kind, inside)
    if name not in FIELDS:
        raise UnknownListing(listed)
    return Field(name)


def source(listed: Any, key_types: Sequence[str], data_types: Sequence[str] = ()) -> Name | Elements:
    """`"@name"`, or `{"set": [...]}` with the elements. Raises UnknownListing."""
    if isinstance(listed, str) and listed.startswith("@"):
        return Name(listed[1:])
    return elements(only(listed, {"set"})["set"], key_types, data_types)


def applied(left: Field | Bitwise, operator: str, operand: int) -> Bitwise:
    """One more `& operand`, `| operand` or `^ operand`, of a field or of bits of one.

    >>> applied(applied(Field("meta mark"), "&", 0x1FF), "|", 0x100)
    Bitwise(field=Field(name='meta mark'), mask=255, bits=256, xor=0)
    >>> applied(applied(Field("th sport"), "&", 0x3F), "^", 0x8001)
    Bitwise(field=Field(name='th sport'), mask=63, bits=0, xor=32769)
    """
    field, mask, bits, xor = left if isinstance(left, Bitwise) else _whole(left)
    mask, flipped = mask & ~bits, (xor & ~bits) | bits
    if operator == "&":
        mask, flipped = mask & operand, flipped & operand
    elif operator == "|":
        mask, flipped = mask & ~operand, flipped | operand
    else:
        flipped ^= operand
    return Bitwise(field, mask, 0, flipped) if flipped & mask else Bitwise(field, mask, flipped)


def _bitwise(operator: str, operands: Any) -> Bitwise:
    """nft 1.0.9 and later list `a | b | c` as one operation, earlier ones as two."""
    left, *others = operands
    found = part(left)
    field = found.field if isinstance(found, Bitwise) else found
    for one in others:
        found = applied(found, operator, number(one, FIELDS[field.name]))
    return found if isinstance(found, Bitwise) else _whole(found)


def _whole(field: Field) -> Bitwise:
    """All bits of a field; a mask that is not written has 32 at least."""
    return Bitwise(field, every_bit(FIELDS[field.name]) | Bitwise(field).mask)


def _field_name(kind: str, inside: Any) -> str:
    if kind == "payload":
        inner = only(inside, {"protocol", "field"})
        return f"{inner['protocol']} {inner['field']}"
    if kind == "meta":
        name = str(only(inside, {"key"})["key"])
        return name if name in BARE_META else f"meta {name}"
    if kind == "ct":
        inner = only(inside, {"key", "dir"})
        return " ".join(("ct", inner["dir"], inner["key"]) if "dir" in inner else ("ct", inner["key"]))
    if kind == "fib":
        inner = only(inside, {"result", "flags"})
        flags = inner["flags"]
        return f"fib {flags if isinstance(flags, str) else ' . '.join(flags)} {inner['result']}"
    raise UnknownListing({kind: inside})


def _lookup(inside: Any, datatype: str) -> Lookup:
    """Of a map in the rule nft does not show the data's type: it is that of the place where it stands."""
    inner = only(inside, {"key", "data"})
    key = selector(inner["key"])
    found = source(inner["data"], datatypes(key), (datatype,))
    return Lookup(key, found, () if isinstance(found, Name) else (datatype,))
