"""Sources that cannot be where they come from, and connections that are opened to a subscriber's own address:
no private and no global source leaves as it is, and no subscriber is silenced."""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import ICMP, RST, SYN, TCP, UDP, UNREACHABLE, Packet, datagram
from support.lab import Lab, Outcome
from support.packet_table import check, predicted, probe
from support.sites import site

HOMES = """
nat_defaults: {port_block_size: 64, strict_sources: STRICT}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  tcp: {10: allow tcp 10.0.0.0/28}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/28], hairpin: HAIRPIN,
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  tcp: {type: nat, acl: tcp, priority: 4, allocation: deterministic, global_ip: [203.0.114.0/28]}
snat: {gre: {protocol: gre, snat_ip: 172.32.0.201}}
gateway: {secondary_ips: [172.32.0.203]}
"""


def homes(hairpin: str = "on", strict: str = "off") -> str:
    return HOMES.replace("HAIRPIN", hairpin).replace("STRICT", strict)


SITES = pytest.mark.parametrize("hairpin", ["on", "off"])
VICTIM, PEER, ATTACKER = address("100.64.0.7"), address("198.18.0.9"), address("100.64.0.9")
FAR = address("198.18.0.1")


def leaks(outcomes: list[Outcome]) -> list[str]:
    return [f"{seen.packet} at {seen.wire}" for one in outcomes for seen in one.out]


@SITES
def test_a_global_address_is_no_source_of_the_inside(lab: Lab, hairpin: str) -> None:
    """A framed subscriber, and one whose ports towards a server are all taken by packets that only look like
    its own."""
    compiled = site(homes(hairpin))
    check(
        lab,
        compiled,
        """
        tcp@lan0 203.0.113.3:5000 > 198.18.0.1:80   -> drop
        udp@lan0 203.0.113.3:5000 > 198.18.0.1:80   -> drop
        icmp@lan0 203.0.113.3 > 198.18.0.1          -> drop
        gre@lan0 203.0.113.3 > 198.18.0.1           -> drop
        udp@lan0 200.0.0.3:5000 > 198.18.0.1:80     -> drop
        udp@lan0 203.0.114.3:5000 > 198.18.0.1:80   -> drop
        tcp@lan0 172.32.0.201:5000 > 198.18.0.1:80  -> drop    # an snat rule's
        tcp@lan0 172.32.0.203:5000 > 198.18.0.1:80  -> drop    # a secondary one
        tcp@lan0 203.0.113.3:5000 > 200.0.0.3:80    -> drop    # towards another subscriber, too
        udp@wan0 203.0.113.3:5000 > 200.0.0.3:80    -> drop    # nor of the outside
        udp@wan0 172.32.0.203:5000 > 10.9.9.9:80    -> drop
        """,
    )
    out = predicted(compiled, "homes", Packet(UDP, VICTIM, 1, FAR, 53))
    block = [
        ("lan0", Packet(UDP, out.addresses.first, port, FAR, 53))
        for port in range(out.ports.first, out.ports.last + 1)
    ]
    assert leaks(lab.exchange(block)) == []
    sockets = lab.exchange([probe(UDP, VICTIM, FAR, 53) for _ in range(20)])
    assert sum(bool(one.out and one.back) for one in sockets) >= 19


def test_nor_against_a_dnat_rule(lab: Lab) -> None:
    rule = "dnat: {web: {protocol: tcp, dst_port: 80, dnat_ip: 198.18.0.200, dnat_port: 8080}}\n"
    check(
        lab,
        site(homes() + rule),
        """
        tcp@lan0 203.0.113.3:5000 > 198.18.0.1:80   -> drop
        tcp 100.64.0.7:5000 > 198.18.0.1:80         -> pool homes
        """.replace("pool homes", "from 203.0.113.0-203.0.113.15:1024-65535 to 198.18.0.200:8080"),
    )


