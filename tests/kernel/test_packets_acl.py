"""ACLs and the order of pools: ascending priority, ascending rule number, first hit wins; `deny` and no hit
hand the packet to the next pool, and after the last one it is forwarded untranslated."""

from __future__ import annotations

import pytest

from nfcompile.model.ranges import address_text
from support.lab import Lab
from support.packet_table import check, send
from support.sites import site

POOLS = """
pools:
  first: {type: nat, acl: a, priority: 10, allocation: deterministic,
          subscribers: [10.0.0.0/24], global_ip: [203.0.1.0/24]}
  second: {type: nat, acl: b, priority: 20, allocation: deterministic,
           subscribers: [10.0.0.0/24], global_ip: [203.0.2.0/24]}
"""

CASES = {
    "a deny asks the next pool": (
        """
        acls:
          a: {10: deny ip 10.0.0.9, 20: allow ip 10.0.0.0/28}
          b: {10: allow ip 10.0.0.0/24}
        """,
        """
        udp 10.0.0.1 > 198.18.0.1    -> pool first
        udp 10.0.0.9 > 198.18.0.1    -> pool second
        udp 10.0.0.16 > 198.18.0.1   -> pool second    # no hit in the first
        """,
    ),
    "no pool: untranslated": (
        """
        acls:
          a: {10: deny ip 10.0.0.9, 20: allow ip 10.0.0.0/28}
          b: {10: deny ip 10.0.0.9, 20: allow ip 10.0.0.0/27}
        """,
        """
        udp 10.0.0.9 > 198.18.0.1    -> untranslated
        gre 10.0.0.9 > 198.18.0.1    -> untranslated
        udp 10.0.0.32 > 198.18.0.1   -> untranslated
        udp 10.0.0.31 > 198.18.0.1   -> pool second
        udp 10.9.9.9 > 198.18.0.1    -> untranslated
        """,
    ),
    "numbers order the rules, not lines": (
        """
        acls:
          a: {200: allow ip 10.0.0.0/24, 30: deny ip 10.0.0.5, 4: allow udp 10.0.0.5}
          b: {10: allow ip any}
        """,
        """
        udp 10.0.0.5 > 198.18.0.1    -> pool first
        tcp 10.0.0.5 > 198.18.0.1    -> pool second
        tcp 10.0.0.6 > 198.18.0.1    -> pool first
        """,
    ),
    "a rule behind a hit is never asked": (
        """
        acls:
          a: {10: permit ip 10.0.0.0/24, 20: deny ip 10.0.0.5}
          b: {10: allow ip any}
        """,
        "udp 10.0.0.5 > 198.18.0.1    -> pool first",
    ),
    "destination: host, net, range": (
        """
        acls:
          a:
            10: allow ip src any dst host 198.18.0.7
            20: allow ip any dst net 198.18.8.0/21
            30: deny ip any dst 198.18.0.99
            40: allow ip any 198.18.0.90-198.18.0.110
          b: {10: allow ip any}
        """,
        """
        udp 10.0.0.1 > 198.18.0.7     -> pool first
        udp 10.0.0.1 > 198.18.0.8     -> pool second
        udp 10.0.0.1 > 198.18.7.255   -> pool second
        udp 10.0.0.1 > 198.18.8.0     -> pool first
        udp 10.0.0.1 > 198.18.15.255  -> pool first
        udp 10.0.0.1 > 198.18.16.0    -> pool second
        udp 10.0.0.1 > 198.18.0.89    -> pool second
        udp 10.0.0.1 > 198.18.0.90    -> pool first
        udp 10.0.0.1 > 198.18.0.99    -> pool second
        udp 10.0.0.1 > 198.18.0.110   -> pool first
        udp 10.0.0.1 > 198.18.0.111   -> pool second
        """,
    ),
    "only a destination": (
        """
        acls:
          a: {10: allow dst 198.18.0.7}
          b: {10: allow ip any any}
        """,
        """
        udp 10.0.0.1 > 198.18.0.7     -> pool first
        udp 10.0.0.1 > 198.18.0.8     -> pool second
        """,
    ),
    "source: host, net, range": (
        """
        acls:
          a:
            10: allow ip host 10.0.0.7
            20: allow ip net 10.0.0.16/28
            30: allow ip src range 10.0.0.101-10.0.0.107
          b: {10: allow ip any}
        """,
        """
        udp 10.0.0.7 > 198.18.0.1     -> pool first
        udp 10.0.0.8 > 198.18.0.1     -> pool second
        udp 10.0.0.15 > 198.18.0.1    -> pool second
        udp 10.0.0.16 > 198.18.0.1    -> pool first
        udp 10.0.0.31 > 198.18.0.1    -> pool first
        udp 10.0.0.32 > 198.18.0.1    -> pool second
        udp 10.0.0.100 > 198.18.0.1   -> pool second
        udp 10.0.0.101 > 198.18.0.1   -> pool first
        udp 10.0.0.107 > 198.18.0.1   -> pool first
        udp 10.0.0.108 > 198.18.0.1   -> pool second
        """,
    ),
    "protocols": (
        """
        acls:
          a:
            10: allow tcp 10.0.0.1
            20: allow udp 10.0.0.2
            30: allow icmp 10.0.0.3
            40: allow gre 10.0.0.4
            50: allow 253 10.0.0.5
            60: deny udp 10.0.0.6
            70: allow ip 10.0.0.6
          b: {10: allow ip any}
        """,
        """
        tcp 10.0.0.1 > 198.18.0.1     -> pool first
        udp 10.0.0.1 > 198.18.0.1     -> pool second
        icmp 10.0.0.1 > 198.18.0.1    -> pool second
        udp 10.0.0.2 > 198.18.0.1     -> pool first
        tcp 10.0.0.2 > 198.18.0.1     -> pool second
        icmp 10.0.0.3 > 198.18.0.1    -> pool first
        tcp 10.0.0.3 > 198.18.0.1     -> pool second
        gre 10.0.0.4 > 198.18.0.1     -> pool first
        253 10.0.0.4 > 198.18.0.1     -> pool second
        253 10.0.0.5 > 198.18.0.1     -> pool first
        udp 10.0.0.6 > 198.18.0.1     -> pool second
        gre 10.0.0.6 > 198.18.0.1     -> pool first
        """,
    ),
    "ports": (
        """
        acls:
          a:
            10: allow tcp any dst any dport 443,8000-8080
            20: deny udp any dport 53
            30: allow udp any sport 1000-1999 dst any dport 50-60
            40: allow tcp any sport 7
          b: {10: allow ip any}
        """,
        """
        tcp 10.0.0.1 > 198.18.0.1:443         -> pool first
        tcp 10.0.0.1 > 198.18.0.1:444         -> pool second
        tcp 10.0.0.1 > 198.18.0.1:7999        -> pool second
        tcp 10.0.0.1 > 198.18.0.1:8000        -> pool first
        tcp 10.0.0.1 > 198.18.0.1:8080        -> pool first
        tcp 10.0.0.1 > 198.18.0.1:8081        -> pool second
        udp 10.0.0.1 > 198.18.0.1:443         -> pool second
        udp 10.0.0.1:1500 > 198.18.0.1:53     -> pool second
        udp 10.0.0.1:1500 > 198.18.0.1:54     -> pool first
        udp 10.0.0.1:999 > 198.18.0.1:54      -> pool second
        udp 10.0.0.1:2000 > 198.18.0.1:54     -> pool second
        udp 10.0.0.1:1999 > 198.18.0.1:61     -> pool second
        tcp 10.0.0.1:7 > 198.18.0.1:1         -> pool first
        icmp 10.0.0.1 > 198.18.0.1            -> pool second
        """,
    ),
    "neighbouring rules that differ in the source only": (
        """
        acls:
          a:
            10: allow tcp 10.0.0.1 dport 80
            20: allow tcp 10.0.0.2 dport 80
            30: allow tcp 10.0.0.3-10.0.0.4 dport 80
            40: deny tcp 10.0.0.0/30 dport 81
            50: allow tcp 10.0.0.0/29
          b: {10: allow ip any}
        """,
        """
        tcp 10.0.0.1 > 198.18.0.1:80    -> pool first
        tcp 10.0.0.4 > 198.18.0.1:80    -> pool first
        tcp 10.0.0.3 > 198.18.0.1:81    -> pool second
        tcp 10.0.0.4 > 198.18.0.1:81    -> pool first
        tcp 10.0.0.8 > 198.18.0.1:80    -> pool second
        """,
    ),
    "neighbouring rules that differ in a port, too": (
        """
        acls:
          a:
            10: allow tcp 10.0.0.1 dport 80
            20: allow tcp 10.0.0.2 dport 81
            30: allow udp 10.0.0.1 sport 2000
            40: allow udp 10.0.0.2 sport 2001
          b: {10: allow ip any}
        """,
        """
        tcp 10.0.0.1 > 198.18.0.1:80         -> pool first
        tcp 10.0.0.1 > 198.18.0.1:81         -> pool second
        tcp 10.0.0.2 > 198.18.0.1:80         -> pool second
        tcp 10.0.0.2 > 198.18.0.1:81         -> pool first
        udp 10.0.0.1:2000 > 198.18.0.1:53    -> pool first
        udp 10.0.0.1:2001 > 198.18.0.1:53    -> pool second
        udp 10.0.0.2:2000 > 198.18.0.1:53    -> pool second
        udp 10.0.0.2:2001 > 198.18.0.1:53    -> pool first
        """,
    ),
}


