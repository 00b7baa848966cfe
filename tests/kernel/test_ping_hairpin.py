"""A ping of a cgnat pool's global address from inside (RFC 5508 REQ-7): dropped and counted, also while its
id is in use. Only a NAT with an address for each subscriber has to lead one to another."""

from __future__ import annotations

import pytest

from nfcompile.allocation.lookup import lookups
from nfcompile.model.parse import address
from support.frames import ECHO, ECHO_REPLY, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site

POOLS = """
nat_defaults: {port_block_size: 64}
acls:
  homes: {10: allow ip 100.64.0.0/26}
  shops: {10: allow ip 10.0.0.0/28}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30], KEYS}
  shops: {type: cgnat, acl: shops, priority: 2, global_ip: [203.0.113.8/30], allocation: dynamic, KEYS}
  servers: {type: static, acl: none, priority: 3, global_map: {192.168.0.5: 200.0.0.3}}
"""
HOME, OTHER, SHOP = (address(one) for one in ("100.64.0.5", "100.64.0.17", "10.0.0.3"))
SERVER, FAR = address("200.0.0.3"), address("198.18.0.1")
KEYS = (
    "hairpin: on",
    "hairpin: on, filtering: endpoint_independent",
    "hairpin: on, randomize_ports: on",
    "hairpin: off",
)


def ping(source: int, destination: int, ident: int, kind: int = ECHO) -> tuple[str, Packet]:
    return "lan0", Packet(ICMP, source, ident, destination, 0, kind)


def live(lab: Lab, subscriber: int) -> Packet:
    """A query of the subscriber as the server sees it: its session lives, with this id and address."""
    (outcome,) = lab.exchange([ping(subscriber, FAR, 7)])
    assert [seen.packet.destination for seen in outcome.back] == [subscriber]
    return outcome.out[0].packet


def counted(lab: Lab) -> int:
    said = lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_unsolicited")
    return int(said.split("packets ")[1].split()[0])


@pytest.mark.parametrize("keys", KEYS)
def test_a_ping_of_a_shared_address_from_inside_reaches_nobody(lab: Lab, keys: str) -> None:
    compiled = site(POOLS.replace("KEYS", keys))
    lab.load(compiled.text.text)
    for protocol, flags in ((TCP, SYN), (UDP, 0)):
        # The mapping entries of sockets with the same numbers.
        lab.exchange([("lan0", Packet(protocol, one, 7, FAR, 443, flags)) for one in (HOME, OTHER, SHOP)])
    sessions = {one: live(lab, one) for one in (HOME, OTHER, SHOP)}
    block = lookups(compiled.allocations, OTHER)[0]
    assert block.port_first is not None
    idents = (7, 5000, block.port_first)
    tried = [
        ping(source, query.source, ident)
        for source in sessions
        for query in sessions.values()
        for ident in (*idents, query.source_port)
    ]
    assert lab.flight(tried) == [()] * len(tried)
    assert counted(lab) == len(tried)
    forged = [
        ping(source, query.source, query.source_port, ECHO_REPLY)
        for source in sessions
        for query in sessions.values()
    ]
    assert lab.flight(forged) == [()] * len(forged)
    for subscriber, query in sessions.items():
        (answer,) = lab.flight([("wan0", query.reply(lab.token()))])
        assert [(seen.wire, seen.packet.destination) for seen in answer] == [("lan0", subscriber)]


def test_a_ping_of_an_address_of_one_subscriber_shows_global_ends(lab: Lab) -> None:
    """From a cgnat pool to a static one the address names the subscriber; the answer comes back."""
    lab.load(site(POOLS.replace("KEYS", "hairpin: on")).text.text)
    (outcome,) = lab.exchange([ping(HOME, SERVER, 7)])
    (seen,), (back,) = outcome.out, outcome.back
    assert seen.packet.destination == address("192.168.0.5")
    assert seen.packet.source in range(address("203.0.113.0"), address("203.0.113.4"))
    assert (back.packet.source, back.packet.destination, back.packet.source_port) == (SERVER, HOME, 7)