@SITES
def test_a_forged_reply_from_inside_opens_nothing(lab: Lab, hairpin: str) -> None:
    """`198.18.0.9:123 > 100.64.0.7:123` from inside: the subscriber's own query would count as the answer."""
    lab.load(site(homes(hairpin)).text.text)
    for protocol in (UDP, TCP):
        forged = Packet(protocol, PEER, 123, VICTIM, 123, SYN if protocol == TCP else 0)
        assert leaks(lab.exchange([("lan0", forged)])) == []
        query = Packet(protocol, VICTIM, 123, PEER, 123, SYN if protocol == TCP else 0)
        (outcome,) = lab.exchange([("lan0", query)])
        assert [seen.packet.source >> 4 for seen in outcome.out] == [address("203.0.113.0") >> 4]
        assert len(outcome.back) == 1


@SITES
def test_nor_does_a_host_outside_that_knows_the_private_address(lab: Lab, hairpin: str) -> None:
    compiled = site(homes(hairpin))
    check(
        lab,
        compiled,
        """
        tcp@wan0 198.18.0.9:4444 > 100.64.0.7:22     -> drop
        udp@wan0 198.18.0.9:4444 > 100.64.0.7:22     -> drop
        icmp@wan0 198.18.0.9 > 100.64.0.7            -> drop
        udp@wan0 198.18.0.9:4444 > 192.168.0.5:22    -> drop
        tcp 100.64.0.7:22 > 198.18.0.9:4444          -> pool homes
        udp 100.64.0.7:22 > 198.18.0.9:4444          -> pool homes
        udp@wan0 100.64.0.7:5000 > 198.18.0.77:53    -> drop            # in the name of a subscriber
        udp 100.64.0.7:5000 > 198.18.0.77:53         -> pool homes
        udp 100.64.0.7:22 > 100.64.0.9:4444          -> untranslated    # inside stays as it is
        udp@wan0 198.18.0.9:4444 > 10.0.0.5:22       -> untranslated    # no pool takes all of 10.0.0.5
        """,
    )
    listing = lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_private")
    assert "packets 4 " in listing


PARTLY = """
nat_defaults: {port_block_size: 64}
acls:
  no-mail: {10: deny tcp any dst any dport 25, 20: allow ip 100.64.0.0/24}
  office: {10: allow ip 10.0.0.0/28 dst 198.18.0.0/28}
  servers: {10: deny ip any dst 198.18.0.50}
pools:
  servers: {type: static, acl: servers, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  homes: {type: cgnat, acl: no-mail, priority: 3, global_ip: [203.0.113.0/28], hairpin: HAIRPIN,
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  office: {type: nat, acl: office, priority: 4, global_ip: [203.0.114.0/28]}
"""
"""No pool takes all of any source."""


@SITES
def test_subscribers_of_some_destinations_are_closed_to_those(lab: Lab, hairpin: str) -> None:
    """Neither the outside nor an inside host in its name opens what the subscriber's own query would pass by;
    where the pool does not translate, connections come from outside as before."""
    compiled = site(PARTLY.replace("HAIRPIN", hairpin))
    check(
        lab,
        compiled,
        """
        udp@wan0 198.18.0.9:123 > 100.64.0.7:123     -> drop
        udp 100.64.0.7:123 > 198.18.0.9:123          -> pool homes
        udp@lan0 198.18.0.9:124 > 100.64.0.7:124     -> drop            # from inside, in a server's name
        udp 100.64.0.7:124 > 198.18.0.9:124          -> pool homes
        udp@wan0 100.64.0.7:125 > 198.18.0.77:125    -> drop            # in the subscriber's name
        udp 100.64.0.7:125 > 198.18.0.77:125         -> pool homes
        tcp@wan0 198.18.0.9:443 > 100.64.0.7:22      -> drop
        tcp@wan0 198.18.0.9:25 > 100.64.0.7:22       -> untranslated    # its answer, too
        icmp@wan0 198.18.0.9 > 100.64.0.7            -> drop
        gre@wan0 198.18.0.9 > 10.0.0.5               -> drop
        gre@wan0 198.18.0.99 > 10.0.0.5              -> untranslated
        udp@wan0 198.18.0.9:4444 > 192.168.0.5:22    -> drop
        udp@wan0 198.18.0.50:4444 > 192.168.0.5:22   -> untranslated
        udp 100.64.0.7:22 > 10.0.0.5:4444            -> untranslated    # inside stays as it is
        """,
    )
    listing = lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_private")
    assert "packets 6 " in listing


