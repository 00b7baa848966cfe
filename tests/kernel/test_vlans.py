"""One address on two VLANs at once: two hosts, each with its own translation and its own answers."""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import ECHO, ECHO_REPLY, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.wires import VLANS

SITE = """
interfaces: {inside: [lan0], outside: [wan0], vlans: {101: lan1, 102: lan0.102}}
nat_defaults: {vlan_mode: vlan}
acls:
  red: {10: allow ip src net 192.168.1.0/24~101}
  blue: {10: allow ip src net 192.168.1.0/24~102}
pools:
  servers: {type: static, priority: 1, global_map: {10.9.0.2~101: 200.0.0.1, 10.9.0.2~102: 200.0.0.2}}
  red: {type: cgnat, acl: red, priority: 2, global_ip: [203.0.113.0/29], hairpin: off}
  blue: {type: cgnat, acl: blue, priority: 3, global_ip: [203.0.113.8/29], hairpin: off}
"""
DYNAMIC = """
pools:
  red: {type: nat, acl: red, priority: 2, global_ip: [203.0.113.0/29]}
  blue: {type: nat, acl: blue, priority: 3, global_ip: [203.0.113.8/29]}
"""
CROSSED = """
interfaces: {inside: [lan0], outside: [wan0], vlans: {101: lan1, 102: lan0.102}}
nat_defaults: {vlan_mode: vlan}
acls:
  one: {10: allow ip src net 10.9.0.0/25~101, 20: allow ip src net 10.9.0.128/25~102}
  two: {10: allow ip src net 10.9.0.0/25~102, 20: allow ip src net 10.9.0.128/25~101}
pools:
  one: {type: cgnat, acl: one, priority: 2, global_ip: [203.0.113.0/29], hairpin: off}
  two: {type: cgnat, acl: two, priority: 3, global_ip: [203.0.113.8/29], hairpin: off}
"""
FAR, HOST, SERVER = (address(text) for text in ("198.18.0.1", "192.168.1.7", "10.9.0.2"))


@pytest.mark.usefixtures("routed_by_mark")
def test_both_hosts_at_the_same_time(lab: Lab) -> None:
    """The same five-tuple from both: each leaves from its own pool, and each gets its own answer."""
    lab.load(site(SITE).text.text)
    for protocol, flags in ((UDP, 0), (TCP, SYN)):
        for host, globals_ in ((HOST, (203 << 24, None)), (SERVER, (200 << 24, None))):
            packets = [(wire, Packet(protocol, host, 5000, FAR, 443, flags)) for wire in VLANS]
            outcomes = lab.exchange(packets)
            sources = [outcome.out[0].packet.source for outcome in outcomes]
            assert len(set(sources)) == 2
            assert all(source >> 24 == globals_[0] >> 24 for source in sources)
            assert [outcome.back[0].wire for outcome in outcomes] == list(VLANS)
            assert all(o.back[0].packet[3:5] == (host, 5000) for o in outcomes)


@pytest.mark.usefixtures("routed_by_mark")
def test_answers_find_their_vlan_where_a_pool_serves_several(lab: Lab) -> None:
    """The global address does not say which VLAN it was, the connection does."""
    lab.load(site(CROSSED).text.text)
    asked = [(wire, address(host)) for wire in VLANS for host in ("10.9.0.2", "10.9.0.130")]
    outcomes = lab.exchange((wire, Packet(UDP, host, 5000, FAR, 53)) for wire, host in asked)
    pools = [address("203.0.113.0") >> 3, address("203.0.113.8") >> 3]
    assert [outcome.out[0].packet.source >> 3 for outcome in outcomes] == [*pools, *reversed(pools)]
    assert [outcome.back[0].wire for outcome in outcomes] == [wire for wire, _ in asked]
    assert [outcome.back[0].packet.destination for outcome in outcomes] == [host for _, host in asked]


@pytest.mark.usefixtures("routed_by_mark")
def test_inbound_finds_its_vlan(lab: Lab) -> None:
    lab.load(site(SITE).text.text)
    for number, wire in enumerate(VLANS, 1):
        knock = ("wan0", Packet(TCP, FAR, 900 + number, address(f"200.0.0.{number}"), 22, SYN))
        (outcome,) = lab.exchange([knock])
        assert outcome.out[0].wire == wire
        assert outcome.out[0].packet.destination == SERVER
        assert outcome.back[0].packet.source == address(f"200.0.0.{number}")


@pytest.mark.parametrize(
    "rules", ["red: {", "red: {5: deny ip any~102, "], ids=["one rule", "a deny before it"]
)
@pytest.mark.usefixtures("routed_by_mark")
def test_a_dynamic_address_leads_back_into_its_vlan(lab: Lab, rules: str) -> None:
    """The same host in two VLANs has an address in each pool; who calls one of them reaches that VLAN."""
    pools = SITE[SITE.index("pools:") :]
    lab.load(site(SITE.replace(pools, DYNAMIC).replace("red: {", rules, 1)).text.text)
    for number, wire in enumerate(VLANS, 1):
        (outcome,) = lab.exchange([(wire, Packet(TCP, HOST, 5000, FAR, 443, SYN))])
        mine = outcome.out[0].packet.source
        (called,) = lab.exchange([("wan0", Packet(TCP, FAR, 900 + number, mine, 22, SYN))])
        assert called.out[0].wire == wire
        assert called.out[0].packet.destination == HOST
        assert called.back[0].packet.source == mine


@pytest.mark.usefixtures("routed_by_mark")
def test_what_nobody_wants_goes_into_no_vlan(lab: Lab) -> None:
    """The mark leads to the VLAN behind the global address, whose table has a default route here; conntrack
    knows the echo reply as invalid, so that no nat chain sees it."""
    lab.load(site(SITE).text.text)
    knock = Packet(UDP, FAR, 900, address("203.0.113.1"), 1500)
    ping = Packet(ICMP, FAR, 7, address("203.0.113.9"), 0, ECHO)
    packets = [("wan0", one) for one in (knock, ping, ping._replace(flags=ECHO_REPLY))]

    assert lab.flight(packets) == [(), (), ()]
