"""The conntrack room against a kernel: what it reads is what was sent, and only what is named ends."""

from __future__ import annotations

import os
import signal
import subprocess
from operator import attrgetter

import pytest

from nfcompile.kernel import KernelError, conntrack, ends
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.ends import FlowEnds
from nfcompile.model.parse import address
from support.frames import ACK, ECHO, GRE, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.wires import GATEWAY

NEAR, OTHER, FAR, GLOBAL = map(address, ("100.64.0.1", "100.64.0.2", "198.18.0.1", "203.0.113.1"))
RULESET = """
table ip nat {
    chain c { type nat hook postrouting priority srcnat;
        ip saddr 100.64.0.1 ct mark set 0x107 meta l4proto { tcp, udp, icmp } snat to 203.0.113.1
        ip saddr 100.64.0.1 snat to 203.0.113.1
    }
}
"""


def _flows(**filters: object) -> list[Flow]:
    return list(conntrack.flows(**filters))


def test_every_protocol_is_read_as_it_was_sent(lab: Lab) -> None:
    lab.load(RULESET)
    packets = [
        Packet(UDP, NEAR, 5000, FAR, 53),
        Packet(TCP, NEAR, 5001, FAR, 443, SYN),
        Packet(ICMP, NEAR, 77, FAR, 0, ECHO),
        Packet(GRE, NEAR, 0, FAR, 0),
        Packet(99, NEAR, 0, FAR, 0),
        Packet(UDP, OTHER, 5000, FAR, 53),
    ]
    outcomes = lab.exchange(("lan0", one) for one in packets)
    lab.flight([("lan0", packets[1]._replace(flags=ACK, acknowledged=outcomes[1].back[0].packet.token + 1))])
    found = {(one.protocol, one.src): one for one in lab.ask(GATEWAY, _flows) if one.dst == FAR}

    assert len(found) == len(packets)
    udp, tcp, icmp = found[UDP, NEAR], found[TCP, NEAR], found[ICMP, NEAR]
    assert (udp.sport, udp.dport, udp.mark) == (5000, 53, 0x107)
    assert udp[5:9] == (FAR, 53, GLOBAL, outcomes[0].out[0].packet.source_port)
    assert udp.status & conntrack.SEEN_REPLY
    assert udp.status & conntrack.SOURCE_NAT
    assert 0 < udp.timeout <= 180
    assert tcp.tcp_state == 3
    assert (icmp.sport, icmp.dport, icmp.icmp, icmp.reply_dport) == (77, 77, (ECHO, 0), icmp.reply_sport)
    assert found[99, NEAR][1:5] == (NEAR, 0, FAR, 0)
    assert found[99, NEAR].reply_dst == GLOBAL
    assert found[UDP, OTHER].reply_dst == OTHER
    assert not found[UDP, OTHER].status & conntrack.SOURCE_NAT


ZONED = """
table ip zones {
    chain c { type filter hook prerouting priority raw;
        ip saddr 100.64.0.2 udp sport 1 ct zone set 5
        ip saddr 100.64.0.2 udp sport 2 ct original zone set 5
    }
}
"""


def test_what_is_read_in_a_hurry_is_the_same(lab: Lab) -> None:
    """Protocols with ports in zone 0 have the usual form; a zone, or other attributes, make another one."""
    lab.load(RULESET)
    lab.load(ZONED)
    plain = [
        Packet(UDP, NEAR, 5000, FAR, 53),
        Packet(TCP, NEAR, 5001, FAR, 443, SYN),
        Packet(UDP, OTHER, 5000, FAR, 53),
        Packet(GRE, NEAR, 0, FAR, 0),
    ]
    others = [
        Packet(ICMP, NEAR, 77, FAR, 0, ECHO),
        Packet(99, NEAR, 0, FAR, 0),
        Packet(UDP, OTHER, 1, FAR, 53),
        Packet(UDP, OTHER, 2, FAR, 53),
    ]
    lab.exchange(("lan0", one) for one in (*plain, *others))
    hurried, flows = lab.ask(GATEWAY, _both_ways)

    assert len(hurried) == len(flows) >= len(plain) + len(others)
    for one, flow in zip(hurried, flows, strict=True):
        read = {name: getattr(one, name) for name in FlowEnds._fields if name != "reply_protocol"}
        assert read == {name: getattr(flow, name) for name in read}
    usual = {(one.protocol, one.src, one.sport) for one in hurried if isinstance(one, FlowEnds)}
    assert {(one.protocol, one.source, one.source_port) for one in plain} <= usual
    assert {(one.protocol, one.source, one.source_port) for one in others} & usual == set()


