"""Static and fake pools: one to one both ways, with prefixes and VLANs; hairpin; what passes untouched."""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import UDP, Packet
from support.lab import Lab
from support.packet_table import check
from support.sites import site

SERVERS = """
pools:
  servers:
    type: static
    priority: 50
    allow_external_connect: CONNECT
    hairpin: HAIRPIN
    global_map:
      192.168.0.5: 200.0.0.3
      192.168.0.6: 200.0.0.1
      192.168.8.0/28: 200.0.8.16/28
"""


def servers(connect: str = "on", hairpin: str = "on") -> str:
    return SERVERS.replace("CONNECT", connect).replace("HAIRPIN", hairpin)


def test_both_directions(lab: Lab) -> None:
    check(
        lab,
        site(servers()),
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80         -> from 200.0.0.3:1000
        udp 192.168.0.6:1000 > 198.18.0.1:53         -> from 200.0.0.1:1000
        icmp 192.168.8.0:77 > 198.18.0.1             -> from 200.0.8.16:77
        gre 192.168.8.15 > 198.18.0.1                -> from 200.0.8.31
        253 192.168.8.7 > 198.18.0.1                 -> from 200.0.8.23
        udp 192.168.8.16:9 > 198.18.0.1:53           -> untranslated    # one past the prefix
        udp 192.168.0.7:9 > 198.18.0.1:53            -> untranslated
        tcp@wan0 198.18.0.9:999 > 200.0.0.3:22       -> to 192.168.0.5
        udp@wan0 198.18.0.9:999 > 200.0.8.31:53      -> to 192.168.8.15
        icmp@wan0 198.18.0.9:9 > 200.0.0.1           -> to 192.168.0.6
        gre@wan0 198.18.0.9 > 200.0.8.16             -> to 192.168.8.0
        253@wan0 198.18.0.9 > 200.0.8.20             -> to 192.168.8.4
        """,
    )


def test_no_external_connections(lab: Lab) -> None:
    check(
        lab,
        site(servers(connect="off")),
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80         -> from 200.0.0.3:1000
        udp 192.168.8.9:1000 > 198.18.0.1:53         -> from 200.0.8.25:1000
        tcp@wan0 198.18.0.9:999 > 200.0.0.3:22       -> drop
        udp@wan0 198.18.0.9:999 > 200.0.8.31:53      -> drop
        icmp@wan0 198.18.0.9:9 > 200.0.0.1           -> drop
        tcp@lan0 192.168.0.5:999 > 200.0.8.16:22     -> from 200.0.0.3 to 192.168.8.0   # a hairpin
        """,
    )


@pytest.mark.parametrize("connect", ["on", "off"])
def test_hairpin(lab: Lab, connect: str) -> None:
    """Each sees only the other's global address, and oneself the own one."""
    check(
        lab,
        site(servers(connect)),
        """
        tcp 192.168.0.5:1000 > 200.0.0.1:80          -> from 200.0.0.3:1000 to 192.168.0.6
        udp 192.168.8.3:1000 > 200.0.0.3:53          -> from 200.0.8.19:1000 to 192.168.0.5
        icmp 192.168.0.6:5 > 200.0.8.20              -> from 200.0.0.1:5 to 192.168.8.4
        gre 192.168.0.6 > 200.0.8.21                 -> from 200.0.0.1 to 192.168.8.5
        tcp 192.168.0.5:1001 > 200.0.0.3:80          -> from 200.0.0.3:1001 to 192.168.0.5
        tcp 192.168.0.99:1000 > 200.0.0.3:80         -> to 192.168.0.5                 # has no global address
        tcp 192.168.0.5:1000 > 192.168.0.6:80        -> untranslated                   # not a hairpin
        """,
    )


@pytest.mark.parametrize("connect", ["on", "off"])
def test_hairpin_off(lab: Lab, connect: str) -> None:
    check(
        lab,
        site(servers(connect, hairpin="off")),
        """
        tcp 192.168.0.5:1000 > 200.0.0.1:80          -> drop
        tcp 192.168.0.5:1001 > 200.0.0.3:80          -> drop
        udp 192.168.0.99:1000 > 200.0.8.16:80        -> drop
        tcp 192.168.0.5:1000 > 198.18.0.1:80         -> from 200.0.0.3:1000
        """,
    )


