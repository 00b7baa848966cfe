"""What happens to connections that have been silent: TCP that goes on after conntrack has forgotten it, UDP
that only the outside keeps sending."""

from __future__ import annotations

import time

import pytest

from nfcompile.model.parse import address
from support.frames import ACK, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site

SITE = """
nat_defaults: {port_block_size: 1024, udp_inbound_refresh: REFRESH, permit_invalid_flow: on,
               timeouts_inactivity: {udp: 8, udp_session: 100}}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30], allocation: ALLOCATION,
          hairpin: off, filtering: FILTERING}
"""
HOME, FAR = address("100.64.0.1"), address("198.18.0.1")
BOTH = pytest.mark.parametrize("allocation", ["deterministic", "dynamic"])
OWN = "address_and_port_dependent"


def ruleset(allocation: str, refresh: str = "on", filtering: str = OWN) -> str:
    words = {"ALLOCATION": allocation, "REFRESH": refresh, "FILTERING": filtering}
    text = SITE
    for word, value in words.items():
        text = text.replace(word, value)
    return site(text).text.text


@BOTH
def test_idle_tcp_goes_on_from_its_port(lab: Lab, allocation: str) -> None:
    """Also in a pool that neither hairpin nor filtering asks to keep mapping entries."""
    lab.load(ruleset(allocation))
    before = lab.flight([("lan0", Packet(TCP, HOME, 5000 + n, FAR, 80, SYN)) for n in range(20)])
    lab.forget()
    after = lab.flight([("lan0", Packet(TCP, HOME, 5000 + n, FAR, 80, ACK)) for n in range(20)])
    ports = [[seen.packet.source_port for seen in places] for places in before]
    assert all(ports)
    assert [[seen.packet.source_port for seen in places] for places in after] == ports


@BOTH
@pytest.mark.parametrize("refresh", ["on", "off"])
def test_packets_from_outside_alone(lab: Lab, allocation: str, refresh: str) -> None:
    """They pass for as long as the mapping lives after the last packet from inside, or for ever."""
    lab.load(ruleset(allocation, refresh))
    query = Packet(UDP, HOME, 5000, FAR, 53)
    (outcome,) = lab.exchange([("lan0", query)])
    answer = outcome.out[0].packet.reply(0)
    passed = []
    for _ in range(12):
        time.sleep(1)
        passed.append(bool(lab.flight([("wan0", answer)])[0]))
    assert passed[:7] == [True] * 7
    assert passed[-1] is (refresh == "on")
    assert lab.flight([("lan0", query)]) != [()], "a packet from inside opens it again"
    assert lab.flight([("wan0", answer)]) != [()]


def test_what_the_outside_opens_does_not_stay_open(lab: Lab) -> None:
    lab.load(ruleset("deterministic", "off", "endpoint_independent"))
    ((out,),) = lab.flight([("lan0", Packet(UDP, HOME, 5000, FAR, 53))])
    other = Packet(UDP, FAR + 1, 999, out.packet.source, out.packet.source_port)
    passed = []
    for _ in range(12):
        passed.append(bool(lab.flight([("wan0", other)])[0]))
        time.sleep(1)
    assert passed[:7] == [True] * 7
    assert not passed[-1]
    assert lab.flight([("wan0", other._replace(source_port=1000))]) == [()]
