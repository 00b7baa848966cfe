"""What connections from outside get of a pool, and which ones get nothing of it."""

from __future__ import annotations

from nfcompile.model.parse import address
from support.conntrack_entries import is_timeout, seconds
from support.frames import UDP, Packet
from support.lab import Lab
from support.sites import site

FAR = address("198.18.0.1")
KERNELS_OWN = 30
"""Seconds of an unanswered UDP connection of which no pool says anything."""

SERVERS = """
nat_defaults: {vlan_mode: vlan, timeouts_inactivity: {udp: 7000}}
dnat: {forward: {interface: wan0, protocol: udp, dst_cidr: 172.31.9.1, dst_port: 2222, dnat_ip: 192.168.0.5,
                 dnat_port: 53}}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3, 192.168.1.2~102: 200.0.0.4}}
"""


def test_a_host_of_a_vlan_has_its_pools_timeout(lab: Lab) -> None:
    lab.load(site(SERVERS).text.text)
    for number, host in enumerate(("200.0.0.3", "200.0.0.4")):
        (seen,) = lab.flight([("wan0", Packet(UDP, FAR, 900 + number, address(host), 53))])
        assert seen
        assert is_timeout(seconds(lab, "udp", 900 + number), 7000)


def test_what_a_rule_forwards_is_no_pools(lab: Lab) -> None:
    """It asked for another address than the pool's, though it reaches a host of the pool."""
    lab.load(site(SERVERS).text.text)
    forwarded = Packet(UDP, FAR, 910, address("172.31.9.1"), 2222)
    ((seen,),) = lab.flight([("wan0", forwarded)])
    assert seen.packet.destination == address("192.168.0.5")
    assert seconds(lab, "udp", 910) <= KERNELS_OWN