def test_hairpin_needs_both_pools(lab: Lab) -> None:
    """And goes across inside interfaces, from cgnat and from nat pools too."""
    check(
        lab,
        site("""
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  business: {10: allow ip 10.1.0.0/28}
  closed: {10: allow ip 10.0.9.0/28}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  shut: {type: static, priority: 2, hairpin: off, global_map: {192.168.0.6: 200.0.0.4}}
  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/28],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  business: {type: nat, acl: business, priority: 4, allocation: deterministic, global_ip: [203.0.113.16/28]}
  closed: {type: nat, acl: closed, priority: 5, allocation: deterministic, hairpin: off,
           global_ip: [203.0.113.32/28]}
"""),
        """
        tcp 100.64.0.77 > 200.0.0.3:80               -> pool homes to 192.168.0.5
        icmp 100.64.0.78 > 200.0.0.3                 -> pool homes to 192.168.0.5
        tcp 10.1.0.5:1000 > 200.0.0.3:80             -> from 203.0.113.21:1000 to 192.168.0.5
        udp 192.168.0.5:1000 > 203.0.113.21:53       -> from 200.0.0.3:1000 to 10.1.0.5
        udp 10.1.0.6:1000 > 203.0.113.21:53          -> from 203.0.113.22:1000 to 10.1.0.5
        udp 10.1.0.6:1001 > 203.0.113.22:53          -> from 203.0.113.22:1001 to 10.1.0.6
        udp 192.168.0.5:1000 > 203.0.113.33:53       -> drop    # off where the packet goes
        udp 10.0.9.1:1000 > 200.0.0.3:53             -> drop    # off where it comes from
        udp 192.168.0.6:1000 > 200.0.0.3:53          -> drop
        udp 10.0.9.1:1000 > 198.18.0.1:53            -> from 203.0.113.33:1000
        tcp 100.64.0.77 > 203.0.113.5:2000           -> drop     # nobody has mapped that port
        """,
    )


