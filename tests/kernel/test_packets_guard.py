"""What must not happen: a subscriber's address on the outside, unsolicited packets that come in or loop,
and a gateway that translates what is not its subscribers'."""

from __future__ import annotations

import socket

import pytest

from nfcompile.model.parse import address
from support.frames import ACK, FIN, ICMP, RST, SYN, TCP, UDP, UNREACHABLE, Packet, datagram, fragments
from support.lab import Lab, Seen
from support.packet_table import check, predicted, probe, send
from support.sites import site
from support.waiting import PATIENCE
from support.wires import GATEWAY, GATEWAY_ADDRESS, WIRE

HOMES = """
nat_defaults: {port_block_size: 64, permit_invalid_flow: PERMIT}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  lines: {10: allow tcp 10.0.0.0/28, 20: allow ip 10.0.0.0/28 dst net 198.18.0.0/24}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  lines: {type: nat, acl: lines, priority: 2, allocation: deterministic,
          global_ip: [203.0.114.0/28], allow_external_connect: off}
  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/28],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
"""
STRICT, PERMISSIVE = HOMES.replace("PERMIT", "off"), HOMES.replace("PERMIT", "on")
SUBSCRIBERS = ("100.64.0.9", "10.0.0.3", "192.168.0.5")
FAR = address("198.18.0.1")
LOOSE = "net/netfilter/nf_conntrack_tcp_loose"

ODD_SEGMENTS = {
    "ack": ACK,
    "rst": RST,
    "fin": FIN,
    "fin ack": FIN | ACK,
    "syn ack": SYN | ACK,
    "syn fin": SYN | FIN,
    "syn rst": SYN | RST,
    "none": 0,
}


@pytest.mark.parametrize("loose", ["0", "1"])
def test_a_segment_without_syn_does_not_leave(lab: Lab, loose: str) -> None:
    lab.load(site(STRICT).text.text)
    with lab.sysctl(LOOSE, loose):
        assert {name: places for name, places in odd_segments(lab).items() if places} == {}


@pytest.mark.parametrize("loose", ["0", "1"])
def test_with_permit_invalid_flow_it_leaves_translated_or_not_at_all(lab: Lab, loose: str) -> None:
    """Translated, if the kernel starts a connection with it; what conntrack calls invalid never does."""
    lab.load(site(PERMISSIVE).text.text)
    with lab.sysctl(LOOSE, loose):
        found = odd_segments(lab)
    subscribers = {address(one) for one in SUBSCRIBERS}
    leaks = {
        name: seen for name, places in found.items() for seen in places if seen.packet.source in subscribers
    }
    assert leaks == {}
    if loose == "1":
        assert all(found[one, "ack"] for one in SUBSCRIBERS)


def odd_segments(lab: Lab) -> dict[tuple[str, str], tuple[Seen, ...]]:
    """Where the odd segments of each subscriber come out."""
    asked = {(one, name): probe(TCP, address(one), FAR, 80) for one in SUBSCRIBERS for name in ODD_SEGMENTS}
    packets = [
        (wire, packet._replace(flags=ODD_SEGMENTS[name])) for (_, name), (wire, packet) in asked.items()
    ]
    return dict(zip(asked, lab.flight(packets), strict=True))


def test_a_lone_echo_reply_does_not_leave(lab: Lab) -> None:
    for text in (STRICT, PERMISSIVE):
        lab.load(site(text).text.text)
        for subscriber in SUBSCRIBERS:
            wire, packet = probe(ICMP, address(subscriber), FAR)
            (places,) = lab.flight([(wire, packet._replace(flags=0))])
            assert [seen for seen in places if seen.packet.source == packet.source] == []


def test_untracked_packets_do_not_leave(lab: Lab) -> None:
    """Somebody else's table takes packets from conntrack, and so from translation."""
    lab.load(site(STRICT).text.text)
    lab.reload("""table ip somebody_else {
        chain before {
            type filter hook prerouting priority raw
            udp dport 9 notrack
        }
    }""")
    for subscriber in ("100.64.0.9", "192.168.0.5"):
        assert lab.flight([probe(UDP, address(subscriber), FAR, 9)]) == [()]
        assert lab.flight([probe(UDP, address(subscriber), FAR, 10)]) != [()]


def test_a_session_from_before_the_ruleset_does_not_leave(lab: Lab) -> None:
    lab.load("table ip before {\n chain c {\n type filter hook forward priority 0\n ct state new\n }\n}\n")
    wire, packet = probe(UDP, address("100.64.0.9"), FAR, 53)
    (outcome,) = lab.exchange([(wire, packet)])
    assert outcome.out[0].packet.source == packet.source
    lab.reload(site(STRICT).text.text)
    assert lab.flight([(wire, packet)]) == [()]


