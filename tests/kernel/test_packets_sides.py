"""Which interfaces, hosts and addresses a rule is for: what it must not touch beside them."""

from __future__ import annotations

import socket

import pytest

from nfcompile.model.parse import address
from support.frames import UDP, Packet
from support.lab import Lab
from support.packet_table import check
from support.sites import site
from support.wires import GATEWAY, GATEWAY_ADDRESS

FAR = address("198.18.0.1")


def test_a_vlan_of_the_interfaces_is_inside_without_a_rule_that_names_it(lab: Lab) -> None:
    check(
        lab,
        site("""
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}}
nat_defaults: {vlan_mode: vlan}
acls: {a: {10: allow ip 10.102.0.0/28}}
pools: {p: {type: nat, acl: a, priority: 1, allocation: deterministic, global_ip: [203.0.113.0/28]}}
"""),
        "udp@lan0.102 10.102.0.3:1000 > 198.18.0.1:53 -> from 203.0.113.3:1000",
    )


def test_a_snat_rule_for_another_interface_is_for_what_comes_from_inside(lab: Lab) -> None:
    check(
        lab,
        site("snat: {other: {interface: wan1, snat_ip: 203.0.113.9}}"),
        """
        udp 10.0.0.28:1000 > 198.18.1.5:53           -> from 203.0.113.9
        udp@wan0 198.19.0.5:1000 > 198.18.1.5:53     -> untranslated
        """,
    )


LIMITED = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {sessions_per_translation: 1}
acls: {homes: {10: allow ip 100.64.0.0/28}, partners: {10: allow ip 10.30.0.0/28}}
pools:
  partners: {type: fake, acl: partners, priority: 1}
  homes: {type: cgnat, acl: homes, priority: 2, global_ip: [203.0.113.0/28], hairpin: off}
"""


def test_sessions_are_counted_of_who_is_translated_outward(lab: Lab) -> None:
    """Nobody else has a translation whose sessions could be too many."""
    check(
        lab,
        site(LIMITED),
        """
        udp 100.64.0.9:1000 > 10.1.0.1:53            -> untranslated    # inside
        udp 100.64.0.9:1000 > 10.1.0.2:53            -> untranslated
        udp 100.64.0.9:1000 > 198.18.0.1:53          -> pool homes
        udp 10.30.0.5:1000 > 198.18.0.1:53           -> untranslated    # passed by a fake pool
        udp 10.30.0.5:1000 > 198.18.0.2:53           -> untranslated
        udp 10.9.0.5:1000 > 198.18.0.1:53            -> untranslated    # of no pool
        udp 10.9.0.5:1000 > 198.18.0.2:53            -> untranslated
        """,
    )
    (seen,) = lab.flight([("lan0", Packet(UDP, address("100.64.0.9"), 1000, FAR + 1, 53))])
    assert [one.wire for one in seen] == ["lan0"], "refused"


FORWARD = """
dnat:
  tcp-web: {protocol: tcp, dst_port: 8001, dnat_ip: 10.0.0.8, dnat_port: 8080}
  tcp-api: {protocol: tcp, dst_port: 8002, dnat_ip: 10.0.0.8, dnat_port: 8443}
  udp-web: {protocol: udp, dst_port: 8001, dnat_port: 8080}
  udp-api: {protocol: udp, dst_port: 8002, dnat_port: 8443}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 2, global_ip: [203.0.113.0/28], hairpin: on}
