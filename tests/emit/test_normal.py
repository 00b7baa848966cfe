"""The normal form joins what is the same to the kernel, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from nfcompile.emit import Chain, Counter, CtTimeout, Element, Flowtable, Hook, Map, Name, Rule, Set, Table
from nfcompile.emit.expressions import Bitwise, Constant, Field, Numgen, keys
from nfcompile.emit.normal import normal
from nfcompile.emit.spelling import rule_text
from nfcompile.emit.statements import (
    ACCEPT,
    CT_STATUS,
    DROP,
    IIFNAME,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    TH_DPORT,
    TH_SPORT,
    Match,
    Nat,
    Statement,
    add,
    concat,
    counter,
    goto,
    lookup,
    match,
    set_mark,
    unlike,
    vmap,
)
from nfcompile.model.ranges import Range
from support.every_form import CHAINS, TABLE

TCP_ONLY, UDP_ONLY = match(L4PROTO, "tcp"), match(L4PROTO, "udp")
TCP_PORT, TCP_SOURCE = Field("tcp dport"), Field("tcp sport")
COUNT, PAIRS = counter(Name("dropped")), Name("pairs")


def of_rule(*statements: Statement) -> Rule:
    chain = Chain(Name("c"), (Rule(statements, ()),), (), Hook("filter", "forward", "filter"))
    (one,) = normal(Table("t", (chain,))).objects
    assert isinstance(one, Chain)
    return one.rules[0]


def of_object(one: Any) -> Any:
    return normal(Table("t", (one,))).objects[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((match(CT_STATUS, "snat"),), (unlike(Bitwise(CT_STATUS, 16), 0),)),
        (
            (match(Bitwise(META_MARK, 0xFF000000), 0x1000000),),
            (match(META_MARK, Range(0x1000000, 0x1FFFFFF)),),
        ),
        ((match(Bitwise(TH_DPORT, 0xFFF0), 0x50),), (match(TH_DPORT, Range(0x50, 0x5F)),)),
        ((match(IIFNAME, "b", "a"),), (match(IIFNAME, "a", "b"),)),
        ((match(META_MARK, 2, 1),), (match(META_MARK, Range(1, 2)),)),
        ((match(IIFNAME, "a"), match(META_MARK, 1)), (match(META_MARK, 1), match(IIFNAME, "a"))),
        ((match(Field("meta protocol"), "ip"), DROP), (DROP,)),
        ((TCP_ONLY, match(TH_DPORT, 80)), (match(TCP_PORT, 80),)),
        ((TCP_ONLY, match(IIFNAME, "a"), match(TH_DPORT, 80)), (match(IIFNAME, "a"), match(TCP_PORT, 80))),
        ((TCP_ONLY, COUNT, match(TH_DPORT, 80)), (TCP_ONLY, COUNT, match(TCP_PORT, 80))),
        ((TCP_ONLY, add(PAIRS, concat(IP_SADDR, TH_SPORT))), (add(PAIRS, concat(IP_SADDR, TCP_SOURCE)),)),
        ((match(TCP_PORT, 1), match(TCP_SOURCE, 2)), (match(TCP_SOURCE, 2), match(TCP_PORT, 1))),
        ((set_mark(Bitwise(META_MARK, 0x1FF, 0x100)),), (set_mark(Bitwise(META_MARK, 0xFF, 0x100)),)),
        ((set_mark(Bitwise(META_MARK, 0xFF, 0, 0x100)),), (set_mark(Bitwise(META_MARK, 0xFF, 0x100)),)),
        ((set_mark(Bitwise(META_MARK)),), (set_mark(META_MARK),)),
        ((set_mark(Bitwise(META_MARK, 0xF, 1, 1)),), (set_mark(Bitwise(META_MARK, 0xE, 1)),)),
        ((vmap(L4PROTO, ((17, DROP), (6, ACCEPT))),), (vmap(L4PROTO, ((6, ACCEPT), (17, DROP))),)),
        (
            (Nat("snat", None, Constant(Range(1, 2)), flags=("random", "persistent")),),
            (Nat("snat", None, Constant(Range(1, 2)), flags=("persistent", "random")),),
        ),
        ((goto(Name("pool", "homes")),), (goto(Name("pool_homes")),)),
        ((set_mark(lookup(IP_SADDR, Name("a", "b"))),), (set_mark(lookup(IP_SADDR, Name("a_b"))),)),
    ],
)
def test_what_is_one_rule_to_the_kernel_is_one(
    one: tuple[Statement, ...], other: tuple[Statement, ...]
) -> None:
    assert of_rule(*one) == of_rule(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((match(CT_STATUS, "snat"),), (Match(CT_STATUS, keys([16])),)),
        ((match(Bitwise(META_MARK, 0xF0), 0x10),), (match(META_MARK, Range(0x10, 0x1F)),)),
        ((match(META_MARK, 1), COUNT, DROP), (COUNT, match(META_MARK, 1), DROP)),
        (
            (match(Numgen("inc", 4), 0), match(META_MARK, 1)),
            (match(META_MARK, 1), match(Numgen("inc", 4), 0)),
        ),
        ((TCP_ONLY, match(TH_DPORT, 80)), (UDP_ONLY, match(TH_DPORT, 80))),
        ((match(TCP_PORT, 80),), (match(TH_DPORT, 80),)),
        ((TCP_ONLY, COUNT, match(TH_DPORT, 80)), (COUNT, match(TCP_PORT, 80))),
        ((match(L4PROTO, "tcp", "udp"), match(TH_DPORT, 80)), (match(TCP_PORT, 80),)),
        ((vmap(META_MARK, ((1, DROP), (2, DROP))),), (vmap(META_MARK, ((Range(1, 2), ACCEPT),)),)),
    ],
)
def test_what_is_another_rule_stays_another(one: tuple[Statement, ...], other: tuple[Statement, ...]) -> None:
    assert of_rule(*one) != of_rule(*other)


def test_no_two_rules_of_the_vocabulary_are_taken_for_each_other() -> None:
    written = {rule_text(rule.statements) for chain in CHAINS for rule in chain.rules}
    chains = [one for one in normal(TABLE).objects if isinstance(one, Chain)]

    assert len({rule.statements for chain in chains for rule in chain.rules}) == len(written)


def test_a_normal_form_is_its_own() -> None:
    assert normal(normal(TABLE)) == normal(TABLE)


def test_a_comment_that_says_what_the_chain_says_is_none() -> None:
    path = ("pools", "homes")
    chain = Chain(Name("c"), (Rule((DROP,), path), Rule((DROP,), path, "note")), path)
    bare = Chain(Name("c"), (Rule((DROP,), ()), Rule((DROP,), (), "note")), ())

    assert of_object(chain) == bare


def test_elements_that_packets_write_are_not_of_the_table() -> None:
    element = (Element((Range(5, 5),)),)
    kept = of_object(Set(Name("s"), ("mark",), ("pools",), element))
    timed = of_object(Set(Name("s"), ("mark",), ("pools",), element, ("timeout",), 30))
    rule = Rule((add(Name("s"), META_MARK),), ())
    written = normal(
        Table("t", (Set(Name("s"), ("mark",), (), element, ("dynamic",)), Chain(Name("c"), (rule,), ())))
    ).objects[1]

    assert kept.elements == element
    assert timed.elements == ()
    assert isinstance(written, Set)
    assert (written.elements, written.flags, written.size) == ((), ("dynamic",), 65535)


def test_neighbours_in_a_set_are_one_range_and_in_a_map_are_two() -> None:
    parts = (Element((Range(8, 15),), (Range(1, 1),)), Element((Range(0, 7),), (Range(1, 1),)))
    numbers = tuple(Element(one.key) for one in parts)

    assert of_object(Set(Name("s"), ("ipv4_addr",), (), numbers, ("interval",))).elements == keys(
        [Range(0, 15)]
    )
    assert of_object(Map(Name("m"), ("mark",), ("mark",), (), parts)).elements == parts[::-1]


def test_interval_data_are_told_by_elements_that_show_them() -> None:
    def of(*data: Range) -> bool:
        types = ("ipv4_addr", "inet_service")[: len(data)]
        elements = (Element((Range(1, 1),), data),) if data else ()
        return bool(of_object(Map(Name("m"), ("mark",), types, (), elements, interval=True)).interval)

    assert of(Range(1, 1))
    assert of(Range(1, 1), Range(1, 2))
    assert not of(Range(1, 1), Range(1, 1))
    assert not of()


def test_objects_have_one_order_and_defaults_are_written() -> None:
    objects = (
        CtTimeout(Name("u"), "udp", (("unreplied", 5),), ("pools",)),
        Flowtable(Name("f"), ("b", "a"), ("nat_defaults",)),
        Counter(Name("c"), ("pools",)),
    )

    assert normal(Table("t", objects, ("a remark",))) == Table(
        "t",
        (
            Counter(Name("c"), ()),
            CtTimeout(Name("u"), "udp", (("replied", 120), ("unreplied", 5)), ()),
            Flowtable(Name("f"), ("a", "b"), ()),
        ),
    )