@SITES
def test_nor_do_their_older_connections_leave_untranslated(lab: Lab, hairpin: str) -> None:
    """A connection from before the pools is not translated any more; others of the same subscriber go on."""
    lab.load("table ip before {\n chain c {\n type filter hook forward priority 0\n ct state new\n }\n}\n")
    mine, other = address("10.0.0.5"), address("198.18.0.99")
    old = [("lan0", Packet(UDP, mine, 900, far, 53)) for far in (FAR, other)]
    assert all(len(one.out) == 1 for one in lab.exchange(old))
    lab.reload(site(PARTLY.replace("HAIRPIN", hairpin)).text.text)
    query, untouched = lab.exchange(old)
    assert query.out == ()
    assert [seen.packet.source for seen in untouched.out] == [mine]


def test_a_port_unreachable_to_a_forged_source_does_not_leave(lab: Lab) -> None:
    """The forged datagram does not reach the host, and an error about it has no connection."""
    lab.load(site(homes()).text.text)
    for source in (address("203.0.113.5"), PEER):
        forged = Packet(UDP, source, 53, VICTIM, 999, token=lab.token())
        assert lab.flight([("lan0", forged)]) == [()]
        error = Packet(ICMP, VICTIM, 0, source, 0, UNREACHABLE, forged.token, quoted=datagram(forged))
        assert lab.flight([("lan0", error)]) == [()]


def test_strict_sources(lab: Lab) -> None:
    """What the site does not name stays; with the key off it leaves as it is."""
    table = """
        udp 100.64.0.7:5000 > 198.18.0.1:53   -> pool homes
        tcp 10.0.0.5:5000 > 198.18.0.1:53     -> pool tcp
        udp 10.0.0.5:5000 > 198.18.0.1:53     -> untranslated
        udp 10.9.9.9:5000 > 198.18.0.1:53     -> STRANGER
        icmp 10.9.9.9 > 198.18.0.1            -> STRANGER
        udp@wan0 198.18.0.9:5 > 10.0.0.5:53   -> untranslated
        udp 10.9.9.9:5000 > 10.1.0.1:53       -> untranslated
        """
    check(lab, site(homes()), table.replace("STRANGER", "untranslated"))
    compiled = site(homes(strict="on"))
    check(lab, compiled, table.replace("STRANGER", "drop"))
    wire, stranger = "wan0", Packet(UDP, PEER, 7, address("10.9.9.9"), 161)
    (outcome,) = lab.exchange([(wire, stranger)])
    assert (len(outcome.out), outcome.back) == (1, ())
    listing = lab.must("nft", "list", "counter", "ip", "nfcompile", "dropped_unnamed")
    assert "packets 3 " in listing


@SITES
def test_a_forged_error_shows_no_private_address(lab: Lab, hairpin: str) -> None:
    """Another subscriber quotes what the victim has sent, and would end its session; nor does it answer in
    the name of the server."""
    compiled = site(homes(hairpin))
    (outcome,) = check(lab, compiled, "udp 100.64.0.7:5000 > 198.18.0.1:53 -> pool homes")
    out = outcome.out[0].packet
    for kind in (3, 4, 11, 12):
        forged = Packet(ICMP, ATTACKER, 0, out.source, 0, kind, out.token, quoted=datagram(out))
        assert lab.flight([("lan0", forged)]) == [()], kind
        assert lab.flight([("wan0", forged._replace(source=FAR))]) != [()], kind
    answer = Packet(UDP, FAR, 53, out.source, out.source_port)
    assert lab.flight([("lan0", answer)]) == [()]
    ((seen,),) = lab.flight([("wan0", answer)])
    assert seen.packet.destination == VICTIM


