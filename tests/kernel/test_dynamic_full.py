"""Dynamic pools with little room, or none: the last free block is found, and whoever gets none is told."""

from __future__ import annotations

import re

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.dynamic_pools import BLOCKS as BLOCKS_OF_8
from support.dynamic_pools import FAR, block, dynamic, home, send
from support.frames import ECHO, GRE, ICMP, SYN, TCP, UDP, UNREACHABLE, Packet
from support.lab import Lab
from support.sites import site

MANY = """
nat_defaults: {port_block_size: 8, assignment_trial: 86400}
acls: {homes: {10: allow ip 100.64.0.0/23}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/30]
    port_range: 1024-1535
    hairpin: off
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
"""
BLOCKS = 256
"""Of that pool; a first search looks at 64 of them."""


def test_the_last_free_block_is_found_at_once(lab: Lab) -> None:
    """All are taken but one, which is far from where the search begins, and at which somebody has looked."""
    lab.load(site(MANY).text.text)
    assert all(send(lab, UDP, [(home(n), 5000) for n in range(BLOCKS)]))
    lab.must("nft", "flush", "set", "ip", "nfcompile", "claimed_homes")  # ten seconds later
    assert send(lab, UDP, [(home(400), 5000)]) == [None], "or there would be more than one"
    one = home(150)
    listed = lab.must("nft", "list", "map", "ip", "nfcompile", "assigned1_homes")
    (number,) = re.findall(rf"{re.escape(address_text(one))} [^,]*: (0x\w+)", listed)
    (was,) = send(lab, UDP, [(one, 5000)])
    lab.must("nft", "delete", "element", "ip", "nfcompile", "assigned1_homes", f"{{ {address_text(one)} }}")
    lab.must("nft", "delete", "element", "ip", "nfcompile", "taken_homes", f"{{ {number} }}")
    lab.must("conntrack", "-D", "-s", address_text(one))
    (end,) = send(lab, UDP, [(home(401), 6000)])
    assert end
    assert was
    assert (end[0], end[1] // 8) == (was[0], was[1] // 8)


def test_each_protocol_has_as_many_blocks_as_its_limit_says(lab: Lab) -> None:
    """tcp three, udp two of them, however many it asks for."""
    text = BLOCKS_OF_8.replace("TCP", "24").replace("HAIRPIN", "off")
    lab.load(site(text.replace("portlimit_udp: 8", "portlimit_udp: 16")).text.text)
    for protocol, ports in ((TCP, 24), (UDP, 16)):
        ends = send(lab, protocol, [(home(1), 20000 + n) for n in range(40)])
        assert sum(end is not None for end in ends) == ports
        assert len({block(end) for end in ends if end}) == ports // 8
    taken = lab.must("nft", "list", "set", "ip", "nfcompile", "taken_homes")
    assert taken.count(" expires ") == 3, "what is found is the end of the search"


def refused_second(lab: Lab, *packets: Packet) -> None:
    """Each is dropped the first time and refused with an ICMP error the second time."""
    for packet in packets:
        first, again = lab.flight([("lan0", packet), ("lan0", packet)])
        assert not first, packet
        assert [(seen.wire, seen.packet.protocol, seen.packet.flags) for seen in again] == [
            ("lan0", ICMP, UNREACHABLE)
        ], packet


def test_every_protocol_is_told_that_there_is_no_block(lab: Lab) -> None:
    lab.load(dynamic())
    send(lab, UDP, [(home(n), 5000) for n in range(64)])
    refused_second(
        lab,
        Packet(TCP, home(80), 5000, FAR, 443, SYN),
        Packet(UDP, home(81), 5000, FAR, 53),
        Packet(ICMP, home(82), 7, FAR, 0, ECHO),
        Packet(GRE, home(83), 0, FAR, 0),
    )


def test_a_second_destination_is_told_at_once_too(lab: Lab) -> None:
    """Each packet of a subscriber without a block searches one: none is counted as waiting for a search that
    has ended without a block."""
    lab.load(dynamic())
    send(lab, UDP, [(home(n), 5000) for n in range(64)])
    refused_second(lab, *(Packet(UDP, home(80), 5000, FAR + n, 53) for n in range(3)))
    counters = lab.must("nft", "list", "counters", "table", "ip", "nfcompile")
    found = dict(re.findall(r"counter (\w+)_count_homes \{\s*packets (\d+)", counters))
    assert found["waiting"] == "0"
    assert found["exhausted"] == "3"


def test_who_asked_for_what_a_rule_sends_elsewhere_is_told(lab: Lab) -> None:
    """Refused is what the subscriber sends, not what a `dnat` rule makes of it."""
    rule = "dnat: {web: {protocol: tcp, dst_port: 8001, dnat_ip: 198.18.0.99, dnat_port: 80}}\n"
    pool = """
acls: {lines: {10: allow ip 100.64.0.0/24}}
pools: {lines: {type: nat, acl: lines, priority: 1, global_ip: [203.0.113.1]}}
"""
    lab.load(site(rule + pool).text.text)
    assert all(send(lab, UDP, [(home(1), 5000)]))
    refused_second(lab, Packet(TCP, home(2), 5000, address("198.18.0.1"), 8001, SYN))