@pytest.mark.parametrize(("acls", "table"), CASES.values(), ids=CASES)
def test_acl(lab: Lab, acls: str, table: str) -> None:
    check(lab, site(_dedent(acls) + POOLS), table)


def test_many_sources_are_one_lookup(lab: Lab) -> None:
    """Two hundred rules of single hosts, every second address."""
    rules = "".join(f"    {n}: allow ip 10.0.0.{n}\n" for n in range(1, 255, 2))
    compiled = site(f"acls:\n  a:\n{rules}  b: {{10: allow ip any}}\n" + POOLS)
    lines = [
        f"udp 10.0.0.{n} > 198.18.0.1 -> pool {'first' if n % 2 else 'second'}" for n in range(1, 255, 5)
    ]
    check(lab, compiled, "\n".join(lines))


def test_priority_and_not_place_in_the_file(lab: Lab) -> None:
    acls = "acls: {a: {10: allow ip any}, b: {10: allow udp 10.0.0.0/24}}\n"
    compiled = site(acls + POOLS.replace("priority: 20", "priority: 5"))
    check(
        lab,
        compiled,
        """
        udp 10.0.0.1 > 198.18.0.1     -> pool second
        tcp 10.0.0.1 > 198.18.0.1     -> pool first
        """,
    )


def test_a_disabled_pool_is_skipped(lab: Lab) -> None:
    acls = "acls: {a: {10: allow ip any}, b: {10: allow ip any}}\n"
    compiled = site(acls + POOLS.replace("priority: 10", "priority: 10, enable: off"))
    check(lab, compiled, "udp 10.0.0.1 > 198.18.0.1 -> pool second")


