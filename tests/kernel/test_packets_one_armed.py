"""One interface for both sides: in the lab wan0, behind which there are networks of both."""

from __future__ import annotations

from support.lab import Lab
from support.packet_table import check
from support.sites import site

ONE = "interfaces: {inside: [wan0], outside: [wan0]}\n"
MIXED = """
interfaces: {inside: [wan0, lan0], outside: [wan0, wan1], inside_networks: [172.20.0.0/16, 198.18.1.0/28]}
"""


def test_marks_on_one_interface(lab: Lab) -> None:
    """Aviatrix's own shape: in and out on one interface, dnat with a mark, snat by it."""
    check(
        lab,
        site(
            ONE.replace("}", ", inside_networks: [172.20.0.0/16]}")
            + """
dnat:
  web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}
  api: {interface: wan0, protocol: tcp, src_cidr: 198.18.0.0/24, dst_port: 8002, dnat_port: 8443, mark: 11}
  forward: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 2222, dnat_ip: 172.20.0.8,
            dnat_port: 22}
snat:
  web: {mark: 10, snat_ip: 172.32.0.201}
  api: {mark: 11, snat_ip: 172.32.0.203-172.32.0.206}
  rest: {src_cidr: 172.20.1.0/24, snat_ip: interface}
"""
        ),
        """
        tcp@wan0 172.20.0.1:5000 > 198.18.0.1:8001    -> from 172.32.0.201:5000 to 198.18.0.1:8080
        tcp@wan0 172.20.0.1:5000 > 172.20.0.9:8001    -> untranslated     # stays inside
        tcp@wan0 198.18.0.1:5000 > 198.18.9.9:8001    -> untranslated     # comes from outside
        tcp@wan0 198.18.0.1:5000 > 198.18.9.9:8002    -> to 198.18.9.9:8443
        udp@wan0 172.20.1.1:5000 > 198.18.0.1:53      -> from wan0:5000
        udp@wan0 172.20.1.1:5001 > 172.20.0.1:53      -> untranslated
        icmp@wan0 172.20.1.1 > 198.18.0.1             -> from wan0
        gre@wan0 172.20.1.1 > 198.18.0.1              -> from wan0
        udp@wan0 172.20.2.1:5000 > 198.18.0.1:53      -> untranslated
        ack@wan0 172.20.1.1:5002 > 198.18.0.1:53      -> drop
        ack@wan0 198.18.0.1:5002 > 172.20.1.1:53      -> untranslated
        tcp@wan0 198.18.0.1:5000 > 203.0.113.1:2222   -> to 172.20.0.8:22
        """,
    )


def test_a_rule_that_names_the_interface_is_for_all_that_leaves_there(lab: Lab) -> None:
    """For what goes back inside, too; in file order with the rules that do not."""
    check(
        lab,
        site(
            ONE.replace("}", ", inside_networks: [172.20.0.0/16]}")
            + """
snat:
  keep: {interface: wan0, dst_cidr: 172.20.9.0/24, exclude: on}
  first: {dst_cidr: 198.18.0.0/24, snat_ip: 172.32.0.1}
  named: {interface: wan0, src_cidr: 172.20.1.0/24, snat_ip: 172.32.0.2}
  rest: {snat_ip: 172.32.0.3}
"""
        ),
        """
        udp@wan0 172.20.1.1:5000 > 198.18.0.1:53      -> from 172.32.0.1
        udp@wan0 172.20.1.1:5000 > 198.18.5.1:53      -> from 172.32.0.2
        udp@wan0 172.20.1.1:5000 > 172.20.2.1:53      -> from 172.32.0.2
        udp@wan0 172.20.1.1:5000 > 172.20.9.1:53      -> untranslated
        udp@wan0 172.20.2.1:5000 > 172.20.3.1:53      -> untranslated
        udp@wan0 172.20.2.1:5000 > 198.18.5.1:53      -> from 172.32.0.3
        udp@wan0 198.18.0.1:5000 > 198.18.5.1:53      -> untranslated
        """,
    )


