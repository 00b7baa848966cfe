"""Deterministic cgnat and nat pools: everybody comes out with the address and inside the block that `lookup`
says, and nobody with somebody else's."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import Range
from support.frames import GRE, ICMP, TCP, UDP
from support.lab import Lab
from support.packet_table import check, compare, predicted, probe, read_expectation, send, sources
from support.sites import site

FAR, FAR_AWAY = address("198.18.0.1"), address("198.19.0.1")

ALIGNED = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.0/20}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/26],
      limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896}}
"""
UNALIGNED_SUBSCRIBERS = """
nat_defaults: {port_block_size: 16}
acls:
  a: {10: allow ip 100.64.0.3-100.64.0.201, 20: allow ip host 100.64.9.9, 30: allow ip 10.0.0.77-10.0.1.13}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/27],
      limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
"""
ODD_GLOBALS = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.0/23}}
pools:
  p: {type: cgnat, acl: a, priority: 1, port_range: 10000-60001,
      global_ip: [203.0.113.7, 198.51.100.3-198.51.100.17, 203.0.113.128/29, 198.51.100.1],
      limits_peruser: {portlimit_tcp: 2048, portlimit_udp: 2048}}
"""
SUBSCRIBERS_OUT_OF_ORDER = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip any}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/28],
      subscribers: [10.7.0.0/25, 10.2.0.9, 10.3.3.0/26],
      limits_peruser: {portlimit_tcp: 1024, portlimit_udp: 1024}}
"""
OWN_LIMITS = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.0/24}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/29],
      limits_peruser: {portlimit_tcp: 100, portlimit_udp: 512, portlimit_icmp: 64}}
"""
SEVERAL_POOLS = """
nat_defaults: {port_block_size: 64}
acls:
  a: {10: allow ip 100.64.0.0/25}
  b: {10: allow ip 100.64.0.0/24 dst net 198.18.0.0/15}
  c: {10: allow ip 10.0.0.0/28}
pools:
  pa: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/29], port_range: 1024-30000}
  pb: {type: cgnat, acl: b, priority: 2, global_ip: [203.0.113.8/29], port_range: 2048:65535}
  pc: {type: nat, acl: c, priority: 3, allocation: deterministic, global_ip: [203.0.113.16/28]}
"""
WHOLE_ADDRESSES = """
acls: {a: {10: allow ip 10.0.0.5-10.0.0.40}}
pools:
  p: {type: nat, acl: a, priority: 1, allocation: deterministic,
      global_ip: [203.0.113.3-203.0.113.20, 198.51.100.64/27]}
"""
BY_ADDRESS = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.0/20}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/26], port_range: 1024-65535, fill: address,
      limits_peruser: {portlimit_tcp: 960, portlimit_udp: 512, portlimit_icmp: 960}}
"""
BY_ADDRESS_ODD = """
nat_defaults: {port_block_size: 100}
acls: {a: {10: allow ip any}}
pools:
  p: {type: cgnat, acl: a, priority: 1, port_range: 1024-64023, fill: address, hairpin: off,
      subscribers: [100.64.7.201-100.64.9.3, 10.0.0.77-10.0.1.13, 100.64.2.0/24, 10.9.0.9],
      global_ip: [203.0.113.7, 198.51.100.3-198.51.100.30, 203.0.113.128/28],
      limits_peruser: {portlimit_tcp: 2000, portlimit_udp: 2000}}
"""
BY_ADDRESS_RANDOM = BY_ADDRESS_ODD.replace("hairpin: off", "randomize_ports: on")
BY_ADDRESS_IN_ORDER = BY_ADDRESS_ODD.replace("hairpin: off", "randomize_ports: off")
BY_ADDRESS_LOW = BY_ADDRESS_ODD.replace("{port_block", "{portlimit_low: 64, low_to_all_udp: on, port_block")
BY_ADDRESS_LOW_CLAIMED = BY_ADDRESS_LOW.replace("hairpin: off", "hairpin: on")
BY_ADDRESS_FEW = """
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.3-100.64.0.40}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.5-203.0.113.9], fill: address,
      limits_peruser: {portlimit_tcp: 6400, portlimit_udp: 6400}}
"""

ALLOCATIONS = {
    "aligned": ALIGNED,
    "unaligned subscribers": UNALIGNED_SUBSCRIBERS,
    "odd globals": ODD_GLOBALS,
    "subscribers out of order": SUBSCRIBERS_OUT_OF_ORDER,
    "own limits": OWN_LIMITS,
    "several pools": SEVERAL_POOLS,
    "whole addresses": WHOLE_ADDRESSES,
    "by address": BY_ADDRESS,
    "by address, odd": BY_ADDRESS_ODD,
    "by address, random ports": BY_ADDRESS_RANDOM,
    "by address, ports in order": BY_ADDRESS_IN_ORDER,
    "by address, low ports": BY_ADDRESS_LOW,
    "by address, low ports, mapping entries": BY_ADDRESS_LOW_CLAIMED,
    "by address, few subscribers": BY_ADDRESS_FEW,
}


