"""What random sites and packets have found, each as a table; and what the kernel does with ports 0 and 65535.

`test_vlans.py` has one more: a packet that nobody wants and the mark of a VLAN.
"""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import SYN, TCP, UDP, Packet
from support.lab import Lab
from support.packet_table import check
from support.sites import site

INSIDERS = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
pools:
  servers: {type: static, priority: 1, hairpin: on, global_map: {10.1.0.17: 200.1.1.9, 10.1.0.21: 200.1.1.2}}
"""


def test_an_snat_rule_that_names_an_inside_interface_comes_before_hairpin(lab: Lab) -> None:
    """What goes out there has the rule's address, whatever it asked for; elsewhere the pool's."""
    check(
        lab,
        site(INSIDERS + "snat: {there: {interface: lan1, snat_ip: 203.1.0.1}}"),
        """
        udp 10.1.0.17:5000 > 200.1.1.2:443        -> from 203.1.0.1:5000 to 10.1.0.21
        253 10.1.0.17 > 200.1.1.2                 -> from 203.1.0.1 to 10.1.0.21
        udp 10.1.0.17:5000 > 198.18.0.1:443       -> pool servers
        udp@lan1 10.0.0.1:5001 > 10.1.0.21:443    -> from 203.1.0.1:5001
        """,
    )


DNAT_INSIDE = """
interfaces: {inside: [lan0], outside: [wan0]}
acls: {homes: {10: allow ip 10.0.0.0/26}, others: {10: allow ip 10.1.0.0/26}}
pools:
  homes: {type: nat, allocation: deterministic, priority: 1, acl: homes, hairpin: on,
          global_ip: [203.0.1.0/26]}
  others: {type: nat, allocation: deterministic, priority: 2, acl: others, hairpin: off,
           global_ip: [203.0.2.0/26]}
dnat: {here: {mark: 1, dst_port: 443, protocol: tcp, dnat_ip: 10.0.0.5}}
"""


def test_a_dnat_rule_that_leads_a_global_address_inside_is_hairpin(lab: Lab) -> None:
    """The session asked for a global address and comes back inside: the pool translates, or refuses."""
    check(
        lab,
        site(DNAT_INSIDE),
        """
        tcp 10.0.0.9:5000 > 203.0.1.44:443        -> pool homes to 10.0.0.5
        tcp@lan0 10.1.0.9:5000 > 203.0.1.44:443   -> drop            # its pool has no hairpin
        tcp 10.0.0.9:5001 > 198.18.0.1:443        -> to 10.0.0.5     # that was no global address
        tcp 10.0.0.9:5001 > 203.0.1.44:444        -> pool homes to 10.0.0.44
        """,
    )


ENDS = """
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls:
  block: {10: allow ip 10.0.0.0/28}
  ports: {10: allow udp src net 10.0.0.16/28 dport 1-65535, 20: allow tcp src net 10.0.0.16/28 dport 65535}
pools:
  servers: {type: static, priority: 1, global_map: {10.1.0.17: 200.1.1.9}}
  block: {type: cgnat, acl: block, priority: 2, hairpin: off, global_ip: [203.0.113.0/30],
          port_range: 65024-65535, limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}}
  ports: {type: nat, allocation: deterministic, acl: ports, priority: 3, subscribers: [10.0.0.16/28],
          global_ip: [203.0.114.0/28]}
"""
LAST = 65535


@pytest.mark.parametrize(
    ("protocol", "source", "sport", "dport", "leaves", "first", "last"),
    [
        # The ports of the block, whatever the source port is; one that lies in it is kept.
        (UDP, "10.0.0.0", 0, 53, "203.0.113.0", 65024, 65151),
        (TCP, "10.0.0.0", 0, 0, "203.0.113.0", 65024, 65151),
        (UDP, "10.0.0.15", LAST, 53, "203.0.113.3", LAST, LAST),
        (TCP, "10.0.0.0", LAST, LAST, "203.0.113.0", 65024, 65151),
        # An address without ports: they stay, 0 too.
        (UDP, "10.1.0.17", 0, 53, "200.1.1.9", 0, 0),
        (TCP, "10.1.0.17", LAST, 0, "200.1.1.9", LAST, LAST),
        # Port 0 is outside of 1-65535.
        (UDP, "10.0.0.16", 0, 1, "203.0.114.0", 0, 0),
        (UDP, "10.0.0.16", 7, LAST, "203.0.114.0", 7, 7),
        (UDP, "10.0.0.16", 8, 0, "10.0.0.16", 8, 8),
        (TCP, "10.0.0.31", 0, LAST, "203.0.114.15", 0, 0),
        (TCP, "10.0.0.31", 0, LAST - 1, "10.0.0.31", 0, 0),
    ],
)
def test_the_first_and_the_last_port(
    lab: Lab, protocol: int, source: str, sport: int, dport: int, leaves: str, first: int, last: int
) -> None:
    lab.load(site(ENDS).text.text)
    packet = Packet(protocol, address(source), sport, address("198.18.0.1"), dport, SYN * (protocol == TCP))

    (outcome,) = lab.exchange([("lan0", packet)])

    (seen,) = outcome.out
    assert (seen.packet.source, seen.packet.destination_port) == (address(leaves), dport)
    assert first <= seen.packet.source_port <= last
    assert [one.packet[1:5] for one in outcome.back] == [(packet.destination, dport, packet.source, sport)]


@pytest.mark.parametrize("dport", [0, 1, LAST])
def test_the_outside_reaches_the_first_and_the_last_port(lab: Lab, dport: int) -> None:
    lab.load(site(ENDS).text.text)
    knocks = [
        ("wan0", Packet(protocol, address("198.18.0.1"), sport, address("200.1.1.9"), dport, flags))
        for protocol, flags in ((UDP, 0), (TCP, SYN))
        for sport in (0, 1, LAST)
    ]

    outcomes = lab.exchange(knocks)

    assert all(outcome.out[0].packet[3:5] == (address("10.1.0.17"), dport) for outcome in outcomes)
    assert all(outcome.back[0].packet[1:3] == (address("200.1.1.9"), dport) for outcome in outcomes)


SAME_PORT = """
interfaces: {inside: [lan0], outside: [wan0]}
acls: {homes: {10: allow ip 10.0.0.0/26}}
pools:
  homes: {type: nat, allocation: deterministic, priority: 1, acl: homes, global_ip: [203.0.1.0/26]}
dnat: {web: {protocol: tcp, dnat_port: 443}}
"""


def test_a_dnat_rule_that_changes_nothing_has_taken_the_packet(lab: Lab) -> None:
    """It leads to port 443 whatever was asked for, port 443 too: no pool looks at the destination again."""
    check(
        lab,
        site(SAME_PORT),
        """
        tcp 10.0.0.9:5000 > 203.0.1.44:443        -> drop
        tcp 10.0.0.9:5000 > 203.0.1.44:444        -> drop
        udp 10.0.0.9:5000 > 203.0.1.44:443        -> pool homes to 10.0.0.44
        """,
    )