"""


def test_what_a_rule_sends_to_an_inside_host_keeps_its_source(lab: Lab) -> None:
    """It did not ask for a global address, so it is no hairpin; and rules that share a map leave alone what
    goes to an inside network."""
    check(
        lab,
        site("interfaces: {inside: [lan0, lan1], outside: [wan0]}" + FORWARD),
        """
        tcp 100.64.0.9:1000 > 198.18.0.1:8001        -> to 10.0.0.8:8080
        tcp 100.64.0.9:1000 > 10.1.0.1:8001          -> untranslated
        udp 100.64.0.9:1000 > 10.1.0.1:8002          -> untranslated
        """,
    )


ONE_FORWARD = "dnat: {web: {protocol: udp, dst_port: 8001, dnat_port: 8080}}\n"


@pytest.mark.parametrize("text", [FORWARD, ONE_FORWARD], ids=["a map", "a rule"])
def test_rules_leave_alone_what_is_for_the_gateway(lab: Lab, text: str) -> None:
    lab.load(site(text).text.text)
    with lab.socket(GATEWAY, socket.SOCK_DGRAM, (GATEWAY_ADDRESS, 8001)) as own:
        lab.flight([("lan0", Packet(UDP, address("100.64.0.9"), 7, address(GATEWAY_ADDRESS), 8001))])
        assert own.recvfrom(100)[1] == ("100.64.0.9", 7)


def test_nobody_reaches_the_gateway_by_a_global_address(lab: Lab) -> None:
    """It has one on an interface: its own connections pass, others are unsolicited."""
    lab.load(site(FORWARD).text.text)
    mine = "203.0.113.14"
    lab.must("ip", "address", "add", f"{mine}/32", "dev", "lo")
    try:
        with lab.socket(GATEWAY, socket.SOCK_DGRAM, (mine, 5353)) as own:
            own.sendto(bytes(8), ("198.18.0.1", 53))
            answer = Packet(UDP, FAR, 53, address(mine), 5353)
            for wire, source in (("wan0", "198.18.0.9"), ("lan0", "10.0.0.9")):
                lab.flight([(wire, answer._replace(source=address(source)))])
            lab.flight([("wan0", answer)])
            own.setblocking(False)
            assert own.recvfrom(100)[1] == ("198.18.0.1", 53)
            with pytest.raises(BlockingIOError):
                own.recvfrom(100)
    finally:
        lab.must("ip", "address", "del", f"{mine}/32", "dev", "lo")
    assert "packets 2 " in lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_unsolicited")


def test_rules_for_some_destinations_share_no_map(lab: Lab) -> None:
    """Neighbours that would be of the plain form, but for where the packet goes."""
    check(
        lab,
        site("""
dnat:
  one: {protocol: tcp, dst_cidr: 198.18.8.0/24, dst_port: 1001, dnat_port: 2001, mark: 1}
  two: {protocol: tcp, dst_cidr: 198.18.9.0/24, dst_port: 1002, dnat_port: 2002, mark: 2}
snat:
  one: {mark: 1, dst_cidr: 198.18.8.1, snat_ip: 172.32.0.1}
  two: {mark: 2, dst_cidr: 198.18.9.1, snat_ip: 172.32.0.2}
"""),
        """
        tcp 10.0.0.1 > 198.18.8.1:1001     -> from 172.32.0.1 to 198.18.8.1:2001
        tcp 10.0.0.1 > 198.18.9.1:1002     -> from 172.32.0.2 to 198.18.9.1:2002
        tcp 10.0.0.1 > 198.18.9.1:1001     -> untranslated
        tcp 10.0.0.1 > 198.18.8.2:1001     -> to 198.18.8.2:2001
        """,
    )


def test_a_fake_pool_before_a_wider_one_lets_its_sources_leave(lab: Lab) -> None:
    """They are the later pool's too, but never get there; the guard must not take them for a leak."""
    check(
        lab,
        site("""
acls: {partners: {10: allow ip 10.31.0.0/24}, all: {10: allow ip 10.31.0.0/23}}
pools:
  partners: {type: fake, acl: partners, priority: 1}
  rest: {type: nat, acl: all, priority: 2, allocation: deterministic, global_ip: [203.0.112.0/23]}
"""),
        """
        udp 10.31.0.5:1000 > 198.18.0.1:53     -> untranslated
        udp 10.31.1.5:1000 > 198.18.0.1:53     -> pool rest
        """,
    )