def members(runs: tuple[Range, ...], count: int) -> list[int]:
    """The ends of every run, and some between."""
    found = {end for run in runs for end in run}
    dice = random.Random(1)
    while len(found) < min(count, sum(run.size for run in runs)):
        run = dice.choice(runs)
        found.add(dice.randint(run.first, run.last))
    return sorted(found)


@pytest.mark.parametrize("text", ALLOCATIONS.values(), ids=ALLOCATIONS)
def test_everybody_comes_out_where_lookup_says(lab: Lab, text: str) -> None:
    compiled = site(text)
    packets, expected = [], []
    taken: tuple[Range, ...] = ()
    for allocation in compiled.allocations:
        for subscriber in members(allocation.subscribers, 150):
            if any(run.first <= subscriber <= run.last for run in taken):
                continue
            for protocol in (TCP, UDP, ICMP, GRE, 253):
                # Protocols without ports have one session for each global address and destination.
                far = FAR_AWAY + len(packets) if protocol in (GRE, 253) else FAR
                packets.append(probe(protocol, subscriber, far, 443))
                expected.append(predicted(compiled, allocation.pool.name, packets[-1][1]))
        taken += allocation.subscribers
    lab.load(compiled.text.text)
    outcomes = lab.exchange(packets)
    for (_, packet), source, outcome in zip(packets, expected, outcomes, strict=True):
        stays = read_expectation(compiled, "untranslated", packet)
        assert stays
        assert compare(packet, stays._replace(source=source), outcome) == "", str(packet)


def test_a_million_subscribers(lab: Lab) -> None:
    compiled = site("""
acls: {a: {10: allow ip 100.64.0.0/12}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [198.51.0.0/18],
      limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896}}
""")
    lab.load(compiled.text.text)
    packets = [probe(UDP, one, FAR, 53) for one in members(compiled.allocations[0].subscribers, 500)]
    for (_, packet), outcome in zip(packets, lab.exchange(packets), strict=True):
        ((_, out),) = outcome.out
        assert predicted(compiled, "p", packet).holds(out.source, out.source_port)


SMALL_BLOCKS = """
nat_defaults: {port_block_size: 8}
acls: {a: {10: allow ip 100.64.0.0/29}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.9, 203.0.113.10], hairpin: off,
      limits_peruser: {portlimit_tcp: 8, portlimit_udp: 16, portlimit_icmp: 16}}
"""


def test_a_full_block_drops_and_nobody_else_notices(lab: Lab) -> None:
    """Ports are for each protocol apart: 8 tcp, 16 udp, 16 ids of icmp; no more leave."""
    compiled = site(SMALL_BLOCKS)
    lab.load(compiled.text.text)
    for protocol, ports in ((TCP, 8), (UDP, 16), (ICMP, 16)):
        greedy = lab.exchange(probe(protocol, address("100.64.0.3"), FAR, 443) for _ in range(ports + 4))
        left = [one for one in greedy if any(seen.wire == "wan0" for seen in one.out)]
        assert left == greedy[:ports]
        assert len(set(sources(left))) == ports
        others = [probe(protocol, address("100.64.0.0") + n, FAR, 443) for n in range(8) if n != 3]
        assert all(one.out and one.back for one in lab.exchange(others))
    send(lab, compiled, "253 100.64.0.3 > 198.18.0.1 -> pool p")


def test_a_full_block_is_full_for_one_destination_only(lab: Lab) -> None:
    """Without mapping entries a port serves several sessions, as long as they go to other destinations."""
    compiled = site(SMALL_BLOCKS)
    lab.load(compiled.text.text)
    for far in (FAR, FAR + 1, FAR + 2):
        packets = [probe(TCP, address("100.64.0.3"), far, 443) for _ in range(8)]
        assert len(set(sources(lab.exchange(packets)))) == 8


@pytest.mark.parametrize("protocol", [TCP, UDP, ICMP])
def test_subscribers_never_share_ports(lab: Lab, protocol: int) -> None:
    """Sixty-four subscribers fill two addresses, everybody with the same source ports."""
    compiled = site("""
nat_defaults: {port_block_size: 16}
acls: {a: {10: allow ip 100.64.0.0/26}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.4/31],
      limits_peruser: {portlimit_tcp: 32, portlimit_udp: 32}}
""")
    lab.load(compiled.text.text)
    everybody = islice(range(address("100.64.0.0"), 1 << 32), 64)
    packets = []
    for subscriber in everybody:
        for port in range(1100, 1110):
            wire, packet = probe(protocol, subscriber, FAR, 443)
            packets.append((wire, packet._replace(source_port=port)))
    outcomes = lab.exchange(packets)
    assert all(len(one.out) == 1 and one.back for one in outcomes)
    assert len(set(sources(outcomes))) == len(packets)
    for (_, packet), outcome in zip(packets, outcomes, strict=True):
        out = outcome.out[0].packet
        assert predicted(compiled, "p", packet).holds(out.source, out.source_port)