def test_nor_does_one_that_a_dnat_rule_has_rewritten(lab: Lab) -> None:
    """Destination NAT alone is no translation of the source."""
    dnat = "dnat: {names: {protocol: udp, dst_port: 53, dnat_port: 5353}}\n"
    lab.load(site(dnat).text.text)
    wire, packet = probe(UDP, address("100.64.0.9"), FAR, 53)
    (outcome,) = lab.exchange([(wire, packet)])
    assert (outcome.out[0].packet.source, outcome.out[0].packet.destination_port) == (packet.source, 5353)
    lab.reload(site(STRICT).text.text)
    assert lab.flight([(wire, packet)]) == [()]


def test_unsolicited_packets_are_dropped_and_do_not_loop(lab: Lab) -> None:
    """The global addresses have no route but the default one: not one packet may come out anywhere."""
    check(
        lab,
        site(STRICT),
        """
        tcp@wan0 198.18.0.9:999 > 203.0.113.5:2000    -> drop
        udp@wan0 198.18.0.9:999 > 203.0.113.5:80      -> drop
        icmp@wan0 198.18.0.9:9 > 203.0.113.15         -> drop
        gre@wan0 198.18.0.9 > 203.0.113.0             -> drop
        ack@wan0 198.18.0.9:999 > 203.0.113.5:2000    -> drop
        tcp@wan0 198.18.0.9:999 > 203.0.114.3:2000    -> drop
        tcp@wan0 198.18.0.9:999 > 200.0.0.3:2000      -> to 192.168.0.5
        udp 10.9.9.9:999 > 203.0.113.5:80             -> drop     # from inside, too
        """,
    )
    for counter, packets in (("dropped_unsolicited", 6), ("dropped_midstream", 1)):
        assert f"packets {packets} " in lab.must("nft", "list", "counter", "ip", "nfcompile", counter)


ROUTED_INSIDE = """
interfaces: {inside: [lan0], outside: [wan0]}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools: {homes: {type: cgnat, priority: 1, acl: homes, global_ip: [10.1.7.0/28]}}
"""


def test_unsolicited_packets_are_dropped_wherever_the_routes_lead(lab: Lab) -> None:
    """The gateway has a route for the global addresses: to lan1, which is no interface of the site."""
    check(
        lab,
        site(ROUTED_INSIDE),
        """
        udp@wan0 198.18.0.9:999 > 10.1.7.5:80         -> drop
        tcp@wan0 198.18.0.9:999 > 10.1.7.5:2000       -> drop
        gre@wan0 198.18.0.9 > 10.1.7.0                -> drop
        udp 100.64.0.9:999 > 10.1.7.5:80              -> drop
        udp@wan0 198.18.0.9:999 > 10.1.8.5:80         -> to 10.1.8.5
        udp 100.64.0.9:999 > 198.18.0.1:80            -> pool homes
        """,
    )
    assert "packets 4 " in lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_unsolicited")


def test_another_peer_is_unsolicited(lab: Lab) -> None:
    """Address and port dependent filtering: only who was asked may answer."""
    compiled = site(STRICT)
    (outcome,) = check(lab, compiled, "udp 100.64.0.9:5000 > 198.18.0.1:53 -> pool homes")
    out = outcome.out[0].packet
    mapped = out.source_port
    right = Packet(UDP, FAR, 53, out.source, mapped)
    wrong = [
        right._replace(source=FAR + 1),
        right._replace(source_port=54),
        right._replace(destination_port=mapped - 1),
    ]
    first, *others = lab.flight(("wan0", packet) for packet in (right, *wrong))
    assert [seen.packet.destination for seen in first] == [address("100.64.0.9")]
    assert others == [(), (), ()]


def test_icmp_errors_find_the_subscriber(lab: Lab) -> None:
    """Path MTU discovery and traceroute: what the error quotes is translated back."""
    compiled = site(STRICT)
    table = """
        udp 100.64.0.9:5000 > 198.18.0.1:53    -> pool homes
        udp 192.168.0.5:5000 > 198.18.0.1:53   -> from 200.0.0.3:5000
        """
    router = address("198.18.77.1")
    for outcome, subscriber in zip(check(lab, compiled, table), ("100.64.0.9", "192.168.0.5"), strict=True):
        out = outcome.out[0].packet
        error = Packet(ICMP, router, 0, out.source, 0, UNREACHABLE, out.token, quoted=datagram(out))
        ((seen,),) = lab.flight([("wan0", error)])
        assert seen.wire == "lan0"
        assert (seen.packet.source, seen.packet.destination) == (router, address(subscriber))
        quoted = seen.packet.quoted
        assert quoted[12:16] == address(subscriber).to_bytes(4, "big")
        assert quoted[20:22] == (5000).to_bytes(2, "big")