def test_pools_on_one_interface(lab: Lab) -> None:
    """Blocks, hairpin, what comes in to static and nat pools, what nobody wants; inside is what is named."""
    check(
        lab,
        site(
            ONE
            + """
acls:
  homes: {10: allow ip 172.20.0.0/28}
  office: {10: allow ip 172.20.1.0/28}
  partner: {10: allow ip 172.20.0.0/24 198.18.9.0/24}
pools:
  partner: {type: fake, acl: partner, priority: 5}
  homes: {type: cgnat, acl: homes, priority: 10, global_ip: [203.0.113.0/30]}
  servers: {type: static, priority: 20, global_map: {172.20.9.5: 203.0.114.5}}
  office: {type: nat, allocation: deterministic, acl: office, priority: 30, hairpin: off,
           global_ip: [203.0.115.0/28]}
"""
        ),
        """
        udp@wan0 172.20.0.1:5000 > 198.18.0.1:53      -> pool homes
        tcp@wan0 172.20.0.1:5000 > 198.18.0.1:53      -> pool homes
        icmp@wan0 172.20.0.1 > 198.18.0.1             -> pool homes
        udp@wan0 172.20.0.1:5000 > 198.18.9.1:53      -> untranslated
        udp@wan0 172.20.1.1:5000 > 198.18.0.1:53      -> pool office
        udp@wan0 172.20.9.5:5000 > 198.18.0.1:53      -> from 203.0.114.5:5000
        udp@wan0 172.20.0.2:5000 > 203.0.114.5:53     -> pool homes to 172.20.9.5:53
        udp@wan0 172.20.1.2:5000 > 203.0.114.5:53     -> drop
        udp@wan0 198.18.0.1:5000 > 203.0.114.5:53     -> to 172.20.9.5:53
        udp@wan0 198.18.0.1:5000 > 203.0.115.3:53     -> to 172.20.1.3:53
        udp@wan0 172.20.0.3:5000 > 203.0.115.3:53     -> drop
        udp@wan0 198.18.0.1:5000 > 203.0.113.1:2000   -> drop
        ack@wan0 172.20.0.1:6000 > 198.18.0.1:53      -> drop
        udp@wan0 172.20.0.1:5003 > 172.20.1.1:53      -> untranslated
        udp@wan0 172.20.5.1:5000 > 198.18.0.1:53      -> untranslated
        """,
    )


def test_some_interfaces_are_on_one_side_only(lab: Lab) -> None:
    check(
        lab,
        site(
            MIXED
            + """
acls: {homes: {10: allow ip 172.20.0.0/28, 20: allow ip 10.0.0.0/28}}
pools:
  homes: {type: nat, allocation: deterministic, acl: homes, priority: 10, global_ip: [203.0.115.0/27]}
dnat:
  web: {protocol: tcp, dst_port: 8001, dnat_port: 8080}
  other: {interface: "!wan0", protocol: tcp, dst_port: 8002, dnat_port: 8081}
snat: {rest: {src_cidr: "!10.9.0.0/16", protocol: icmp, snat_ip: interface}}
"""
        ),
        """
        udp@wan0 172.20.0.1:5000 > 198.18.0.1:53      -> pool homes
        udp 10.0.0.1:5000 > 198.18.0.1:53             -> pool homes
        udp 10.0.0.1:5000 > 198.18.1.77:53            -> pool homes          # all behind wan1 is outside
        udp 10.0.0.1:5000 > 198.18.1.7:53             -> pool homes
        udp 10.0.0.1:5000 > 172.20.0.1:53             -> untranslated
        udp@wan0 172.20.0.1:5000 > 10.0.0.1:53        -> untranslated
        udp@wan0 198.18.0.1:5000 > 203.0.115.1:53     -> to 172.20.0.1:53
        udp@wan1 198.18.1.7:5000 > 203.0.115.17:53    -> to 10.0.0.1:53
        tcp@wan0 172.20.3.1:5000 > 198.18.0.1:8001    -> to 198.18.0.1:8080
        tcp@wan0 172.20.3.1:5000 > 198.18.0.1:8002    -> untranslated
        tcp 10.3.0.1:5000 > 198.18.0.1:8002           -> to 198.18.0.1:8081
        tcp 10.3.0.1:5000 > 172.20.3.1:8001           -> untranslated
        icmp 10.3.0.1 > 198.18.0.1                    -> from wan0
        icmp@wan0 172.20.3.1 > 198.18.1.99            -> from wan1
        icmp@wan0 198.18.3.1 > 198.18.1.99            -> untranslated
        icmp 10.9.0.1 > 198.18.0.1                    -> untranslated
        """,
    )
