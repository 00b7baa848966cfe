"""`inbound: subscriber`: what comes to a subscriber's block and meets no mapping goes to the subscriber."""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import ACK, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.lifetimes import forget_tokens
from support.packet_table import check
from support.sites import site

SPREAD = """
acls: {a: {10: allow ip 100.64.0.3-100.64.0.14}}
nat_defaults: {port_block_size: 1000}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/30], port_range: 1024-9023,
      inbound: subscriber, hairpin: off,
      limits_peruser: {portlimit_tcp: 2000, portlimit_udp: 1000, portlimit_icmp: 2000}}
"""
BY_ADDRESS = SPREAD.replace("hairpin: off", "hairpin: off, fill: address")
HAIRPIN = SPREAD.replace("hairpin: off", "hairpin: on")
OPEN = SPREAD.replace("hairpin: off", "hairpin: off, filtering: endpoint_independent")
MANY = SPREAD.replace("acls: {", "acls: {none: {10: allow ip 10.99.0.0/30}, ") + "".join(
    f"  more{n}: {{type: cgnat, acl: none, priority: {n}, global_ip: [198.51.100.{n}],"
    " subscribers: [10.99.0.0/30]}\n"
    for n in range(2, 7)
)


@pytest.mark.parametrize(
    "text", [SPREAD, HAIRPIN, OPEN, MANY], ids=("plain", "hairpin", "open", "many pools")
)
def test_the_block_leads_to_its_subscriber(lab: Lab, text: str) -> None:
    """Twelve subscribers on four addresses, of which the first has the address with its low bits."""
    check(
        lab,
        site(text),
        """
        tcp@wan0 198.18.0.1:99 > 203.0.113.3:1024      -> to 100.64.0.3
        tcp@wan0 198.18.0.1:99 > 203.0.113.3:3023      -> to 100.64.0.3
        udp@wan0 198.18.0.1:99 > 203.0.113.3:2023      -> to 100.64.0.3
        udp@wan0 198.18.0.1:98 > 203.0.113.3:2024      -> drop           # beyond the limit of udp
        tcp@wan0 198.18.0.1:99 > 203.0.113.0:1024      -> to 100.64.0.4
        tcp@wan0 198.18.0.1:99 > 203.0.113.2:5024      -> to 100.64.0.14
        udp@wan0 198.18.0.1:99 > 203.0.113.3:7024      -> drop           # nobody's block
        udp@wan0 198.18.0.1:97 > 203.0.113.3:1023      -> drop
        udp@wan0 198.18.0.1:97 > 203.0.113.3:9024      -> drop
        ack@wan0 198.18.0.1:96 > 203.0.113.3:1026      -> drop
        icmp@wan0 198.18.0.1 > 203.0.113.3             -> drop
        gre@wan0 198.18.0.1 > 203.0.113.3              -> drop
        udp 100.64.0.3:5000 > 198.18.0.1:53            -> pool p
        """,
    )


def test_the_block_leads_to_its_subscriber_where_one_address_fills_first(lab: Lab) -> None:
    check(
        lab,
        site(BY_ADDRESS),
        """
        tcp@wan0 198.18.0.1:99 > 203.0.113.0:1024      -> to 100.64.0.3
        tcp@wan0 198.18.0.1:99 > 203.0.113.0:3024      -> to 100.64.0.4
        udp@wan0 198.18.0.1:99 > 203.0.113.2:7024      -> to 100.64.0.14
        udp@wan0 198.18.0.1:99 > 203.0.113.3:1024      -> drop
        """,
    )


def test_low_ports_lead_to_the_subscriber_that_has_them(lab: Lab) -> None:
    """One block of 512 low ports fits an address, so only who has its first block has low ports."""
    check(
        lab,
        site(SPREAD.replace("{port_block_size", "{portlimit_low: 512, port_block_size")),
        """
        tcp@wan0 198.18.0.1:99 > 203.0.113.3:512       -> to 100.64.0.3
        udp@wan0 198.18.0.1:99 > 203.0.113.3:1023      -> to 100.64.0.3
        udp@wan0 198.18.0.1:99 > 203.0.113.3:511       -> drop
        tcp@wan0 198.18.0.1:99 > 203.0.113.3:1024      -> to 100.64.0.3
        """,
    )


def test_inside_a_block_is_reached_where_hairpin_is_on(lab: Lab) -> None:
    check(
        lab,
        site(HAIRPIN),
        "udp 100.64.0.4:5000 > 203.0.113.3:1500  -> from 203.0.113.0:1024-2023 to 100.64.0.3:1500",
    )
    check(lab, site(SPREAD), "udp 100.64.0.4:5000 > 203.0.113.3:1500  -> drop")


def test_a_mapping_comes_before_the_block(lab: Lab) -> None:
    """A socket that has the port is reached where the filter lets the outside in, otherwise the block is."""
    for text, expected in ((OPEN, 4000), (HAIRPIN, None)):
        lab.load(site(text).text.text)
        ((out, *_),) = lab.flight(
            [("lan0", Packet(UDP, address("100.64.0.3"), 4000, address("198.18.0.1"), 53))]
        )
        port = out.packet.source_port
        stranger = Packet(UDP, address("198.18.0.77"), 53, address("203.0.113.3"), port)
        ((seen, *_),) = lab.flight([("wan0", stranger)])
        assert (seen.packet.destination, seen.packet.destination_port) == (
            address("100.64.0.3"),
            expected or port,
        )


def test_a_connection_to_a_block_leaves_no_mapping_entry(lab: Lab) -> None:
    """Or a stranger could fill the maps by asking for every port of every block."""
    lab.load(site(HAIRPIN).text.text)
    asked = Packet(TCP, address("198.18.0.77"), 53, address("203.0.113.3"), 1500, SYN)
    ((arrived,),) = lab.flight([("wan0", asked)])
    forget_tokens(lab)
    answer = Packet(TCP, arrived.packet.destination, 1500, asked.source, 53, SYN | ACK)
    assert lab.flight([("lan0", answer)]) != [()]
    assert "elements" not in lab.must("nft", "list", "map", "ip", "nfcompile", "eif_p")


def test_any_subscriber_is_reached_by_a_mapping_and_not_by_its_own_address(lab: Lab) -> None:
    """An acl that allows any source took the global addresses as well, and closed them to the outside."""
    compiled = site(
        """
acls: {all: {10: allow ip any}}
pools:
  p: {type: cgnat, acl: all, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/30], hairpin: off,
      filtering: endpoint_independent}
"""
    )
    (opened,) = check(lab, compiled, "udp 100.64.0.7:5000 > 198.18.0.1:53 -> from 203.0.113.0/30:1-65535")
    mapped, peer = opened.out[0].packet, address("198.18.0.2")
    (outcome,) = lab.exchange([("wan0", Packet(UDP, peer, 999, mapped.source, mapped.source_port))])
    assert [seen.packet.destination for seen in outcome.out] == [address("100.64.0.7")]
    assert outcome.back[0].packet.source == mapped.source
    assert lab.flight([("wan0", Packet(UDP, peer, 999, address("100.64.0.7"), 5000))]) == [()]
