"""A rule asks what costs little before what costs much, and never what depends on another match before it."""

from nfcompile.emit import Chain, Hook, Rule, Set
from nfcompile.emit.expressions import Element, Field, Name, Numgen
from nfcompile.emit.statements import (
    CT_STATUS,
    DROP,
    IIFNAME,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    OIFNAME,
    TH_DPORT,
    concat,
    counter,
    match,
    unlike,
)
from nfcompile.lower.cheapest_first import cheapest_first
from nfcompile.model.ranges import Range

ONE, MANY = Range(1 << 24, (1 << 24) + 255), Name("global_addresses")


def ordered(*statements):
    (chain,) = cheapest_first([Chain(Name("c"), (Rule(statements, ()),), ())])
    return list(chain.rules[0].statements)


def test_an_address_then_the_connection_then_interfaces_then_sets_then_routes():
    inside, both, dnat = match(IIFNAME, "lan0"), match(OIFNAME, "wan0", "wan1"), match(CT_STATUS, "dnat")
    route, address = match(Field("fib saddr oifname"), "wan0"), match(IP_DADDR, ONE)
    known, tuple_ = match(IP_SADDR, MANY), match(Field("ct original ip daddr"), ONE)

    found = ordered(route, both, known, inside, tuple_, dnat, address, counter(Name("n")), DROP)

    assert found == [address, dnat, inside, tuple_, both, known, route, counter(Name("n")), DROP]


def test_a_negation_costs_what_the_match_costs():
    assert ordered(match(IIFNAME, "lan0"), unlike(IP_DADDR, ONE)) == [
        unlike(IP_DADDR, ONE),
        match(IIFNAME, "lan0"),
    ]


def test_what_counts_packets_stays_behind_all_others_and_ports_behind_their_protocol():
    sixteenth, ports = match(Numgen("inc", 16), 0), match(TH_DPORT, Range(53, 53))
    protocols, pair = match(L4PROTO, "tcp", "udp"), match(concat(IP_SADDR, IP_DADDR), MANY)

    assert ordered(sixteenth, protocols, ports) == [protocols, ports, sixteenth]
    assert ordered(pair, match(IIFNAME, "lan0")) == [match(IIFNAME, "lan0"), pair]


def test_what_follows_a_statement_that_is_no_match_is_left_alone():
    done = counter(Name("n"))
    assert ordered(match(IIFNAME, "lan0"), done, match(OIFNAME, "wan0"), match(IP_DADDR, ONE), DROP) == [
        match(IIFNAME, "lan0"),
        done,
        match(OIFNAME, "wan0"),
        match(IP_DADDR, ONE),
        DROP,
    ]


def in_base_chain(*statements, hook="prerouting", addresses=(), flags=("interval",)):
    elements = tuple(Element((one,)) for one in addresses)
    known = Set(MANY, ("ipv4_addr",), (), elements, flags)
    chain = Chain(Name("c"), (Rule(statements, ()),), (), Hook("nat", hook, "dstnat"))
    return list(cheapest_first([known, chain])[1].rules[0].statements)


APART = Range(0x0A000010, 0x0A00001F), Range(0x0A000030, 0x0A000037)
AROUND = Range(0x0A000000, 0x0A00003F)


def test_a_base_chain_asks_for_the_prefix_around_a_set_before_it_looks_an_address_up():
    inside, known = match(IIFNAME, "lan0", "wan0"), match(IP_DADDR, MANY)

    found = in_base_chain(inside, known, DROP, addresses=APART)

    assert found == [match(IP_DADDR, AROUND), inside, known, DROP]


def test_the_prefix_holds_every_address_of_the_set_and_no_smaller_one_does():
    (first, *_) = in_base_chain(match(IP_SADDR, MANY), DROP, addresses=APART)
    assert first == match(IP_SADDR, AROUND)

    across = Range(0x7FFFFFFF, 0x7FFFFFFF), Range(0x80000000, 0x80000000)
    assert in_base_chain(match(IP_SADDR, MANY), DROP, addresses=across) == [match(IP_SADDR, MANY), DROP]


def test_two_comparisons_with_a_range_come_behind_the_one_with_its_prefix():
    some, block = (
        match(IP_SADDR, Range(0x0A000011, 0x0A00001E)),
        match(IP_SADDR, Range(0x0A000010, 0x0A00001F)),
    )

    assert in_base_chain(some, DROP) == [block, some, DROP]
    assert in_base_chain(block, DROP) == [block, DROP]


def test_no_prefix_where_it_would_be_wrong_or_tell_nothing():
    known = match(IP_DADDR, MANY)
    negated, both = unlike(IP_DADDR, MANY), match(concat(IIFNAME, IP_DADDR), MANY)

    assert in_base_chain(known, DROP, addresses=APART, flags=("dynamic",)) == [known, DROP]
    assert in_base_chain(known, DROP) == [known, DROP]
    assert in_base_chain(negated, DROP, addresses=APART) == [negated, DROP]
    assert in_base_chain(both, DROP, addresses=APART) == [both, DROP]
    assert in_base_chain(known, DROP, addresses=APART, hook="forward") == [known, DROP]
    assert ordered(match(IP_SADDR, Range(0x0A000011, 0x0A00001E)), DROP) == [
        match(IP_SADDR, Range(0x0A000011, 0x0A00001E)),
        DROP,
    ]
