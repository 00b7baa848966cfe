"""Dynamic pools: blocks and addresses on demand, exclusive, sticky, filled equally; then a drop."""

from __future__ import annotations

import time
from collections import Counter

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.dynamic_pools import BLOCKS, FAR, FAR2, SHORT, block, dynamic, expires, home, send
from support.frames import ICMP, SYN, TCP, UDP, UNREACHABLE, Packet
from support.lab import Lab
from support.lifetimes import RENEWED, age, forget_tokens
from support.sites import site
from support.wires import route

ADDRESSES = """
acls: {lines: {10: allow ip 10.0.0.0/24}}
pools:
  lines: {type: nat, acl: lines, priority: 100, global_ip: [203.0.113.0/29], allow_external_connect: EXTERNAL}
"""


def test_exclusive_equal_and_exhausted(lab: Lab) -> None:
    """64 blocks for 80 subscribers: 64 get one each, every address gives 16, the rest is dropped."""
    lab.load(dynamic())
    ends = send(lab, UDP, [(home(n), 5000) for n in range(80)])
    blocks = [block(end) for end in ends if end]

    assert len(blocks) == len(set(blocks)) == 64
    assert set(Counter(a for a, _ in blocks).values()) == {16}
    assert "packets 16" in lab.must("nft", "list", "counter", "ip", "nfcompile", "exhausted_count_homes")


def test_who_gets_no_block_is_told_at_the_second_packet(lab: Lab) -> None:
    """RFC 6888 REQ-11: dropped first, then ICMP admin-prohibited; the others go on."""
    lab.load(dynamic())
    send(lab, UDP, [(home(n), 5000) for n in range(64)])
    late = [("lan0", Packet(TCP, home(80), 5000 + n, FAR, 443, SYN)) for n in range(3)]
    first, *again = lab.flight(late)
    assert not first
    assert [[(s.wire, s.packet.flags) for s in seen] for seen in again] == [[("lan0", UNREACHABLE)]] * 2
    assert all(send(lab, UDP, [(home(n), 5001) for n in range(64)]))


def test_what_another_pool_has_room_for_is_not_refused(lab: Lab) -> None:
    """One address for mail, which somebody has: the others still reach the other ports of that server."""
    text = """
acls:
  mail: {10: allow tcp src net 100.64.0.0/24 dst any dport 25}
  web: {10: allow tcp src net 100.64.0.0/24 dst any dport 443}
pools:
  mail: {type: nat, acl: mail, priority: 1, global_ip: [203.0.113.1]}
  web: {type: cgnat, acl: web, priority: 2, global_ip: [203.0.113.16/28], hairpin: off}
"""
    lab.load(site(text).text.text)
    asked = [(1, 25), (2, 25), (2, 25), (2, 443)]
    packets = [("lan0", Packet(TCP, home(n), 4000 + p, FAR, p, SYN)) for n, p in asked]
    seen = [[(one.wire, one.packet.flags) for one in places] for places in lab.flight(packets)]
    assert seen == [[("wan0", SYN)], [], [("lan0", UNREACHABLE)], [("wan0", SYN)]]


def test_sticky_for_all_protocols(lab: Lab) -> None:
    """Paired pooling (RFC 6888 REQ-2): one block for everything that a subscriber sends."""
    lab.load(dynamic())
    first = [block(end) for end in send(lab, UDP, [(home(n), 5000) for n in range(20)])]
    lab.forget()
    for protocol in (TCP, ICMP, UDP):
        again = send(lab, protocol, [(home(n), 6000) for n in range(20)], FAR2)
        assert [block(end) for end in again] == first
    others = send(lab, 253, [(home(n), 0) for n in range(4)])  # a peer knows only one of them by address
    assert [end[0] for end in others if end] == [a for a, _ in first[:4]]


def test_more_blocks_on_demand(lab: Lab) -> None:
    """portlimit_tcp of 24 is three blocks of 8, taken as they are needed; udp stops after one."""
    for count, expected in ((8, 1), (16, 2), (24, 3), (40, 3)):
        lab.load(dynamic(tcp=24))
        ends = send(lab, TCP, [(home(1), 20000 + n) for n in range(count)])
        assert len({block(end) for end in ends if end}) == expected
        assert len({end[0] for end in ends if end}) == 1, "RFC 6888 REQ-2: all on one address"
    lab.load(dynamic(tcp=24))
    ends = send(lab, TCP, [(home(1), 20000 + n) for n in range(40)])
    assert sum(end is not None for end in ends) == 24
    assert len(set(ends) - {None}) == 24
    ends = send(lab, UDP, [(home(1), 20000 + n) for n in range(40)])
    assert sum(end is not None for end in ends) == 8


def test_a_block_that_was_full_is_used_again(lab: Lab) -> None:
    """Connections that found it full do not count for ever: 24 ports, whichever connections end first."""
    lab.load(dynamic(tcp=24))
    assert all(send(lab, TCP, [(home(1), 20000 + n) for n in range(24)]))
    for n in range(16):  # on a slow machine the last ones have run out by themselves
        lab.run("conntrack", "-D", "-p", "tcp", "--orig-port-src", str(20000 + n))
    for _ in range(30):  # TCP sends its first segment again until it is answered
        again = send(lab, TCP, [(home(1), 30000 + n) for n in range(16)])
        if all(again):
            return
    assert all(again)


