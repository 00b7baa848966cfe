"""`flowtable: on`: which connections take the short way, that they stay translated on it, and come back."""

from __future__ import annotations

import socket

import pytest

from nfcompile.model.parse import address
from support.applied_site import bring, empty
from support.frames import UDP, Packet
from support.lab import Lab, lacking
from support.sites import site
from support.waiting import until

SITE = """
nat_defaults: {flowtable: on, alg: {sip: on}}
acls:
  homes: {10: allow ip 100.64.0.0/28}
  guests: {10: allow ip 100.64.1.0/28}
pools:
  homes: {type: cgnat, acl: homes, priority: 10, global_ip: [203.0.113.1], hairpin: off}
  guests: {type: cgnat, acl: guests, priority: 20, global_ip: [203.0.113.8], hairpin: on}
  servers: {type: static, priority: 30, global_map: {192.168.0.5: 200.0.0.3}}
"""
HOME, GUEST, SERVER, FAR = "100.64.0.1", "100.64.1.1", "192.168.0.5", "198.18.0.1"
WATCH = """
table ip watch {
	counter seen { }
	chain forward {
		type filter hook forward priority filter + 1; policy accept;
		meta l4proto { tcp, udp } counter name seen
	}
}
"""


@pytest.fixture(autouse=True)
def _flowtable(lab: Lab) -> None:
    if not lab.has_flowtable():
        lacking("flowtable")


def load(lab: Lab) -> None:
    lab.load(site(SITE).text.text + WATCH)


def forwarded(lab: Lab) -> int:
    """TCP and UDP packets that the forward hook has seen."""
    listed = lab.must("nft", "list", "counter", "ip", "watch", "seen")
    return int(listed.split("packets ")[1].split()[0])


def connections(lab: Lab, source: str) -> list[str]:
    return lab.must("conntrack", "-L", "-s", source).splitlines()


def offloaded(lab: Lab, source: str) -> bool:
    return any("[OFFLOAD]" in line for line in connections(lab, source))


def no_longer_offloaded(lab: Lab, source: str) -> None:
    until(lambda: not offloaded(lab, source))


def talk(one: socket.socket, other: socket.socket, times: int) -> None:
    for number in range(times):
        for sender, receiver in ((one, other), (other, one)):
            word = f"{number:04}".encode()
            sender.sendall(word)
            assert receiver.recv(64) == word


def udp(lab: Lab, wire: str, near: str, far: str, port: int, times: int = 4) -> tuple[Packet, int]:
    """A conversation; the last packet as it came out, and how many the forward hook saw of the last round."""
    before = last = 0
    packet = Packet(UDP, address(near), 5000, address(far), port)
    for _ in range(times):
        before = forwarded(lab)
        (outcome,) = lab.exchange([(wire, packet)])
        assert len(outcome.out) == len(outcome.back) == 1, outcome
        assert outcome.back[0].packet[1:5] == (packet.destination, port, packet.source, 5000)
        last = forwarded(lab)
    return outcome.out[0].packet, last - before


def test_a_tcp_connection_is_translated_before_and_after(lab: Lab) -> None:
    load(lab)
    with lab.connection(HOME, FAR) as (here, there):
        talk(here, there, 5)
        peer = there.getpeername()
        assert peer[0] == "203.0.113.1"
        assert offloaded(lab, HOME)
        before = forwarded(lab)
        talk(here, there, 20)
        assert forwarded(lab) == before, "packets of an offloaded connection met the forward hook"
        assert there.getpeername() == peer


def test_it_survives_a_new_ruleset(lab: Lab) -> None:
    load(lab)
    with lab.connection(HOME, FAR) as (here, there):
        talk(here, there, 5)
        assert offloaded(lab, HOME)
        lab.reload(site(SITE.replace("200.0.0.3", "200.0.0.4")).text.text)
        talk(here, there, 5)
        assert offloaded(lab, HOME)


def test_its_end_is_seen(lab: Lab) -> None:
    """At once in kernel 6.1; 7.3 lets the last segments pass and forgets the connection after them."""
    load(lab)
    with lab.connection(HOME, FAR) as (here, there):
        talk(here, there, 5)
        assert offloaded(lab, HOME)
        here.close()
        assert there.recv(1) == b""
        there.close()
        no_longer_offloaded(lab, HOME)
        assert not any("ESTABLISHED" in line for line in connections(lab, HOME))


@pytest.mark.parametrize(
    ("near", "port", "short"),
    [(HOME, 53, True), (SERVER, 53, True), (GUEST, 53, False), (HOME, 5060, False)],
    ids=["cgnat", "static", "mapping entries", "helper"],
)
def test_which_connections(lab: Lab, near: str, port: int, short: bool) -> None:
    load(lab)
    _, seen = udp(lab, "lan0", near, FAR, port)
    assert offloaded(lab, near) is short
    assert (seen == 0) is short


def test_opened_from_outside(lab: Lab) -> None:
    load(lab)
    packet, seen = udp(lab, "wan0", FAR, "200.0.0.3", 53)
    assert packet.destination == address(SERVER)
    assert seen == 0


def test_a_subscriber_with_mapping_entries_calls_a_server(lab: Lab) -> None:
    """One end renews entries, so both stay on the long way, though the other pool's would be offloaded."""
    load(lab)
    packet, seen = udp(lab, "lan0", GUEST, "200.0.0.3", 53)
    assert packet.source == address("203.0.113.8")
    assert packet.destination == address(SERVER)
    assert seen > 0
    assert not offloaded(lab, GUEST)


def test_in_a_vlan(lab: Lab) -> None:
    text = """
nat_defaults: {flowtable: on, vlan_mode: vlan}
pools:
  servers: {type: static, priority: 10, global_map: {192.168.1.2~102: 3.3.3.3}}
"""
    lab.load(site(text).text.text + WATCH)
    packet, seen = udp(lab, "lan0.102", "192.168.1.2", FAR, 53)
    assert packet.source == address("3.3.3.3")
    assert seen == 0
    assert offloaded(lab, "192.168.1.2")


def test_a_silent_connection_gets_the_timeout_back(lab: Lab) -> None:
    """The kernel gives it its own timeouts, not the pool's: so the host is told to set those."""
    compiled = site(SITE.replace("on, alg", "on, timeouts_inactivity: {udp: 200}, alg"))
    (name,) = (name for name in compiled.sysctls if name.endswith("udp_timeout_stream"))
    lab.load(compiled.text.text + WATCH)
    with lab.sysctl(name.replace(".", "/"), str(compiled.sysctls[name])):
        udp(lab, "lan0", HOME, FAR, 53)
        with lab.sysctl("net/netfilter/nf_flowtable_udp_timeout", "1"):
            udp(lab, "lan0", HOME, FAR, 53)
            no_longer_offloaded(lab, HOME)
        (line,) = connections(lab, HOME)
        assert 100 < int(line.split()[2]) <= 200


def test_apply_changes_the_interfaces_and_keeps_the_connection(lab: Lab) -> None:
    """The scratch namespace in which the kernel spells the ruleset has no lan1 of its own."""
    empty(lab)
    bring(lab, SITE)
    with lab.connection(HOME, FAR) as (here, there):
        talk(here, there, 5)
        assert offloaded(lab, HOME)
        wider = "interfaces: {inside: [lan0, lan1], outside: [wan0]}\n" + SITE
        assert "flowtable shortcut" in bring(lab, wider).objects.changed
        assert not bring(lab, wider).objects.all
        talk(here, there, 5)
        assert offloaded(lab, HOME)