def test_an_icmp_error_about_nothing_is_dropped(lab: Lab) -> None:
    lab.load(site(STRICT).text.text)
    never_sent = Packet(UDP, address("203.0.113.5"), 2000, FAR, 53, token=lab.token())
    error = Packet(
        ICMP, FAR, 0, never_sent.source, 0, UNREACHABLE, never_sent.token, quoted=datagram(never_sent)
    )
    assert lab.flight([("wan0", error)]) == [()]


def test_fragments_are_translated_as_one(lab: Lab) -> None:
    """All fragments of a packet leave with the same address, the first one with its port."""
    compiled = site(STRICT)
    lab.load(compiled.text.text)
    wire, packet = probe(UDP, address("100.64.0.9"), FAR, 53)
    packet = packet._replace(token=lab.token())
    for data in fragments(packet, WIRE[wire].mac(1), WIRE[wire].mac(2), 800, bytes(1200)):
        lab.put(wire, data)
    seen = [one for one in lab.drain() if one.wire == "wan0" and one.packet.token == packet.token]
    assert len(seen) == 1
    assert predicted(compiled, "homes", packet).holds(seen[0].packet.source, seen[0].packet.source_port)


def test_what_is_not_a_subscribers_is_untouched(lab: Lab) -> None:
    """Inside to inside, outside to outside, interfaces that the site does not name."""
    check(
        lab,
        site("interfaces: {inside: [lan0, lan1], outside: [wan0]}" + STRICT),
        """
        tcp 100.64.0.9:1000 > 10.1.0.5:80             -> untranslated
        udp 10.1.0.5:1000 > 100.64.0.9:80             -> untranslated
        tcp 192.168.0.5:1000 > 100.64.0.9:80          -> untranslated
        gre 100.64.0.9 > 10.1.0.5                     -> untranslated
        ack 100.64.0.10 > 10.1.0.5:80                 -> untranslated   # also without SYN
        tcp@wan0 198.18.0.9:999 > 10.1.0.5:80         -> untranslated   # a route is no firewall
        udp@wan0 198.18.0.9:999 > 192.168.0.5:161     -> drop           # its answer would leave as it is
        icmp@wan0 198.18.0.9:999 > 100.64.0.9         -> drop
        udp 100.64.0.9:1000 > 198.18.1.5:53           -> untranslated   # leaves by wan1
        udp@lan0.102 192.168.1.2:1000 > 198.18.0.1:53 -> untranslated
        """,
    )


ANY = """
acls: {all: {10: allow ip any}}
pools:
  p: {type: nat, acl: all, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/30]}
"""


@pytest.mark.parametrize(
    "text", [STRICT, "snat: {all: {snat_ip: 172.32.0.1}}", ANY], ids=["pools", "snat", "any source"]
)
def test_the_gateways_own_traffic_is_untouched(lab: Lab, text: str) -> None:
    """Both ways: a resolver on the gateway, and its management; where an acl allows any source, too."""
    lab.load(site(text).text.text)
    gateway = address(GATEWAY_ADDRESS)
    with lab.socket(GATEWAY, socket.SOCK_DGRAM, (GATEWAY_ADDRESS, 5353)) as own:
        token = lab.token()
        own.sendto(token.to_bytes(8, "big"), ("198.18.0.1", 53))
        seen = [one for one in lab.drain() if one.packet.token == token]
        assert [(one.wire, one.packet.source, one.packet.source_port) for one in seen] == [
            ("wan0", gateway, 5353)
        ]
        for wire, source in (("wan0", "198.18.0.9"), ("lan0", "100.64.0.9")):
            lab.flight([(wire, Packet(UDP, address(source), 7, gateway, 5353))])
            own.settimeout(PATIENCE)
            assert own.recvfrom(100)[1] == (source, 7)


def test_counters_tell_what_was_dropped(lab: Lab) -> None:
    compiled = site("""
nat_defaults: {port_block_size: 8}
acls: {a: {10: allow ip 100.64.0.0/29}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.9],
      limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8}}
""")
    lab.load(compiled.text.text)
    send(
        lab,
        compiled,
        "ack 100.64.0.1:1000 > 198.18.0.1:80 -> drop\nudp@wan0 198.18.0.1 > 203.0.113.9:80 -> drop",
    )
    listing = lab.must("nft", "list", "counters")
    counted = [line.split()[1] for line in listing.splitlines() if line.strip().startswith("packets")]
    assert counted.count("1") == 2


def test_real_sockets(lab: Lab) -> None:
    """A TCP connection between two kernels, subscriber and server, a last proof of the lab's own frames."""
    lab.load(site(STRICT).text.text)
    with lab.connection("100.64.0.9", "198.18.0.200") as (near, far):
        near.sendall(b"hello")
        assert far.recv(100) == b"hello"
        far.sendall(b"world")
        assert near.recv(100) == b"world"
        assert far.getpeername()[0] == "203.0.113.9"
