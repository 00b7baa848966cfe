"""Qualifiers and marks of dnat and snat rules as matches: a list is one set, a negation `!=`."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.emit.expressions import Bitwise, Constant, Field
from nfcompile.emit.statements import (
    CT_MARK,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    Mangle,
    Match,
    match,
    set_mark,
    unlike,
)
from nfcompile.lower.acl import port_field
from nfcompile.lower.tokens import FIRST_TOKEN, TOKEN_BYTE
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Mark, Qualifier, Qualifiers

WHOLE_MARK = 0xFFFFFFFF


def constant(value: Range | None) -> Constant | None:
    return None if value is None else Constant(value)


def qualifier_matches(asked: Qualifiers) -> Iterator[Match]:
    protocol, src_cidr, src_port, dst_cidr, dst_port, _ = asked
    if src_cidr is not None:
        yield _matches(IP_SADDR, src_cidr)
    if dst_cidr is not None:
        yield _matches(IP_DADDR, dst_cidr)
    ports = src_port is not None or dst_port is not None
    only = None if protocol is None else protocol.single
    if protocol is not None and not (ports and only is not None):
        yield _matches(L4PROTO, protocol)
    for end, port in (("sport", src_port), ("dport", dst_port)):
        if port is not None:
            # A port match of one protocol tests the protocol, too; with several that has been done.
            field = Field(f"th {end}") if only is None else port_field(only, end)
            yield _matches(field, port)


def _matches(field: Field | Bitwise, asked: Qualifier[Range] | Qualifier[int] | Qualifier[str]) -> Match:
    return (unlike if asked.negated else match)(field, *asked.values)


def mark_statement(mark: Mark) -> Mangle:
    if mark.mask == WHOLE_MARK:
        return set_mark(mark.value, CT_MARK)
    return set_mark(Bitwise(CT_MARK, ~mark.mask & WHOLE_MARK, mark.value), CT_MARK)


def mark_tests(asked: Qualifier[Mark], tokens: bool) -> tuple[tuple[Match, ...], ...]:
    """Tests of marks of which one must hold; all marks of a list have one mask.

    `tokens`: pools mark connections themselves. Those have no mark of the site, which is mark 0.
    """
    mask = asked.values[0].mask
    field = CT_MARK if mask == WHOLE_MARK else Bitwise(CT_MARK, mask)
    test = _matches(field, Qualifier(tuple(mark.value for mark in asked.values), asked.negated))
    of_none = any(mark.is_in(0) for mark in asked.values) is not asked.negated
    sure = mask & TOKEN_BYTE == TOKEN_BYTE and of_none is asked.negated
    if not tokens or sure:
        return ((test,),)
    token = Bitwise(CT_MARK, TOKEN_BYTE)
    return ((match(token, FIRST_TOKEN),), (test,)) if of_none else ((unlike(token, FIRST_TOKEN), test),)
