"""The second part of the language of dnat and snat: the interface's address, exclusions, one to one."""

from __future__ import annotations

from support.lab import Lab
from support.packet_table import check
from support.sites import site

TWO_SIDES = "interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}\n"


def test_the_address_of_the_interface(lab: Lab) -> None:
    """Each outgoing interface gives its own; `snat` before the pools, and not for what goes inside."""
    check(
        lab,
        site(
            TWO_SIDES
            + """
acls: {homes: {10: allow ip 10.0.0.0/24}}
pools: {homes: {type: nat, acl: homes, priority: 1, allocation: deterministic, global_ip: [203.0.113.0/24]}}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}
snat:
  web: {mark: 10, snat_ip: interface}
  some: {src_cidr: [10.0.0.0/29, 192.168.0.0/16], snat_ip: interface}
  dns: {protocol: [tcp, udp], dst_port: 53, snat_ip: interface, snat_port: 2000-2999}
  inwards: {interface: lan1, src_cidr: 192.168.7.0/24, snat_ip: interface}
"""
        ),
        """
        tcp 10.0.0.9:5000 > 198.18.0.1:8001        -> from wan0:5000 to 198.18.0.1:8080
        tcp 10.0.0.1:5000 > 198.18.0.1:443         -> from wan0:5000
        udp 10.0.0.1:5000 > 198.18.1.1:443         -> from wan1:5000
        icmp 10.0.0.1 > 198.18.1.1                 -> from wan1
        gre 192.168.0.1 > 198.18.0.1               -> from wan0
        253 192.168.0.1 > 198.18.0.1               -> from wan0
        udp 10.0.0.9:5001 > 198.18.1.1:53          -> from wan1:2000-2999
        udp 10.0.0.9:5001 > 198.18.1.1:54          -> pool homes
        udp 10.0.1.9:5001 > 198.18.1.1:54          -> untranslated
        udp 192.168.0.1:5001 > 10.1.0.1:99         -> untranslated
        udp 192.168.7.1:5001 > 10.1.0.1:99         -> from lan1
        ack 192.168.0.1:5002 > 198.18.0.1:443      -> drop
        """,
    )


def test_two_hosts_with_one_port_behind_one_address(lab: Lab) -> None:
    """The second one gets another port; both get their answers."""
    check(
        lab,
        site("snat: {all: {snat_ip: interface}}"),
        """
        udp 10.0.0.1:5000 > 198.18.0.1:53          -> from wan0:5000
        udp 10.0.0.2:5000 > 198.18.0.1:53          -> from wan0:1024-65535
        tcp 10.0.0.1:5000 > 198.18.0.1:53          -> from wan0:5000
        """,
    )


def test_an_excluded_packet_leaves_as_it_came(lab: Lab) -> None:
    """No later rule and no pool takes it, and the guard against private sources lets it out."""
    check(
        lab,
        site(
            TWO_SIDES
            + """
acls: {homes: {10: allow ip 10.0.0.0/24}, other: {10: allow ip 10.1.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/29]}
  other: {type: nat, acl: other, priority: 2, allocation: deterministic, global_ip: [203.0.114.0/24]}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_ip: 198.18.99.1, dnat_port: 8080, mark: 10}}
snat:
  mail: {protocol: tcp, dst_port: 25, snat_ip: 203.0.115.9}
  vpn: {dst_cidr: [198.18.99.0/24, 198.18.98.0/24], exclude: on}
  marked: {mark: 10, snat_ip: 203.0.115.10}
  second: {interface: wan1, protocol: "!icmp", exclude: on}
  rest: {src_cidr: 192.168.0.0/16, snat_ip: 203.0.115.11}
"""
        ),
        """
        tcp 10.0.0.9:5000 > 198.18.99.7:25         -> from 203.0.115.9:5000
        tcp 10.0.0.9:5000 > 198.18.99.7:26         -> untranslated
        gre 10.0.0.9 > 198.18.98.7                 -> untranslated
        icmp 10.1.0.9 > 198.18.98.7                -> untranslated
        tcp 10.1.0.9:5000 > 198.18.0.1:8001        -> to 198.18.99.1:8080     # excluded after dnat
        udp 10.0.0.9:5001 > 198.18.0.1:53          -> pool homes
        udp 10.0.0.9:5001 > 198.18.1.1:53          -> untranslated
        icmp 10.1.0.9 > 198.18.1.1                 -> pool other
        udp 192.168.0.1:5001 > 198.18.1.1:53       -> untranslated
        udp 192.168.0.1:5001 > 198.18.0.1:53       -> from 203.0.115.11
        ack 10.0.0.9:5003 > 198.18.99.7:26         -> drop
        """,
    )


