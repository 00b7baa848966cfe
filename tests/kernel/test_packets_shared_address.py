"""One global address in several pools with other ports of it, and in a pool and of the gateway itself."""

from __future__ import annotations

import socket

import pytest

from nfcompile.model.parse import address
from support.frames import ACK, TCP, UDP, Packet
from support.lab import Lab
from support.lifetimes import RENEWED, age, forget_tokens
from support.mapping_pools import entries, outside, packet
from support.packet_table import check
from support.sites import site
from support.wires import GATEWAY, GATEWAY_ADDRESS

SHARED = """
acls: {homes: {10: allow ip 100.64.0.0/28}, office: {10: allow ip 100.65.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/31], port_range: 1024-32767,
          filtering: endpoint_independent}
  office: {type: cgnat, acl: office, priority: 110, global_ip: [203.0.113.1], port_range: 32768-65535,
           allocation: dynamic, filtering: endpoint_independent}
"""
FLAT = SHARED + "".join(
    f"  other{n}: {{type: cgnat, acl: homes, priority: {n}, global_ip: [198.51.100.{n}],"
    f" subscribers: [100.127.0.{n}]}}\n"
    for n in range(1, 5)
)
HOME, OFFICE = address("100.64.0.1"), address("100.65.0.3")
SERVER, STRANGER = address("198.18.0.1"), address("198.18.0.77")
GLOBAL = address("203.0.113.1")


@pytest.mark.parametrize("text", [SHARED, FLAT], ids=("few pools", "many pools"))
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_the_port_says_which_pool_it_is(lab: Lab, text: str, protocol: int) -> None:
    """Sockets of both pools have the address, and a stranger reaches each by its port."""
    lab.load(site(text).text.text)
    for source, first, last in (((HOME, 40000), 1024, 32767), ((OFFICE, 40001), 32768, 65535)):
        mapped = outside(lab, protocol, source, SERVER)
        assert mapped[0] == GLOBAL
        assert first <= mapped[1] <= last
        (reached,) = lab.exchange([packet(protocol, (STRANGER, 999), mapped)])
        assert reached.out[0].packet[3:5] == source
        assert reached.back[0].packet[1:3] == mapped
    word = "tcp" if protocol == TCP else "udp"
    assert [len(entries(lab, f"eim_{pool}", word)) for pool in ("homes", "office")] == [1, 1]


def test_packets_renew_the_entries_of_their_own_pool(lab: Lab) -> None:
    lab.load(site(SHARED).text.text)
    for source in ((HOME, 40000), (OFFICE, 40001)):
        outside(lab, UDP, source, SERVER)
    for name in ("eim_homes", "eif_homes", "eim_office", "eif_office"):
        age(lab, f"map {name}")
    forget_tokens(lab)
    for source in ((HOME, 40000), (OFFICE, 40001)):
        outside(lab, UDP, source, SERVER)
    for name in ("eim_homes", "eif_homes", "eim_office", "eif_office"):
        (left,) = entries(lab, name).values()
        assert left > RENEWED, name


OWN = f"""
gateway: {{primary_ip: {GATEWAY_ADDRESS}}}
acls: {{homes: {{10: allow ip 100.64.0.0/28}}}}
pools:
  homes: {{type: cgnat, acl: homes, priority: 1, global_ip: [{GATEWAY_ADDRESS}], port_block_size: 2048,
          filtering: FILTERING, hairpin: HAIRPIN}}
"""
ONLY = OWN.replace("FILTERING", "address_and_port_dependent").replace("HAIRPIN", "off")
OPEN = OWN.replace("FILTERING", "endpoint_independent").replace("HAIRPIN", "on")


@pytest.mark.parametrize("text", [ONLY, OPEN], ids=("no entries", "entries"))
def test_the_gateway_keeps_its_own_address(lab: Lab, text: str) -> None:
    """A server on the gateway is reached from both sides, and its own connections work."""
    lab.load(site(text).text.text)
    check(lab, site(text), "udp 100.64.0.3:5000 > 198.18.0.1:53 -> pool homes")
    own = address(GATEWAY_ADDRESS)
    with lab.socket(GATEWAY, socket.SOCK_DGRAM, (GATEWAY_ADDRESS, 5353)) as server:
        for wire, client in (("wan0", "198.18.0.9"), ("lan0", "100.64.0.9")):
            lab.flight([(wire, Packet(UDP, address(client), 6000, own, 5353))])
            assert server.recvfrom(2000)[1] == (client, 6000)
            server.sendto(bytes(8), (client, 6000))
            (answer,) = (one for one in lab.drain() if one.packet.destination == address(client))
            assert (answer.wire, *answer.packet[1:5]) == (wire, own, 5353, address(client), 6000)
        server.sendto(bytes(8), ("198.18.0.10", 53))
        (mine,) = (one for one in lab.drain() if one.packet.destination_port == 53)
        assert mine.packet[1:3] == (own, 5353)
        answer = mine.packet.reply(lab.token())
        lab.flight([("wan0", answer)])
        assert server.recvfrom(2000)[1] == ("198.18.0.10", 53)


def test_a_mapping_comes_before_the_gateway(lab: Lab) -> None:
    """But TCP without SYN is led to no subscriber."""
    lab.load(site(OPEN).text.text)
    for protocol in (TCP, UDP):
        mapped = outside(lab, protocol, (HOME, 40000), SERVER)
        assert mapped[0] == address(GATEWAY_ADDRESS)
        (reached,) = lab.exchange([packet(protocol, (STRANGER, 999), mapped)])
        assert reached.out[0].packet[3:5] == (HOME, 40000)
        (midstream,) = lab.flight([("wan0", Packet(TCP, STRANGER + 1, 999, *mapped, ACK))])
        assert not [one for one in midstream if one.wire == "lan0"]
