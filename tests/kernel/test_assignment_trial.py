"""Assignments that nothing has answered live as long as a trial; what one inside host can take is bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from nfcompile.lower.tokens import UNANSWERED
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.dynamic_pools import FAR, FAR2, expires
from support.frames import ECHO, ICMP, SYN, TCP, UDP, UNREACHABLE, Packet, datagram
from support.lab import Lab
from support.lifetimes import forget_tokens
from support.sites import site
from support.waiting import until
from support.wires import route

POOL = """
nat_defaults: {assignment_trial: TRIAL}
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29], allocation: dynamic,
          port_range: 1024-9215, hairpin: HAIRPIN, limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}
snat: {unused: {mark: 10, src_cidr: 192.168.9.0/24, snat_ip: 203.0.113.100}}
"""
LINES = """
acls: {lines: {10: allow ip 100.64.0.0/24}}
pools: {lines: {type: nat, acl: lines, priority: 100, global_ip: [203.0.113.0/29]}}
"""
DAY, TRIAL, PATIENCE = 86400, 30, 60
ENTRIES = "eim_homes", "eif_homes"
HOST = address("100.64.0.9")


def loaded(lab: Lab, trial: int = TRIAL, hairpin: str = "on") -> None:
    lab.load(site(POOL.replace("TRIAL", str(trial)).replace("HAIRPIN", hairpin)).text.text)


def out(port: int = 5000, far: int = FAR, source: int = HOST, protocol: int = UDP) -> tuple[str, Packet]:
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    return route(source), Packet(protocol, source, port, far, 0 if protocol == ICMP else 443, flags)


def leaves(lab: Lab, *packets: tuple[str, Packet]) -> list[bool]:
    """Whether each reaches the outside; nothing answers."""
    return [any(seen.wire == "wan0" for seen in places) for places in lab.flight(packets)]


def members(lab: Lab, name: str, kind: str = "set") -> int:
    listed = lab.must("nft", "list", kind, "ip", "nfcompile", name)
    return listed.partition("elements")[2].count("expires")


def lives(lab: Lab) -> list[int]:
    """Seconds that each mapping entry has left."""
    listed = (lab.must("nft", "-j", "list", "map", "ip", "nfcompile", one) for one in ENTRIES)
    return [int(one) for each in listed for one in re.findall(r'"expires": (\d+)', each)]


def counted(lab: Lab, word: str) -> int:
    listed = lab.must("nft", "list", "counter", "ip", "nfcompile", f"{word}_count_homes")
    return int(re.findall(r"packets (\d+)", listed)[0])


def marks(lab: Lab) -> list[int]:
    return [int(one) for one in re.findall(r"mark=(\d+)", lab.must("conntrack", "-L"))]


def spoofed(count: int, first: int = 0) -> Iterator[tuple[str, Packet]]:
    return (out(source=address("100.64.16.0") + first + n) for n in range(count))


@pytest.mark.parametrize("hairpin", ["on", "off"])
@pytest.mark.parametrize("protocol", [UDP, TCP, ICMP], ids=["udp", "tcp", "icmp"])
def test_the_first_answer_ends_the_trial(lab: Lab, hairpin: str, protocol: int) -> None:
    loaded(lab, hairpin=hairpin)
    assert leaves(lab, out(protocol=protocol)) == [True]
    assert expires(lab, "map", "ontrial1_homes") <= TRIAL
    assert marks(lab) == [UNANSWERED]

    lab.exchange([out(protocol=protocol)])

    assert expires(lab, "map", "assigned1_homes") > DAY - 100
    assert expires(lab, "set", "taken_homes") > DAY
    assert members(lab, "ontrial1_homes", "map") == 0
    assert marks(lab) != [UNANSWERED]


@pytest.mark.parametrize("hairpin", ["on", "off"])
def test_an_answer_within_two_seconds_keeps_the_mapping(lab: Lab, hairpin: str) -> None:
    """RFC 4787 REQ-5: the kernel takes such a connection for no stream and ends it with the trial, not the
    assignment; and the mapping entry, where there is one, leads the next packet to the same port."""
    loaded(lab, trial=3, hairpin=hairpin)
    (first,) = lab.exchange([out()])
    until(lambda: not marks(lab))

    (again,) = lab.exchange([out()])
    before, after = (one.out[0].packet for one in (first, again))
    assert expires(lab, "map", "assigned1_homes") > DAY - 100
    assert after.source == before.source
    assert (after.source_port - 1024) // 128 == (before.source_port - 1024) // 128
    if hairpin == "on":
        assert after.source_port == before.source_port
        assert expires(lab, "map", "eim_homes") > 120


@pytest.mark.parametrize("hairpin", ["on", "off"])
def test_nothing_that_the_subscriber_sends_ends_it(lab: Lab, hairpin: str) -> None:
    """Other sockets, the same one, more packets of a connection, with tokens old and young; nor errors."""
    loaded(lab, hairpin=hairpin)
    assert all(
        leaves(lab, out(), out(), out(far=FAR2), out(6000), out(7000, protocol=TCP), out(protocol=ICMP))
    )
    assert expires(lab, "map", "ontrial1_homes") <= TRIAL, "after a new connection"
    assert expires(lab, "set", "taken_homes") <= TRIAL + 10
    forget_tokens(lab)
    assert all(leaves(lab, out(), out(6000), out(8000)))
    (seen,) = lab.flight([out()])
    error = Packet(
        ICMP,
        address("198.18.0.77"),
        0,
        seen[0].packet.source,
        0,
        UNREACHABLE,
        quoted=datagram(seen[0].packet),
    )
    lab.flight([("wan0", error)])

    assert members(lab, "assigned1_homes", "map") == 0
    assert expires(lab, "map", "ontrial1_homes") <= TRIAL
    assert expires(lab, "set", "taken_homes") <= TRIAL + 10
    assert hairpin == "off" or max(lives(lab)) <= TRIAL


def test_connections_of_before_an_answer_count_after_it(lab: Lab) -> None:
    """One connection is answered; packets of another one renew for the full time, and it takes a token."""
    loaded(lab)
    assert leaves(lab, out(6000)) == [True]
    lab.exchange([out()])
    assert marks(lab).count(UNANSWERED) == 1
    assert leaves(lab, out(6000)) == [True]
    assert UNANSWERED not in marks(lab)
    assert expires(lab, "map", "assigned1_homes") > DAY - 100


def test_an_answer_to_a_connection_with_a_mark_of_the_operator(lab: Lab) -> None:
    loaded(lab)
    marked = route(HOST), Packet(TCP, HOST, 5000, FAR, 8001, SYN)
    assert leaves(lab, marked) == [True]
    assert expires(lab, "map", "ontrial1_homes") <= TRIAL
    lab.exchange([marked])
    assert marks(lab) == [10]
    assert expires(lab, "map", "assigned1_homes") > DAY - 100
    assert min(lives(lab)) > TRIAL


def test_entries_of_connections_with_a_mark_of_the_operator_end_with_the_trial(lab: Lab) -> None:
    """Such a mark does not say that the subscriber is on trial, and only one packet of 16 renews."""
    loaded(lab)
    sockets = [(route(HOST), Packet(TCP, HOST, port, FAR, 8001, SYN)) for port in range(5000, 5003)]
    assert all(leaves(lab, *sockets))
    assert marks(lab) == [10] * 3
    assert len(lives(lab)) == 6
    assert max(lives(lab)) <= TRIAL


@pytest.mark.parametrize(("protocol", "seconds"), [(TCP, 3600), (UDP, 60)], ids=["tcp", "udp"])
def test_a_new_socket_of_who_has_been_answered_lives_its_full_time(
    lab: Lab, protocol: int, seconds: int
) -> None:
    """Where the protocols differ, each its own; one that nothing answers, too."""
    times = "timeouts_inactivity: {tcp_active: 3600, udp: 60}, type: cgnat"
    lab.load(
        site(POOL.replace("TRIAL", "3").replace("HAIRPIN", "on").replace("type: cgnat", times)).text.text
    )
    lab.exchange([out(protocol=protocol)])
    for entries in ENTRIES:
        lab.must("nft", "flush", "map", "ip", "nfcompile", entries)
    assert leaves(lab, out(6000, protocol=protocol)) == [True]
    assert len(lives(lab)) == 2
    assert all(seconds <= one <= seconds + 30 for one in lives(lab))


LED = """
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29], allocation: dynamic}
dnat: {web: {src_cidr: 100.64.0.0/16, dst_cidr: 203.0.113.1, dnat_ip: 198.18.0.7}}
"""


def test_the_first_packet_of_a_subscriber_that_a_rule_leads_elsewhere(lab: Lab) -> None:
    """The other end has no block, so no trial is over; all packets of a subscriber on trial were dropped."""
    lab.load(site(LED).text.text)
    global_address = address("203.0.113.1")

    seen = lab.flight([out(port=5000 + n, far=global_address) for n in range(3)])

    assert [one[0].packet.destination for one in seen if one] == [address("198.18.0.7")] * 3
    assert counted(lab, "trial_over") == 0


def test_nothing_leaves_from_a_block_that_is_free_again(lab: Lab) -> None:
    """A connection that outlives the trial, as ICMP can: its packets are dropped and counted, and a new
    connection gets another block."""
    loaded(lab)
    assert leaves(lab, out(protocol=ICMP)) == [True]
    for kind, name in (("map", "ontrial1_homes"), ("set", "asking1_homes")):
        lab.must("nft", "flush", kind, "ip", "nfcompile", name)
    assert leaves(lab, out(protocol=ICMP)) == [False]
    assert counted(lab, "trial_over") == 1
    assert leaves(lab, out(5001)) == [True]


def test_whose_an_address_is_ends_with_the_trial(lab: Lab) -> None:
    lab.load(site(LINES).text.text)
    assert leaves(lab, out()) == [True]
    assert expires(lab, "map", "owners_lines") <= TRIAL
    lab.exchange([out()])
    assert expires(lab, "map", "owners_lines") > DAY - 100


@pytest.mark.parametrize("answered", [False, True])
def test_what_nft_lists_can_be_read_again(lab: Lab, answered: bool) -> None:
    for text in (POOL.replace("TRIAL", "30").replace("HAIRPIN", "on"), LINES):
        lab.load(site(text).text.text)
        _ = lab.exchange([out()]) if answered else lab.flight([out()])
        lab.reload("flush ruleset\n" + lab.must("nft", "list", "ruleset"))


def test_two_thousand_made_up_sources(lab: Lab) -> None:
    """The attack: they get less than the pool, the subscriber that was there keeps its block, one that comes
    in between is served, and all is free again soon after."""
    loaded(lab, trial=2)
    lab.exchange([out()])
    taken = 512
    reached = leaves(lab, *spoofed(2000))
    assert taken // 2 - 1 <= sum(reached) < taken - 1, "half of the pool at once, less the subscriber's own"
    assert counted(lab, "rate") >= 2000 - taken
    assert counted(lab, "exhausted") == 0

    end = time.monotonic() + PATIENCE
    late = out(source=address("100.64.0.77"))
    while not leaves(lab, *spoofed(8, 4000), late)[-1]:
        assert time.monotonic() < end, "no room within the rate"
    lab.exchange([late])
    end = time.monotonic() + PATIENCE
    while members(lab, "taken_homes") > 2:
        assert time.monotonic() < end, lab.must("nft", "list", "set", "ip", "nfcompile", "taken_homes")
        time.sleep(0.2)
    held = lab.must("nft", "list", "map", "ip", "nfcompile", "assigned1_homes")
    assert {address_text(HOST), "100.64.0.77"} == set(re.findall(r"100\.64\.[\d.]+", held))


def test_one_interface_leaves_room_for_another(lab: Lab) -> None:
    loaded(lab)
    assert not all(leaves(lab, *spoofed(300)))
    elsewhere = "lan1", Packet(UDP, address("100.64.200.1"), 5000, FAR, 443)
    assert leaves(lab, elsewhere) == [True]


FURTHER = POOL.replace("homes: {type", "homes: {port_block_size: 8, type").replace(": 128", ": 16")
"""Blocks of eight ports, two of them each."""


def sockets(first: int, count: int) -> list[tuple[str, Packet]]:
    return [out(first + n) for n in range(count)]


def held(lab: Lab) -> dict[str, int]:
    """How many numbers each map of the pool has."""
    names = ("ontrial1_homes", "ontrial2_homes", "assigned1_homes", "assigned2_homes")
    return {name.removesuffix("_homes"): members(lab, name, "map") for name in names}


def test_further_blocks_are_on_trial_with_the_first_and_move_with_it(lab: Lab) -> None:
    lab.load(site(FURTHER.replace("TRIAL", "30").replace("HAIRPIN", "off")).text.text)
    assert all(leaves(lab, *sockets(5000, 12)))
    assert held(lab) == {"ontrial1": 1, "ontrial2": 1, "assigned1": 0, "assigned2": 0}
    lab.exchange([out(5000)])
    assert leaves(lab, out(5001)) == [True]
    assert held(lab) == {"ontrial1": 0, "ontrial2": 0, "assigned1": 1, "assigned2": 1}
    assert expires(lab, "set", "taken_homes") > DAY


def test_who_has_been_answered_gets_further_blocks_for_the_full_time(lab: Lab) -> None:
    lab.load(site(FURTHER.replace("TRIAL", "30").replace("HAIRPIN", "off")).text.text)
    lab.exchange([out(5000)])
    assert all(leaves(lab, *sockets(6000, 12)))
    assert held(lab) == {"ontrial1": 0, "ontrial2": 0, "assigned1": 1, "assigned2": 1}


def test_a_move_at_the_same_instant_counts(lab: Lab) -> None:
    """As if another CPU had moved the number between two look-ups: the first is taken out of the rules."""
    text = site(POOL.replace("TRIAL", str(TRIAL)).replace("HAIRPIN", "off")).text.text
    first = "\t\tmeta mark set ip saddr map @assigned1_homes goto known1_homes\n"
    begin, _, rest = text.partition("\tchain slot1_homes {\n")
    assert first in rest
    lab.load(begin + "\tchain slot1_homes {\n" + rest.replace(first, "", 1))
    assert leaves(lab, out()) == [True]
    number = re.findall(r" : (0x\w+)", lab.must("nft", "list", "map", "ip", "nfcompile", "ontrial1_homes"))
    element = f"{{ {address_text(HOST)} : {number[0]} }}"
    lab.must("nft", "add", "element", "ip", "nfcompile", "assigned1_homes", element)

    assert leaves(lab, out(6000)) == [True]

    assert expires(lab, "set", "taken_homes") > DAY
    assert (members(lab, "ontrial1_homes", "map"), members(lab, "assigned1_homes", "map")) == (0, 1)
    assert marks(lab).count(UNANSWERED) == 1