def test_an_exclusion_of_what_goes_back_inside(lab: Lab) -> None:
    """Without it hairpin would give the asking subscriber its global address."""
    text = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
acls: {homes: {10: allow ip 10.0.0.0/24}}
pools:
  servers: {type: static, priority: 1, global_map: {10.1.0.5: 203.0.113.5}}
  homes: {type: nat, acl: homes, priority: 2, allocation: deterministic, global_ip: [203.0.114.0/24]}
snat: {keep: {interface: lan1, src_cidr: 10.0.0.64/26, exclude: on}}
"""
    check(
        lab,
        site(text),
        """
        udp 10.0.0.1:5001 > 203.0.113.5:53         -> pool homes to 10.1.0.5:53
        udp 10.0.0.65:5001 > 203.0.113.5:53        -> to 10.1.0.5:53
        udp 10.0.0.65:5001 > 198.18.0.1:53         -> pool homes
        """,
    )


def test_an_excluded_destination_stays(lab: Lab) -> None:
    """And pools are asked as ever: a static pool's address leads to its host."""
    check(
        lab,
        site("""
pools: {servers: {type: static, priority: 1, global_map: {10.0.0.5: 203.0.113.5}}}
dnat:
  keep: {interface: wan0, dst_cidr: [203.0.113.5, 172.31.9.1], protocol: tcp, dst_port: 22, exclude: on}
  forward: {interface: wan0, dst_cidr: 203.0.113.0/24, protocol: tcp, dnat_ip: 10.0.0.6}
  resolver: {src_cidr: 10.0.0.53, exclude: on}
  dns: {protocol: [tcp, udp], dst_port: 53, dnat_ip: 198.18.99.53, mark: 5}
snat: {marked: {mark: 5, snat_ip: 203.0.115.5}}
"""),
        """
        tcp@wan0 198.18.0.1:1000 > 203.0.113.5:22   -> to 10.0.0.5:22
        tcp@wan0 198.18.0.1:1000 > 203.0.113.5:23   -> to 10.0.0.6:23
        tcp@wan0 198.18.0.1:1000 > 203.0.113.6:22   -> to 10.0.0.6:22
        udp 10.0.0.1:5001 > 198.18.0.1:53           -> from 203.0.115.5 to 198.18.99.53:53
        udp 10.0.0.53:5001 > 198.18.0.1:53          -> untranslated
        tcp 10.0.0.53:5001 > 198.18.0.1:53          -> untranslated
        """,
    )