def test_vlan(lab: Lab) -> None:
    """The same entry is somebody else on another interface; the way back follows the routes."""
    check(
        lab,
        site("""
nat_defaults: {vlan_mode: vlan}
pools:
  servers:
    type: static
    priority: 50
    global_map: {192.168.0.5: 200.0.0.3, 192.168.1.2~102: 200.0.0.4, 10.102.8.0/28~102: 200.0.8.0/28}
"""),
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80            -> from 200.0.0.3:1000
        tcp@lan0.102 192.168.1.2:1000 > 198.18.0.1:80   -> from 200.0.0.4:1000
        gre@lan0.102 192.168.1.2 > 198.18.0.1           -> from 200.0.0.4
        udp@lan0.102 10.102.8.3:1000 > 198.18.0.1:53    -> from 200.0.8.3:1000
        udp@lan0.102 10.102.8.16:1000 > 198.18.0.1:53   -> untranslated
        tcp@wan0 198.18.0.9:999 > 200.0.0.4:22          -> to 192.168.1.2
        tcp@wan0 198.18.0.9:999 > 200.0.8.15:22         -> to 10.102.8.15
        udp 192.168.0.5:1000 > 200.0.0.4:53             -> from 200.0.0.3 to 192.168.1.2
        udp@lan0.102 192.168.1.2:1000 > 200.0.8.1:53    -> from 200.0.0.4 to 10.102.8.1
        """,
    )


def test_a_prefix_of_two(lab: Lab) -> None:
    """The smallest prefix, in a pool that has no other entry."""
    check(
        lab,
        site("""
nat_defaults: {vlan_mode: vlan}
pools:
  plain: {type: static, priority: 1, global_map: {192.168.0.4/31: 200.0.0.6/31}}
  tagged: {type: static, priority: 2, global_map: {10.102.8.0/31~102: 200.0.8.2/31}}
"""),
        """
        udp 192.168.0.5:1000 > 198.18.0.1:53            -> from 200.0.0.7:1000
        udp@lan0.102 10.102.8.1:1000 > 198.18.0.1:53    -> from 200.0.8.3:1000
        udp@wan0 198.18.0.9:999 > 200.0.0.6:53          -> to 192.168.0.4
        """,
    )


def test_a_vlan_entry_is_for_its_vlan_only(lab: Lab) -> None:
    """What comes untagged with that address is another host: not translated."""
    check(
        lab,
        site("""
nat_defaults: {vlan_mode: vlan}
pools:
  servers:
    type: static
    priority: 50
    global_map: {192.168.1.2~102: 200.0.0.4, 10.102.8.0/28~102: 200.0.8.0/28}
"""),
        """
        udp@lan0.102 192.168.1.2:1000 > 198.18.0.1:53   -> from 200.0.0.4:1000
        udp@lan0 192.168.1.2:1001 > 198.18.0.1:53       -> untranslated
        udp@lan0 10.102.8.1:1001 > 198.18.0.1:53        -> untranslated
        """,
    )


def test_several_static_pools_and_outside_interfaces(lab: Lab) -> None:
    check(
        lab,
        site("""
interfaces: {inside: [lan0], outside: [wan0, wan1]}
pools:
  one: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  two: {type: static, priority: 2, allow_external_connect: off, global_map: {192.168.0.6: 200.0.0.4}}
"""),
        """
        tcp 192.168.0.5:1000 > 198.18.1.1:80       -> from 200.0.0.3:1000     # out at wan1
        tcp 192.168.0.5:1000 > 198.18.0.1:80       -> from 200.0.0.3:1000     # out at wan0
        tcp 192.168.0.6:1000 > 198.18.1.1:80       -> from 200.0.0.4:1000
        tcp@wan1 198.18.1.9:999 > 200.0.0.3:22     -> to 192.168.0.5
        tcp@wan1 198.18.1.9:999 > 200.0.0.4:22     -> drop
        """,
    )


def test_fake_passes_untouched(lab: Lab) -> None:
    check(
        lab,
        site("""
acls:
  campus: {10: allow ip 10.30.0.0/16 dst net 198.18.0.0/24, 20: allow ip 10.31.0.0/24}
  all: {10: allow ip 10.30.0.0/24, 20: allow ip 10.31.0.0/24}
pools:
  partners: {type: fake, acl: campus, priority: 1}
  rest: {type: nat, acl: all, priority: 2, allocation: deterministic, global_ip: [203.0.112.0/23]}
"""),
        """
        tcp 10.30.0.5:1000 > 198.18.0.1:80         -> untranslated
        icmp 10.30.0.5 > 198.18.0.1                -> untranslated
        gre 10.30.0.5 > 198.18.0.1                 -> untranslated
        tcp 10.30.0.5:1000 > 198.18.2.1:80         -> pool rest
        tcp 10.31.0.5:1000 > 198.18.2.1:80         -> untranslated
        """,
    )


BEHIND = """
acls:
  front: {10: allow ip 192.168.0.6 dst net 198.18.0.0/25}
  guests: {10: deny ip 192.168.0.7, 20: allow ip 192.168.0.8/29, 30: allow udp any dport 443}
  homes: {10: allow ip 100.64.0.0/29, 20: allow ip 192.168.0.6/31}
pools:
  servers: {type: static, priority: 1, allow_external_connect: on, global_map: {192.168.0.5: 200.0.0.3}}
  front: {type: nat, acl: front, priority: 2, allocation: deterministic, global_ip: [200.0.1.0], hairpin: off}
  guests: {type: fake, acl: guests, priority: 3}
  homes: {type: nat, acl: homes, priority: 4, allocation: deterministic, global_ip: [203.0.112.0/28],
          hairpin: off}
"""


THERE = "198.18.0.1", "198.18.0.200"


def test_a_fake_pool_opens_nothing_to_who_is_translated_before_it(lab: Lab) -> None:
    """Nor to a source that its acl denies: the answers would leave with the private address."""
    check(
        lab,
        site(BEHIND),
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80       -> from 200.0.0.3:1000
        tcp@wan0 198.18.0.9:999 > 200.0.0.3:22     -> to 192.168.0.5
        tcp@wan0 198.18.0.9:999 > 192.168.0.5:22   -> drop
        udp 192.168.0.8:1000 > 198.18.0.1:53       -> untranslated
        tcp@wan0 198.18.0.9:999 > 192.168.0.8:22   -> untranslated
        udp 192.168.0.7:1000 > 198.18.0.1:53       -> pool homes
        tcp@wan0 198.18.0.9:999 > 192.168.0.7:22   -> drop
        """,
    )


def test_a_fake_pool_lets_go_nothing_that_the_pool_before_it_translates(lab: Lab) -> None:
    """Packets of a connection that is older than the pools: to what the first pool translates they stay, to
    what the fake pool passes they go."""
    there, elsewhere = (Packet(UDP, address("192.168.0.6"), 5000, address(to), 443) for to in THERE)
    lab.load("table ip before {\n chain c {\n type filter hook forward priority 0\n ct state new\n }\n}\n")
    before = lab.flight([("lan0", there), ("lan0", elsewhere)])
    assert [one[0].wire for one in before] == ["wan0", "wan0"]

    lab.reload(site(BEHIND).text.text)

    after = lab.flight([("lan0", there), ("lan0", elsewhere)])
    assert [len(one) for one in after] == [0, 1]


def test_a_disabled_pool_is_not_there(lab: Lab) -> None:
    check(
        lab,
        site("""
pools:
  one: {type: static, enable: off, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  two: {type: static, enable: on, priority: 2, global_map: {192.168.0.5: 200.0.0.9}}
"""),
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80       -> from 200.0.0.9:1000
        tcp@wan0 198.18.0.9:999 > 200.0.0.9:22     -> to 192.168.0.5
        """,
    )