def test_nor_does_one_about_what_the_outside_opened(lab: Lab) -> None:
    compiled = site(homes("on"))
    (outcome,) = check(lab, compiled, "udp@wan0 198.18.0.9:999 > 200.0.0.3:53 -> to 192.168.0.5")
    answer = outcome.back[0].packet
    forged = Packet(ICMP, ATTACKER, 0, answer.source, 0, UNREACHABLE, answer.token, quoted=datagram(answer))
    assert lab.flight([("lan0", forged)]) == [()]
    assert lab.flight([("wan0", forged._replace(source=PEER))]) != [()]


def test_errors_of_a_hairpin_pass_with_global_addresses(lab: Lab) -> None:
    """RFC 5508 REQ-7: what one subscriber's host says of a datagram of another."""
    compiled = site(homes("on"))
    there = "from 203.0.113.0-203.0.113.15:1024-65535 to 192.168.0.5:7"
    (across,) = check(lab, compiled, f"udp 100.64.0.7:6000 > 200.0.0.3:7 -> {there}")
    got = across.out[0].packet
    error = Packet(ICMP, got.destination, 0, got.source, 0, UNREACHABLE, got.token, quoted=datagram(got))
    ((seen,),) = lab.flight([("lan0", error)])
    assert (seen.packet.source, seen.packet.destination) == (address("200.0.0.3"), VICTIM)
    assert seen.packet.quoted[12:16] == VICTIM.to_bytes(4, "big")


def test_addresses_of_rules_never_loop(lab: Lab) -> None:
    """Routed to the gateway, and on no interface of it; from either side, whatever conntrack says of them."""
    check(
        lab,
        site(homes()),
        """
        tcp@wan0 198.18.0.9:999 > 172.32.0.201:80   -> drop
        ack@wan0 198.18.0.9:999 > 172.32.0.201:80   -> drop
        udp@wan0 198.18.0.9:999 > 172.32.0.203:80   -> drop
        icmp@wan0 198.18.0.9 > 172.32.0.203         -> drop
        gre@wan0 198.18.0.9 > 172.32.0.201          -> drop
        udp 100.64.0.7:999 > 172.32.0.203:80        -> drop
        udp@wan0 198.18.0.9:999 > 172.32.0.204:80   -> untranslated
        gre 100.64.0.7 > 198.18.0.1                 -> from 172.32.0.201
        """,
    )
    stray = Packet(TCP, PEER, 80, address("172.32.0.201"), 4242, RST)
    echo = Packet(ICMP, PEER, 7, address("172.32.0.203"), 0, 0)
    assert lab.flight([("wan0", stray), ("wan0", echo)]) == [(), ()]


def test_nor_does_one_about_a_socket_that_the_outside_reached(lab: Lab) -> None:
    """A mapping entry lets any host outside in, and the error of another subscriber went through."""
    compiled = site(
        """
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/28], filtering: endpoint_independent}
"""
    )
    (opened,) = check(lab, compiled, "udp 100.64.0.7:5000 > 198.18.0.1:53 -> pool homes")
    mapped = opened.out[0].packet
    (outcome,) = lab.exchange([("wan0", Packet(UDP, PEER, 999, mapped.source, mapped.source_port))])
    assert [seen.packet.destination for seen in outcome.out] == [VICTIM]
    answer = outcome.back[0].packet
    assert answer.source == mapped.source
    forged = Packet(ICMP, ATTACKER, 0, answer.source, 0, UNREACHABLE, answer.token, quoted=datagram(answer))
    assert lab.flight([("lan0", forged)]) == [()]
    assert lab.flight([("wan0", forged._replace(source=PEER))]) != [()]