def _both_ways() -> tuple[list[Flow | FlowEnds], list[Flow]]:
    key = attrgetter("protocol", "src", "sport", "dst", "dport", "reply_dport")
    return sorted(ends.ends(), key=key), sorted(conntrack.flows(), key=key)


def test_filters(lab: Lab) -> None:
    lab.load(RULESET)
    lab.flight(("lan0", Packet(UDP, one, 5000, FAR, 53)) for one in (NEAR, OTHER))
    marked = lab.ask(GATEWAY, _marked)
    translated = lab.ask(GATEWAY, _translated)

    assert [one.src for one in marked] == [NEAR]
    assert [one.src for one in translated] == [NEAR]
    assert lab.ask(GATEWAY, _in_zone_5) == []


def _marked() -> list[Flow]:
    return _flows(mark=(0x100, 0xF00))


def _translated() -> list[Flow]:
    return _flows(status=(conntrack.SOURCE_NAT, conntrack.SOURCE_NAT))


def _in_zone_5() -> list[Flow]:
    return _flows(zone=5)


def _delete_near() -> tuple[int, int]:
    near = [one for one in conntrack.flows() if one.src == NEAR]
    return conntrack.delete(near), conntrack.delete(near)


def test_what_is_deleted_is_gone_and_the_rest_stays(lab: Lab) -> None:
    lab.load(RULESET)
    kinds = [
        *(Packet(UDP, NEAR, 5000 + n, FAR, 53) for n in range(250)),
        Packet(ICMP, NEAR, 77, FAR, 0, ECHO),
        Packet(TCP, NEAR, 5001, FAR, 443, SYN),
        Packet(GRE, NEAR, 0, FAR, 0),
        Packet(99, NEAR, 0, FAR, 0),
    ]
    lab.exchange(("lan0", one._replace(source=source)) for one in kinds for source in (NEAR, OTHER))
    deleted, again = lab.ask(GATEWAY, _delete_near)
    left = [one.src for one in lab.ask(GATEWAY, _flows) if one.dst == FAR]

    assert (deleted, again) == (len(kinds), 0)
    assert left == [OTHER] * len(kinds)
    assert lab.ask(GATEWAY, conntrack.count)[0] >= len(kinds)


@pytest.mark.parametrize(("words", "one_way"), [("zone", False), ("original zone", True)])
def test_zones_are_told_apart(lab: Lab, words: str, one_way: bool) -> None:
    lab.load(f"table ip t {{ chain c {{ type filter hook prerouting priority raw; ct {words} set 9; }}; }}")
    lab.flight([("lan0", Packet(UDP, NEAR, 5000, FAR, 53)), ("lan0", Packet(ICMP, NEAR, 77, FAR, 0, ECHO))])
    lab.reload("flush ruleset\n" + RULESET)
    lab.flight([("lan0", Packet(UDP, NEAR, 5000, FAR, 53))])
    found = [(one.zone, one.zone_one_way) for one in lab.ask(GATEWAY, _flows) if one.src == NEAR]

    assert sorted(found) == [(0, False), (9, one_way), (9, one_way)]
    assert lab.ask(GATEWAY, _delete_zone_9) == 2
    assert [one.zone for one in lab.ask(GATEWAY, _flows) if one.src == NEAR] == [0]


def _delete_zone_9() -> int:
    return conntrack.delete(_flows(zone=9))


def test_a_namespace_is_looked_into_from_outside(lab: Lab) -> None:
    lab.load(RULESET)
    lab.flight([("lan0", Packet(UDP, NEAR, 5000, FAR, 53))])
    sleeper = lab.ask(GATEWAY, _sleeper)
    namespace = f"/proc/{sleeper}/ns/net"
    try:
        found = [one for one in conntrack.flows(namespace) if one.src == NEAR]
        assert [one.dport for one in found] == [53]
        assert conntrack.delete(found, namespace) == 1
        assert not [one for one in conntrack.flows(namespace) if one.src == NEAR]
    finally:
        lab.ask(GATEWAY, _wake, sleeper)


def _sleeper() -> int:
    return subprocess.Popen(["sleep", "100"]).pid


def _wake(sleeper: int) -> None:

    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)


def test_a_namespace_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(KernelError, match="cannot open network namespace '/run/netns/no-such-ns'"):
        next(conntrack.flows("no-such-ns"))