def test_subscribers_are_a_condition_like_the_acl(lab: Lab) -> None:
    acls = "acls: {a: {10: deny tcp any dport 25, 20: allow ip any}, b: {10: allow ip any}}\n"
    pools = POOLS.replace("subscribers: [10.0.0.0/24]", "subscribers: [10.0.0.3-10.0.0.9, 10.0.0.200]", 1)
    check(
        lab,
        site(acls + pools),
        """
        udp 10.0.0.2 > 198.18.0.1       -> pool second
        udp 10.0.0.3 > 198.18.0.1       -> pool first
        udp 10.0.0.9 > 198.18.0.1       -> pool first
        udp 10.0.0.10 > 198.18.0.1      -> pool second
        tcp 10.0.0.200 > 198.18.0.1     -> pool first
        tcp 10.0.0.200 > 198.18.0.1:25  -> pool second
        udp 10.9.9.9 > 198.18.0.1       -> untranslated
        """,
    )


def test_what_an_accepted_packet_cannot_get_is_a_drop(lab: Lab) -> None:
    """A pool that took the packet and has nothing for this source never hands it on."""
    compiled = site("""
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 10.0.0.0/28}, b: {10: allow ip any}}
pools:
  first: {type: cgnat, acl: a, priority: 10, subscribers: [10.0.0.0/29], global_ip: [203.0.1.1]}
  second: {type: nat, acl: b, priority: 20, allocation: deterministic,
           subscribers: [10.0.0.0/24], global_ip: [203.0.2.0/24]}
""")
    check(
        lab,
        compiled,
        """
        udp 10.0.0.7 > 198.18.0.1     -> pool first
        udp 10.0.0.8 > 198.18.0.1     -> pool second   # allowed, but no subscriber of the first: no hit
        """,
    )


def test_static_with_an_acl(lab: Lab) -> None:
    """The ACL is asked first; what it does not decide has the implied allow."""
    check(
        lab,
        site("""
acls:
  no-mail: {10: deny tcp any dst any dport 25, 20: allow tcp 192.168.0.5 dport 80, 30: deny ip 192.168.0.7}
  rest: {10: allow ip 192.168.0.0/24}
pools:
  servers:
    type: static
    acl: no-mail
    priority: 1
    global_map: {192.168.0.5: 200.0.0.5, 192.168.0.6: 200.0.0.6, 192.168.0.7: 200.0.0.7}
  rest: {type: nat, acl: rest, priority: 2, allocation: deterministic,
         subscribers: [192.168.0.0/24], global_ip: [203.0.113.0/24]}
"""),
        """
        tcp 192.168.0.5 > 198.18.0.1:25    -> pool rest
        tcp 192.168.0.5 > 198.18.0.1:80    -> from 200.0.0.5
        tcp 192.168.0.6 > 198.18.0.1:80    -> from 200.0.0.6
        udp 192.168.0.6 > 198.18.0.1:25    -> from 200.0.0.6
        udp 192.168.0.7 > 198.18.0.1:80    -> pool rest
        tcp 192.168.0.8 > 198.18.0.1:80    -> pool rest
        """,
    )