def test_one_to_one(lab: Lab) -> None:
    """Host bits are kept in both directions, for every protocol, at both ends of the prefix."""
    check(
        lab,
        site("""
dnat:
  lines: {interface: wan0, dst_cidr: 203.0.113.0/24, dnat_prefix: 10.1.0.0/24}
  one: {interface: wan0, dst_cidr: 203.0.114.7, dnat_prefix: 10.0.2.9/32}
  partner: {protocol: tcp, dst_cidr: 198.18.4.0/28, dst_port: 443, dnat_prefix: 198.18.8.16/28, mark: 4}
snat:
  marked: {mark: 4, src_cidr: 10.0.9.0/28, snat_prefix: 203.0.116.16/28}
  lines: {src_cidr: 10.0.1.0/24, snat_prefix: 203.0.113.0/24}
  one: {src_cidr: 10.0.2.9, snat_prefix: 203.0.114.7/32}
  pair: {src_cidr: 10.0.3.6/31, protocol: tcp, dst_port: [80, 443], snat_prefix: 203.0.115.254/31}
"""),
        """
        udp 10.0.1.0:5000 > 198.18.0.1:53           -> from 203.0.113.0:5000
        tcp 10.0.1.255:5000 > 198.18.0.1:53         -> from 203.0.113.255:5000
        icmp 10.0.1.77 > 198.18.0.1                 -> from 203.0.113.77
        gre 10.0.1.77 > 198.18.0.1                  -> from 203.0.113.77
        253 10.0.1.78 > 198.18.0.1                  -> from 203.0.113.78
        udp 10.0.2.9:5000 > 198.18.0.1:53           -> from 203.0.114.7:5000
        tcp 10.0.3.6:5000 > 198.18.0.1:80           -> from 203.0.115.254:5000
        tcp 10.0.3.7:5000 > 198.18.0.1:443          -> from 203.0.115.255:5000
        tcp 10.0.3.8:5000 > 198.18.0.1:443          -> untranslated
        tcp 10.0.3.7:5000 > 198.18.0.1:444          -> untranslated
        tcp 10.0.9.5:5000 > 198.18.4.3:443          -> from 203.0.116.21:5000 to 198.18.8.19:443
        tcp 10.0.1.5:5000 > 198.18.4.15:443         -> from 203.0.113.5:5000 to 198.18.8.31:443
        tcp@wan0 198.18.0.1:1000 > 203.0.113.0:22    -> to 10.1.0.0:22
        udp@wan0 198.18.0.1:1000 > 203.0.113.255:22  -> to 10.1.0.255:22
        icmp@wan0 198.18.0.1 > 203.0.113.9           -> to 10.1.0.9
        gre@wan0 198.18.0.9 > 203.0.113.9            -> to 10.1.0.9
        udp@wan0 198.18.0.1:1000 > 203.0.114.7:22    -> to 10.0.2.9:22
        """,
    )


def test_lines_one_to_one(lab: Lab) -> None:
    """Neighbouring lines are one look-up; where prefixes overlap the first line decides."""
    check(
        lab,
        site("""
interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}
dnat:
  a: {interface: wan0, dst_cidr: 203.0.113.0/28, dnat_prefix: 10.0.1.0/28}
  b: {interface: wan0, dst_cidr: 203.0.113.64/28, dnat_prefix: 10.0.2.16/28}
  c: {interface: [wan0, wan1], dst_cidr: 203.0.114.0/31, dnat_prefix: 10.0.3.6/31}
  d: {interface: [wan0, wan1], dst_cidr: 203.0.114.9, dnat_prefix: 10.0.3.9/32}
  e: {dst_cidr: 198.18.4.0/30, dnat_prefix: 198.18.5.0/30}
  f: {dst_cidr: 198.18.4.8/30, dnat_prefix: 198.18.5.16/30}
snat:
  a: {src_cidr: 10.0.1.0/28, snat_prefix: 203.0.113.0/28}
  b: {src_cidr: 10.0.2.16/28, snat_prefix: 203.0.113.64/28}
  first: {src_cidr: 10.0.4.0/30, snat_prefix: 203.0.115.0/30}
  wider: {src_cidr: 10.0.4.0/28, snat_prefix: 203.0.116.0/28}
"""),
        """
        udp@wan0 198.18.0.1:1000 > 203.0.113.15:53   -> to 10.0.1.15:53
        tcp@wan0 198.18.0.1:1000 > 203.0.113.64:53   -> to 10.0.2.16:53
        tcp@wan1 198.18.1.1:1000 > 203.0.114.1:53    -> to 10.0.3.7:53
        gre@wan0 198.18.0.1 > 203.0.114.9            -> to 10.0.3.9
        udp 10.0.1.3:5000 > 198.18.4.3:53            -> from 203.0.113.3:5000 to 198.18.5.3:53
        udp 10.0.2.31:5000 > 198.18.4.8:53           -> from 203.0.113.79:5000 to 198.18.5.16:53
        udp 10.0.2.32:5000 > 198.18.4.4:53           -> untranslated
        udp 10.0.4.3:5000 > 198.18.0.1:53            -> from 203.0.115.3:5000
        udp 10.0.4.4:5000 > 198.18.0.1:53            -> from 203.0.116.4:5000
        """,
    )
