"""A rule asks what costs little before what costs much, and never what depends on another match before it."""

from nfcompile.emit import Chain, Rule
from nfcompile.emit.expressions import Field, Name, Numgen
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