def test_vlan_as_a_condition(lab: Lab) -> None:
    check(
        lab,
        site("""
nat_defaults: {vlan_mode: vlan}
acls:
  a: {10: allow ip src host 10.102.0.1~102 dst any, 20: allow tcp any~102}
  b: {10: allow ip any}
pools:
  first: {type: nat, acl: a, priority: 10, allocation: deterministic,
          subscribers: [10.102.0.0/24], global_ip: [203.0.1.0/24]}
  second: {type: nat, acl: b, priority: 20, allocation: deterministic,
           subscribers: [10.102.0.0/24, 10.0.0.0/24], global_ip: [203.0.2.0/23]}
"""),
        """
        udp 10.102.0.1 > 198.18.0.1   -> pool first
        udp 10.102.0.2 > 198.18.0.1   -> pool second
        tcp 10.102.0.2 > 198.18.0.1   -> pool first
        tcp 10.0.0.2 > 198.18.0.1     -> pool second
        """,
    )


def test_two_acls_that_overlap(lab: Lab) -> None:
    """One network, two pools: partners see one address, everybody else the other."""
    check(
        lab,
        site("""
nat_defaults: {port_block_size: 64}
acls:
  a: {10: allow ip 10.0.0.0/24 dst net 198.18.0.0/24, 20: allow ip 10.0.0.128/25}
  b: {10: allow ip 10.0.0.0/24}
pools:
  partners: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.1.0/28],
             limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  others: {type: cgnat, acl: b, priority: 2, global_ip: [203.0.2.0/28],
           limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
"""),
        """
        udp 10.0.0.1 > 198.18.0.1     -> pool partners
        udp 10.0.0.1 > 198.18.2.1     -> pool others
        udp 10.0.0.200 > 198.18.2.1   -> pool partners
        """,
    )


def _dedent(text: str) -> str:
    from textwrap import dedent

    return dedent(text).lstrip("\n")


BOTH_WAYS = """
acls:
  servers: {10: deny ip 192.168.0.6, 20: deny ip any dst 198.18.0.50, 30: deny tcp 192.168.0.5 sport 23}
  office: {10: allow ip 10.0.0.0/28 dst 198.18.0.0/28}
pools:
  servers: {type: static, acl: servers, priority: 50,
            global_map: {192.168.0.5: 200.0.0.3, 192.168.0.6: 200.0.0.4}}
  office: {type: nat, acl: office, priority: 60, allocation: ALLOCATION, global_ip: [203.0.114.0/28]}
"""


@pytest.mark.parametrize("allocation", ["deterministic", "dynamic"])
def test_an_acl_holds_in_both_directions(lab: Lab, allocation: str) -> None:
    """Who may not go out by a pool is not reached by it, by the remote side that the rule names."""
    compiled = site(BOTH_WAYS.replace("ALLOCATION", allocation))
    check(
        lab,
        compiled,
        """
        tcp 192.168.0.5:1000 > 198.18.0.1:80     -> from 200.0.0.3:1000
        tcp 192.168.0.5:1001 > 198.18.0.50:80    -> untranslated
        udp 192.168.0.6:1000 > 198.18.0.1:80     -> untranslated
        tcp@wan0 198.18.0.9:99 > 200.0.0.3:22    -> to 192.168.0.5
        tcp@wan0 198.18.0.9:99 > 200.0.0.3:23    -> drop             # its port
        udp@wan0 198.18.0.9:99 > 200.0.0.3:23    -> to 192.168.0.5
        tcp@wan0 198.18.0.50:99 > 200.0.0.3:22   -> drop
        icmp@wan0 198.18.0.50 > 200.0.0.3        -> drop
        tcp@wan0 198.18.0.9:99 > 200.0.0.4:22    -> drop
        gre@wan0 198.18.0.9 > 200.0.0.4          -> drop
        tcp 192.168.0.5:1002 > 200.0.0.4:80      -> drop             # nor by a hairpin
        tcp 192.168.0.6:1002 > 200.0.0.3:80      -> to 192.168.0.5
        """,
    )
    (outcome,) = send(lab, compiled, "udp 10.0.0.5:700 > 198.18.0.1:53 -> from 203.0.114.0-203.0.114.15:700")
    mine = address_text(outcome.out[0].packet.source)
    send(
        lab,
        compiled,
        f"""
        tcp@wan0 198.18.0.7:99 > {mine}:22       -> to 10.0.0.5
        tcp@wan0 198.18.0.77:99 > {mine}:22      -> drop
        udp@wan0 198.18.0.77:99 > {mine}:53      -> drop
        """,
    )
    listing = lab.must("nft", "list", "counter", "ip", "nfcompile", "acl_count_office")
    assert "packets 2 " in listing
