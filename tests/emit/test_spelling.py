"""Forms of rules that no site has yet, as nft reads them."""

from __future__ import annotations

import pytest

from nfcompile.emit import Chain, Flowtable, Hook, Map, Name, Rule, Set, Table
from nfcompile.emit.differences import objects
from nfcompile.emit.expressions import Bitwise, Constant, Numgen, keys
from nfcompile.emit.spelling import rule_text
from nfcompile.emit.statements import (
    CT_STATE,
    IP_SADDR,
    META_MARK,
    Match,
    Statement,
    match,
    unlike,
    update,
)
from nfcompile.emit.validate import InvalidTable, validate
from nfcompile.model.ranges import Range


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (match(Bitwise(META_MARK, 0xFF), 1, Range(4, 7)), "meta mark & 0xff == { 1, 0x4-0x7 }"),
        (unlike(Bitwise(META_MARK, 0xFF), 1), "meta mark & 0xff != 0x1"),
        (match(Numgen("inc", 16), 1, Range(3, 5)), "numgen inc mod 16 { 1, 3-5 }"),
        (match(CT_STATE, "new"), "ct state new"),
        (Match(CT_STATE, keys([6]), "in"), "ct state established,related"),
        (Match(CT_STATE, keys([8])), "ct state == new"),
        (match(CT_STATE, "new", "invalid"), "ct state { new, invalid }"),
        (unlike(CT_STATE, "new"), "ct state != new"),
    ],
)
def test_a_match_is_written_whole(statement: Statement, text: str) -> None:
    assert rule_text((statement,)) == text


def table(one: Set | Map) -> Table:
    rule = Rule((update(one.name, IP_SADDR, Constant(Range(7, 7))),), ())
    return Table("t", (one, Chain(Name("c"), (rule,), (), Hook("filter", "forward", "filter"))))


def test_a_constant_is_data_of_a_map_and_not_of_a_set() -> None:
    validate(table(Map(Name("m"), ("ipv4_addr",), ("mark",), (), flags=("dynamic",))))

    with pytest.raises(InvalidTable, match="data in s, which is a set"):
        validate(table(Set(Name("s"), ("ipv4_addr",), (), flags=("dynamic",))))


def test_every_kind_of_object_is_compared() -> None:
    flowtable = Table("t", (Flowtable(Name("f"), ("lan0",), ()),))

    assert list(objects(flowtable)) == ["flowtable f"]