def test_a_number_stays_taken_longer_than_its_subscriber(lab: Lab) -> None:
    """Every new connection renews both, or somebody else gets the block that is still in use."""
    lab.load(dynamic())
    send(lab, TCP, [(home(1), 20000)])
    time.sleep(3)
    send(lab, TCP, [(home(1), 20001)])
    assert expires(lab, "set", "taken_homes") - expires(lab, "map", "assigned1_homes") >= 299


def test_a_full_address_never_spills_to_another(lab: Lab) -> None:
    """RFC 7857 section 4: of 16 blocks an address, 15 are somebody's first and one is a second one."""
    lab.load(dynamic(tcp=24))
    first = send(lab, TCP, [(home(n), 20000) for n in range(60)])
    used = Counter(end[0] for end in first if end)
    assert sorted(used.values()) == [15, 15, 15, 15]
    neighbours = [home(n) for n, end in enumerate(first) if end and end[0] == first[0][0]]  # type: ignore[index]
    more = send(lab, TCP, [(source, 20001 + n) for n in range(16) for source in neighbours[:3]])
    ends = {end for end in more if end}
    assert {address for address, _ in ends} == {first[0][0]}  # type: ignore[index]
    assert len({block(end) for end in ends}) == 4, "a block each, and the one that was free"
    assert "packets 0 " not in lab.must("nft", "list", "counter", "ip", "nfcompile", "exhausted_count_homes")


def test_mapping_entries_on_dynamic_blocks(lab: Lab) -> None:
    lab.load(dynamic(hairpin="on"))
    for far in (FAR, FAR2):
        seen = send(lab, UDP, [(home(n), 5000) for n in range(30)], far)
        lab.forget()
        first = seen if far == FAR else first  # noqa: F821
    assert seen == first
    assert None not in seen


def test_whole_addresses(lab: Lab) -> None:
    """A nat pool serves who comes first, keeps ports, and lets the outside in where it may."""
    for external in ("on", "off"):
        lab.load(site(ADDRESSES.replace("EXTERNAL", external)).text.text)
        hosts = [address("10.0.0.1") + n for n in range(12)]
        ends = send(lab, TCP, [(host, 4000 + n) for n, host in enumerate(hosts)])
        got = {host: end for host, end in zip(hosts, ends, strict=True) if end}
        assert len(got) == 8
        assert len({a for a, _ in got.values()}) == 8
        assert [p for _, p in got.values()] == [4000 + n for n, h in enumerate(hosts) if h in got]
        host, (mine, _) = next(iter(got.items()))
        knock = [("wan0", Packet(TCP, FAR2, 999, mine, 22, SYN))]
        (outcome,) = lab.exchange(knock)
        assert bool(outcome.out) == (external == "on")
        if outcome.out:
            assert address_text(outcome.out[0].packet.destination) == address_text(host)


def test_an_idle_connection_keeps_its_block_longer_than_translation(lab: Lab) -> None:
    """It may still speak from it, so nobody else may have it."""
    times = "    timeouts_inactivity: {" + SHORT.replace("udp: 2,", "udp: 900,") + "}\n"
    lab.load(site(BLOCKS.replace("TCP", "8").replace("HAIRPIN", "off") + times).text.text)
    (first,) = send(lab, UDP, [(home(1), 5000)])
    time.sleep(3)
    assert send(lab, UDP, [(home(1), 5000)]) == [first]
    (again,) = send(lab, UDP, [(home(1), 6000)])
    assert block(again) == block(first)


def test_a_running_connection_keeps_its_block(lab: Lab) -> None:
    """`translation` counts from the last packet of any connection, not from the last new connection."""
    lab.load(dynamic())
    (first,) = send(lab, UDP, [(home(1), 5000)])
    forget_tokens(lab)
    age(lab, "map assigned1_homes", "set taken_homes")
    assert send(lab, UDP, [(home(1), 5000)]) == [first]
    assert expires(lab, "map", "assigned1_homes") > RENEWED
    (again,) = send(lab, UDP, [(home(1), 6000)])
    assert block(again) == block(first)


def test_every_block_has_an_address_for_protocols_without_ports(lab: Lab) -> None:
    """Each of 64 subscribers asks a server of its own, for an address has one such session to each."""
    lab.load(dynamic())
    packets = [(route(home(n)), Packet(253, home(n), 0, FAR + n, 0, 0)) for n in range(64)]
    assert all(outcome.out for outcome in lab.exchange(packets))


def test_a_block_of_many_translates_every_protocol(lab: Lab) -> None:
    """More than a thousand blocks of an address: their chains have a rule for each protocol."""
    text = """
nat_defaults: {port_block_size: 8}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 1
    allocation: dynamic
    hairpin: off
    global_ip: [203.0.113.0/29]
    port_range: 1024-16383
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
"""
    lab.load(site(text).text.text)
    subscribers = [(home(n), 5000) for n in range(20)]
    held = [
        [end and (end[0], end[1] // 8) for end in send(lab, protocol, subscribers)]
        for protocol in (UDP, TCP, ICMP)
    ]
    assert held[0] == held[1] == held[2]
    assert None not in held[0]
    assert len(set(held[0])) == 20