def test_subscribers_beyond_those_of_the_pool_are_no_hit(lab: Lab) -> None:
    compiled = site(SUBSCRIBERS_OUT_OF_ORDER)
    check(
        lab,
        compiled,
        """
        udp 10.7.0.127:5000 > 198.18.0.1:53    -> pool p
        udp 10.7.0.128:5000 > 198.18.0.1:53    -> untranslated
        udp 10.2.0.9:5000 > 198.18.0.1:53      -> pool p
        udp 10.2.0.8:5000 > 198.18.0.1:53      -> untranslated
        tcp 10.3.3.63:5000 > 198.18.0.1:80     -> pool p
        gre 10.3.3.64 > 198.18.0.1             -> untranslated
        """,
    )


def test_a_source_port_in_the_block_is_kept(lab: Lab) -> None:
    compiled = site(ALIGNED)
    inside = predicted(compiled, "p", probe(UDP, address("100.64.5.5"), FAR)[1])
    port = inside.ports.first + 17
    check(
        lab,
        compiled,
        f"udp 100.64.5.5:{port} > 198.18.0.1:53 -> from {inside._replace(ports=Range(port, port))}",
    )


def test_two_destinations_see_the_same_mapping(lab: Lab) -> None:
    """The kernel's endpoint-independent mapping, best effort; certain while the block is empty."""
    compiled = site(ALIGNED)
    packets = []
    for far in range(FAR, FAR + 20):
        wire, packet = probe(UDP, address("100.64.5.5"), far, 53)
        packets.append((wire, packet._replace(source_port=40000)))
    lab.load(compiled.text.text)
    assert len(set(sources(lab.exchange(packets)))) == 1


BUSINESS = """
acls: {a: {10: allow ip 10.20.0.0/28}}
pools:
  p: {type: nat, acl: a, priority: 1, allocation: deterministic,
      global_ip: [203.0.113.32/28], allow_external_connect: SWITCH}
"""


def test_nat_pool_with_external_connections(lab: Lab) -> None:
    check(
        lab,
        site(BUSINESS.replace("SWITCH", "on")),
        """
        tcp 10.20.0.3:1000 > 198.18.0.1:80          -> from 203.0.113.35:1000
        udp 10.20.0.15:53 > 198.18.0.1:53           -> from 203.0.113.47:53
        icmp 10.20.0.0:7 > 198.18.0.1               -> from 203.0.113.32:7
        gre 10.20.0.3 > 198.18.0.1                  -> from 203.0.113.35
        253 10.20.0.3 > 198.18.0.1                  -> from 203.0.113.35
        tcp@wan0 198.18.0.9:999 > 203.0.113.35:22   -> to 10.20.0.3:22
        udp@wan0 198.18.0.9:999 > 203.0.113.32:53   -> to 10.20.0.0:53
        icmp@wan0 198.18.0.9:99 > 203.0.113.47      -> to 10.20.0.15
        gre@wan0 198.18.0.9 > 203.0.113.40          -> to 10.20.0.8
        """,
    )


def test_nat_pool_without_external_connections(lab: Lab) -> None:
    check(
        lab,
        site(BUSINESS.replace("SWITCH", "off")),
        """
        tcp 10.20.0.3:1000 > 198.18.0.1:80          -> from 203.0.113.35:1000
        tcp@wan0 198.18.0.9:999 > 203.0.113.35:22   -> drop
        icmp@wan0 198.18.0.9:99 > 203.0.113.47      -> drop
        gre@wan0 198.18.0.9 > 203.0.113.40          -> drop
        """,
    )


def test_nat_pool_with_unaligned_subscribers_in_both_directions(lab: Lab) -> None:
    compiled = site(WHOLE_ADDRESSES)
    lab.load(compiled.text.text)
    for subscriber in members((addresses("10.0.0.5-10.0.0.40"),), 36):
        wire, packet = probe(UDP, subscriber, FAR, 53)
        source = predicted(compiled, "p", packet)
        inbound = ("wan0", packet._replace(source=FAR, destination=source.addresses.first))
        outcome, back = lab.exchange([(wire, packet), inbound])
        assert source.holds(outcome.out[0].packet.source, outcome.out[0].packet.source_port)
        assert [seen.packet.destination for seen in back.out] == [subscriber]
