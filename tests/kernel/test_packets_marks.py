"""Aviatrix's two steps: dnat rules map the destination and mark the session, snat rules choose the source
address by mark and qualifiers. In file order, the first match wins, and before the pools."""

from __future__ import annotations

import pytest

from nfcompile.model.parse import address
from support.frames import ICMP, TCP, UDP
from support.lab import Lab
from support.packet_table import check, probe, send
from support.sites import site

EGRESS = """
gateway: {primary_ip: 172.32.0.10, secondary_ips: [172.32.0.201-172.32.0.210]}
dnat:
  web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}
  api: {protocol: tcp, dst_port: 8002, dnat_port: 8443, mark: 11}
  partner: {protocol: tcp, src_cidr: 10.0.0.0/8, dst_port: 8003, dnat_ip: 192.0.2.9, dnat_port: 443, mark: 12}
snat:
  web: {mark: 10, snat_ip: 172.32.0.201}
  api: {mark: 11, snat_ip: 172.32.0.203-172.32.0.206}
  partner: {mark: 12, protocol: tcp, snat_ip: 172.32.0.207}
  rest: {src_cidr: 10.0.0.0/8, snat_ip: 172.32.0.210}
"""


def test_egress(lab: Lab) -> None:
    check(
        lab,
        site(EGRESS),
        """
        tcp 10.0.0.1:5000 > 198.18.0.1:8001       -> from 172.32.0.201:5000 to 198.18.0.1:8080
        tcp 10.0.0.1:5000 > 198.18.0.1:8002       -> from 172.32.0.203-172.32.0.206 to 198.18.0.1:8443
        tcp 10.0.0.1:5000 > 198.18.0.1:8003       -> from 172.32.0.207:5000 to 192.0.2.9:443
        tcp 10.0.0.1:5000 > 198.18.0.1:8004       -> from 172.32.0.210
        udp 10.0.0.1:5000 > 198.18.0.1:8001       -> from 172.32.0.210           # the rule is for tcp
        icmp 10.0.0.1 > 198.18.0.1                -> from 172.32.0.210
        gre 10.0.0.1 > 198.18.0.1                 -> from 172.32.0.210
        tcp 192.168.0.1:5000 > 198.18.0.1:8001    -> from 172.32.0.201 to 198.18.0.1:8080
        tcp 192.168.0.1:5000 > 198.18.0.1:8003    -> untranslated                # not the partner's source
        tcp 192.168.0.1:5000 > 198.18.0.1:8004    -> untranslated
        """,
    )


@pytest.mark.parametrize("rule", ["api: {mark: 11,", "api: {mark: 11, protocol: tcp,"], ids=["map", "rule"])
def test_a_segment_keeps_one_address_for_a_client(lab: Lab, rule: str) -> None:
    """`persistent`: whatever the destination and protocol, and all addresses of the segment are used."""
    lab.load(site(EGRESS.replace("api: {mark: 11,", rule)).text.text)
    used = set()
    for client in range(address("10.0.0.1"), address("10.0.0.41")):
        far = address("198.18.0.1")
        outcomes = lab.exchange(probe(TCP, client, far + n, 8002) for n in range(20))
        seen = {one.out[0].packet.source for one in outcomes}
        assert len(seen) == 1
        used |= seen
    assert used == set(range(address("172.32.0.203"), address("172.32.0.207")))


QUALIFIERS = """
interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}
snat:
  exact: {protocol: udp, src_cidr: 10.0.0.5, src_port: 1000-1999, dst_cidr: 198.18.0.0/24,
          dst_port: 53, snat_ip: 172.32.0.1}
  range: {src_cidr: 10.0.0.7-10.0.0.9, snat_ip: 172.32.0.2}
  ping: {protocol: icmp, snat_ip: 172.32.0.3}
  second: {interface: wan1, snat_ip: 172.32.0.4}
  ports: {protocol: tcp, dst_cidr: 198.18.0.0/24, snat_ip: 172.32.0.5, snat_port: 30000-30007}
  first: {interface: wan0, protocol: tcp, snat_ip: 172.32.0.6-172.32.0.9, snat_port: 40000-41000}
"""


def test_qualifiers_of_snat(lab: Lab) -> None:
    check(
        lab,
        site(QUALIFIERS),
        """
        udp 10.0.0.5:1500 > 198.18.0.1:53          -> from 172.32.0.1:1500
        udp 10.0.0.5:2000 > 198.18.0.1:53          -> untranslated
        udp 10.0.0.5:1500 > 198.18.0.1:54          -> untranslated
        udp 10.0.0.5:1500 > 198.18.2.1:53          -> untranslated
        udp 10.0.0.6:1500 > 198.18.0.1:53          -> untranslated
        udp 10.0.0.7:1500 > 198.18.0.1:53          -> from 172.32.0.2
        gre 10.0.0.9 > 198.18.0.1                  -> from 172.32.0.2
        udp 10.0.0.10:1500 > 198.18.0.1:53         -> untranslated
        icmp 10.0.0.10 > 198.18.1.1                -> from 172.32.0.3
        udp 10.0.0.10:1500 > 198.18.1.1:53         -> from 172.32.0.4
        tcp 10.0.0.10:1500 > 198.18.1.1:53         -> from 172.32.0.4
        tcp 10.0.0.10:1500 > 198.18.0.1:53         -> from 172.32.0.5:30000-30007
        tcp 10.1.0.10:1500 > 198.18.2.1:53         -> from 172.32.0.6-172.32.0.9:40000-41000
        udp 10.1.0.10:1500 > 198.18.2.1:53         -> untranslated
        tcp 10.1.0.10:1500 > 10.0.0.1:53           -> untranslated     # from inside to inside
        icmp 10.1.0.10 > 10.0.0.1                  -> untranslated
        """,
    )


def test_qualifiers_of_dnat(lab: Lab) -> None:
    check(
        lab,
        site("""
interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}
dnat:
  exact: {protocol: udp, src_cidr: 10.0.0.5, src_port: 1000-1999, dst_cidr: 198.18.0.0/24, dst_port: 53,
          dnat_ip: 198.18.3.3, mark: 1}
  segment: {dst_cidr: 198.18.4.4, dnat_ip: 198.18.5.16-198.18.5.19}
  ports: {protocol: tcp, dst_port: 7000-7010, dnat_port: 8000-8010, mark: 2}
  second: {interface: lan1, protocol: tcp, dnat_ip: 198.18.6.6, dnat_port: 9}
  forward: {interface: wan0, protocol: tcp, dst_cidr: 172.31.9.1, dst_port: 2222,
            dnat_ip: 10.0.0.8, dnat_port: 22}
  mark-only: {protocol: icmp, mark: 3}
  icmp-again: {protocol: icmp, dnat_ip: 198.18.7.7}
snat:
  one: {mark: 1, snat_ip: 172.32.0.1}
  two: {mark: 2, snat_ip: 172.32.0.2}
  three: {mark: 3, snat_ip: 172.32.0.3}
"""),
        """
        udp 10.0.0.5:1500 > 198.18.0.1:53          -> from 172.32.0.1 to 198.18.3.3:53
        udp 10.0.0.5:1500 > 198.18.0.1:54          -> untranslated
        udp 10.0.0.5:999 > 198.18.0.1:53           -> untranslated
        udp 10.0.0.6:1500 > 198.18.0.1:53          -> untranslated
        udp 10.0.0.6:1500 > 198.18.4.4:53          -> to 198.18.5.16-198.18.5.19:53
        gre 10.0.0.6 > 198.18.4.4                  -> to 198.18.5.16-198.18.5.19
        tcp 10.0.0.6:1500 > 198.18.0.1:7005        -> from 172.32.0.2 to 198.18.0.1:8000-8010
        tcp 10.0.0.6:1500 > 198.18.0.1:7011        -> untranslated
        tcp 10.1.0.6:1500 > 198.18.0.1:7011        -> to 198.18.6.6:9
        tcp 10.1.0.6:1500 > 198.18.0.1:7005        -> from 172.32.0.2 to 198.18.0.1:8000-8010
        tcp@wan0 198.18.0.1:1500 > 172.31.9.1:2222  -> to 10.0.0.8:22
        tcp@wan0 198.18.0.1:1501 > 10.0.0.9:7005   -> untranslated     # dnat is for what comes from inside
        icmp 10.0.0.6 > 198.18.0.1                 -> from 172.32.0.3  # the mark was the first match
        """,
    )


def test_lists_and_negation(lab: Lab) -> None:
    """A list matches any of its values, '!' what is none of them; an interface list leaves the others."""
    check(
        lab,
        site("""
interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}
dnat:
  web: {protocol: [tcp, udp], src_cidr: [10.0.0.0/30, 10.0.0.8], dst_port: [80, 8000-8010],
        dnat_ip: 198.18.3.3, mark: 1}
  not-mail: {protocol: tcp, dst_port: "!25", interface: "!lan1", dst_cidr: 198.18.2.0/24, mark: 2}
  tunnels: {protocol: [gre, icmp], interface: lan1, mark: 3}
snat:
  one-or-three: {mark: [1, 3], snat_ip: 172.32.0.1}
  not-two: {mark: "!2", src_cidr: 10.0.0.64/26, snat_ip: 172.32.0.2}
  elsewhere: {src_cidr: ["!10.0.0.0/24", "!10.1.0.0/24"], interface: "!wan1", snat_ip: 172.32.0.3}
  ports: {protocol: [tcp, udp], src_port: ["!1000-1999", "!3000"], snat_ip: 172.32.0.4}
  rest: {protocol: ["!tcp", "!udp"], snat_ip: 172.32.0.5}
"""),
        """
        tcp 10.0.0.1:1500 > 198.18.0.1:80          -> from 172.32.0.1 to 198.18.3.3:80
        udp 10.0.0.8:1500 > 198.18.0.1:8005        -> from 172.32.0.1 to 198.18.3.3:8005
        udp 10.0.0.4:1500 > 198.18.0.1:8005        -> untranslated
        tcp 10.0.0.1:2500 > 198.18.0.1:81          -> from 172.32.0.4
        tcp 10.0.0.70:1500 > 198.18.2.1:26         -> untranslated     # mark 2, and port 1500 is excluded
        tcp 10.0.0.70:1500 > 198.18.2.1:25         -> from 172.32.0.2
        udp 10.0.0.70:1500 > 198.18.2.1:26         -> from 172.32.0.2
        icmp 10.1.0.1 > 198.18.0.1                 -> from 172.32.0.1
        gre 10.1.0.1 > 198.18.0.1                  -> from 172.32.0.1
        icmp 10.0.0.1 > 198.18.0.1                 -> from 172.32.0.5
        tcp 10.1.1.1:1500 > 198.18.2.1:53          -> from 172.32.0.3
        tcp 10.1.1.1:1500 > 198.18.1.1:53          -> untranslated     # wan1, and port 1500 is excluded
        tcp 10.1.1.1:3000 > 198.18.1.1:53          -> untranslated
        tcp 10.1.1.1:3001 > 198.18.1.1:53          -> from 172.32.0.4
        gre 10.1.1.1 > 198.18.1.1                  -> from 172.32.0.1
        """,
    )


def test_the_first_match_wins(lab: Lab) -> None:
    """Rules that share a map and rules that do not, with a port twice."""
    check(
        lab,
        site("""
dnat:
  a: {protocol: tcp, dst_port: 1001, dnat_port: 2001, mark: 1}
  b: {protocol: tcp, dst_port: 1002, dnat_port: 2002, mark: 2}
  c: {protocol: tcp, dst_port: 1001, dnat_port: 2003, mark: 3}
  d: {protocol: tcp, src_cidr: 10.0.0.5, dst_port: 1004, dnat_port: 2004, mark: 4}
  e: {protocol: tcp, dst_port: 1004, dnat_port: 2005, mark: 5}
  f: {protocol: tcp, dst_port: 1006, dnat_port: 2006}
  g: {protocol: tcp, dst_port: 1007, dnat_port: 2007}
  h: {protocol: udp, dst_port: 1001, dnat_port: 2008, mark: 8}
  i: {protocol: tcp, dst_port: 1009, dnat_ip: 198.18.9.9, dnat_port: 2009, mark: 9}
  j: {protocol: tcp, dst_port: 1010, dnat_ip: 198.18.9.10, dnat_port: 2010, mark: 10}
snat:
  first: {mark: 1, snat_ip: 172.32.0.1}
  second: {mark: 2, snat_ip: 172.32.0.2}
  again: {mark: 1, snat_ip: 172.32.0.99}
  third: {mark: 3, snat_ip: 172.32.0.3}
  fourth: {mark: 4, protocol: tcp, snat_ip: 172.32.0.4}
  fifth: {mark: 5, snat_ip: 172.32.0.5}
  eighth: {mark: 8, snat_ip: 172.32.0.8}
  ninth: {mark: 9, snat_ip: 172.32.0.9}
  tenth: {mark: 10, snat_ip: 172.32.0.10}
"""),
        """
        tcp 10.0.0.1 > 198.18.0.1:1001     -> from 172.32.0.1 to 198.18.0.1:2001
        tcp 10.0.0.1 > 198.18.0.1:1002     -> from 172.32.0.2 to 198.18.0.1:2002
        tcp 10.0.0.5 > 198.18.0.1:1004     -> from 172.32.0.4 to 198.18.0.1:2004
        tcp 10.0.0.6 > 198.18.0.1:1004     -> from 172.32.0.5 to 198.18.0.1:2005
        tcp 10.0.0.6 > 198.18.0.1:1006     -> to 198.18.0.1:2006
        tcp 10.0.0.6 > 198.18.0.1:1007     -> to 198.18.0.1:2007
        udp 10.0.0.6 > 198.18.0.1:1001     -> from 172.32.0.8 to 198.18.0.1:2008
        tcp 10.0.0.6 > 198.18.0.1:1009     -> from 172.32.0.9 to 198.18.9.9:2009
        tcp 10.0.0.6 > 198.18.0.1:1010     -> from 172.32.0.10 to 198.18.9.10:2010
        tcp 10.0.0.6 > 198.18.0.1:2001     -> untranslated
        """,
    )


def test_rules_of_one_form(lab: Lab) -> None:
    """Servers, hosts and networks of more than a few rules are one look-up each, between others; from outside
    and, where a rule names no interface, from inside."""
    check(
        lab,
        site("""
dnat:
  s1: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 25, dnat_ip: 10.0.0.1, dnat_port: 25}
  s2: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 80, dnat_ip: 10.0.0.2, dnat_port: 88}
  games: {interface: wan0, protocol: udp, dst_cidr: 203.0.113.1, dst_port: 2000-2100, dnat_ip: 10.0.0.3}
  s3:
    {interface: wan0, protocol: [tcp, udp], dst_cidr: 203.0.113.2, dst_port: 53, dnat_ip: 10.0.0.4,
     dnat_port: 53}
  s4: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.2, dst_port: 443, dnat_ip: 10.0.0.5, dnat_port: 44}
  s5: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.3, dst_port: 22, dnat_ip: 10.0.0.6, dnat_port: 22}
  some: {interface: wan0, dst_cidr: 203.0.113.0/30, src_cidr: 198.18.0.8/29, dnat_ip: 10.0.0.7}
  s6: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.3, dst_port: 80, dnat_ip: 10.0.0.8, dnat_port: 88}
  p1: {interface: wan0, protocol: tcp, dst_port: 3001, dnat_ip: 10.0.0.11, dnat_port: 22}
  p2: {interface: wan0, protocol: tcp, dst_port: 3002, dnat_ip: 10.0.0.12, dnat_port: 22}
  p3: {interface: wan0, protocol: tcp, dst_port: 3003, dnat_ip: 10.0.0.13, dnat_port: 22}
  p4: {interface: wan0, protocol: tcp, dst_port: 3001, dnat_ip: 10.0.0.14, dnat_port: 22}
  p5: {interface: wan0, protocol: tcp, dst_port: 3005, dnat_ip: 10.0.0.15, dnat_port: 23}
  h1: {dst_cidr: 203.0.113.10, dnat_ip: 198.18.3.10, mark: 1}
  h2: {dst_cidr: 203.0.113.11, dnat_ip: 198.18.3.11, mark: 2}
  h3: {dst_cidr: 203.0.113.12, dnat_ip: 198.18.3.12, mark: 1}
  h4: {dst_cidr: 203.0.113.11, dnat_ip: 198.18.3.99, mark: 1}
  h5: {dst_cidr: 203.0.113.14, dnat_ip: 198.18.3.14, mark: 1}
  h6: {dst_cidr: 203.0.113.15, dnat_ip: 198.18.3.15, mark: 1}
snat:
  one: {mark: 1, snat_ip: 172.32.0.1}
  two: {mark: 2, snat_ip: 172.32.0.2}
  a: {src_cidr: 10.0.0.0/28, snat_ip: 172.32.1.1}
  b: {src_cidr: [10.0.1.0/24, 10.0.0.77], snat_ip: 172.32.1.2}
  c: {src_cidr: 10.0.0.0/24, snat_ip: 172.32.1.8-172.32.1.11}
  d: {src_cidr: 10.0.0.200, snat_ip: 172.32.1.4}
  e: {src_cidr: 10.0.8.0/21, snat_ip: 172.32.1.5}
"""),
        """
        tcp@wan0 198.18.0.1:5000 > 203.0.113.1:25      -> to 10.0.0.1:25
        tcp@wan0 198.18.0.1:5001 > 203.0.113.1:80      -> to 10.0.0.2:88
        udp@wan0 198.18.0.1:5002 > 203.0.113.1:2050    -> to 10.0.0.3:2050
        tcp@wan0 198.18.0.1:5003 > 203.0.113.2:53      -> to 10.0.0.4:53
        udp@wan0 198.18.0.1:5004 > 203.0.113.2:53      -> to 10.0.0.4:53
        tcp@wan0 198.18.0.1:5005 > 203.0.113.2:443     -> to 10.0.0.5:44
        tcp@wan0 198.18.0.9:5006 > 203.0.113.3:22      -> to 10.0.0.6:22
        tcp@wan0 198.18.0.9:5007 > 203.0.113.3:80      -> to 10.0.0.7:80
        udp@wan0 198.18.0.9:5008 > 203.0.113.1:25      -> to 10.0.0.7:25
        tcp@wan0 198.18.0.1:5009 > 203.0.113.3:80      -> to 10.0.0.8:88
        tcp@wan0 198.18.0.1:5010 > 203.0.113.9:3001    -> to 10.0.0.11:22
        tcp@wan0 198.18.0.1:5011 > 203.0.113.8:3005    -> to 10.0.0.15:23
        udp 10.0.0.1:5010 > 203.0.113.10:7             -> from 172.32.0.1 to 198.18.3.10:7
        icmp 10.0.0.1 > 203.0.113.11                   -> from 172.32.0.2 to 198.18.3.11
        gre 10.0.1.1 > 203.0.113.15                    -> from 172.32.0.1 to 198.18.3.15
        tcp 10.0.0.15 > 198.18.0.1:443                 -> from 172.32.1.1
        tcp 10.0.0.77 > 198.18.0.1:443                 -> from 172.32.1.2
        udp 10.0.1.77 > 198.18.0.1:443                 -> from 172.32.1.2
        icmp 10.0.0.200 > 198.18.0.1                   -> from 172.32.1.8-172.32.1.11
        gre 10.0.9.7 > 198.18.0.1                      -> from 172.32.1.5
        tcp 192.168.0.1 > 198.18.0.1:443               -> untranslated
        """,
    )


def test_masks(lab: Lab) -> None:
    """A mark with a mask is some bits of the whole; others may be set by other rules or programs."""
    compiled = site("""
dnat:
  low: {protocol: tcp, dst_port: 1001, dnat_port: 2001, mark: 0x10/0xf0}
  high: {protocol: tcp, dst_port: 1002, dnat_port: 2002, mark: 0x1300/0xff00}
  whole: {protocol: tcp, dst_port: 1003, dnat_port: 2003, mark: 0x1310}
  other: {protocol: tcp, dst_port: 1004, dnat_port: 2004, mark: 32}
snat:
  both: {mark: 0x1310/0xfff0, snat_ip: 172.32.0.1}
  low: {mark: 0x10/0xf0, snat_ip: 172.32.0.2}
  high: {mark: 0x1300/0xff00, snat_ip: 172.32.0.3}
  other: {mark: 32, snat_ip: 172.32.0.4}
""")
    table = """
        tcp 10.0.0.1 > 198.18.0.1:1001     -> from LOW to 198.18.0.1:2001
        tcp 10.0.0.1 > 198.18.0.1:1002     -> from HIGH to 198.18.0.1:2002
        tcp 10.0.0.1 > 198.18.0.1:1003     -> from 172.32.0.1 to 198.18.0.1:2003
        tcp 10.0.0.1 > 198.18.0.1:1004     -> from OTHER to 198.18.0.1:2004
        """
    alone = table.replace("LOW", "172.32.0.2").replace("HIGH", "172.32.0.3").replace("OTHER", "172.32.0.4")
    check(lab, compiled, alone)
    both = table.replace("LOW", "172.32.0.1").replace("HIGH", "172.32.0.1").replace("OTHER", "172.32.0.4")
    for foreign, expected in ((0x80000005, alone), (0x1310, both)):
        lab.load(compiled.text.text)
        lab.reload(f"""table ip somebody_else {{
            chain before {{
                type filter hook prerouting priority mangle
                ct state new ct mark set {foreign}
            }}
        }}""")
        send(lab, compiled, expected)


def test_snat_comes_before_the_pools(lab: Lab) -> None:
    """And sees the destination after dnat, as the ACLs of the pools do."""
    check(
        lab,
        site("""
acls: {a: {10: allow tcp 10.0.0.0/28 dport 2002, 20: allow udp 10.0.0.0/28}}
pools: {p: {type: nat, acl: a, priority: 1, allocation: deterministic, global_ip: [203.0.113.0/28]}}
dnat:
  web: {protocol: tcp, dst_port: 1001, dnat_port: 2001, mark: 1}
  api: {protocol: tcp, dst_port: 1002, dnat_port: 2002, mark: 2}
snat:
  web: {mark: 1, snat_ip: 172.32.0.1}
  dns: {protocol: udp, dst_port: 53, snat_ip: 172.32.0.2}
  mapped: {protocol: tcp, dst_port: 1003, snat_ip: 172.32.0.3}
"""),
        """
        tcp 10.0.0.1 > 198.18.0.1:1001     -> from 172.32.0.1 to 198.18.0.1:2001
        tcp 10.0.0.1 > 198.18.0.1:1002     -> pool p to 198.18.0.1:2002
        tcp 10.0.0.1 > 198.18.0.1:1003     -> from 172.32.0.3
        tcp 10.0.0.1 > 198.18.0.1:1004     -> untranslated
        udp 10.0.0.1 > 198.18.0.1:53       -> from 172.32.0.2
        udp 10.0.0.1 > 198.18.0.1:54       -> pool p
        """,
    )


def test_a_full_port_range_drops(lab: Lab) -> None:
    """Nothing leaves untranslated when `snat_port` is used up."""
    compiled = site("snat: {r: {protocol: udp, snat_ip: 172.32.0.1, snat_port: 30000-30003}}")
    lab.load(compiled.text.text)
    outcomes = lab.exchange(probe(UDP, address("10.0.0.1"), address("198.18.0.1"), 53) for _ in range(6))
    assert [bool(one.out) for one in outcomes] == [True] * 4 + [False] * 2
    assert all(one.out for one in lab.exchange([probe(ICMP, address("10.0.0.1"), address("198.18.0.1"))]))


def test_a_gateway_that_translates_nothing_there_asks_for_no_syn(lab: Lab) -> None:
    """The only snat rule is for an interface that is no outside one: towards wan0 nothing is translated."""
    check(
        lab,
        site("snat: {other: {interface: wan1, snat_ip: 203.0.113.9}}"),
        """
        tcp 10.0.0.28:1000 > 198.18.0.5:53         -> untranslated
        ack 10.0.0.28:1001 > 198.18.0.5:53         -> untranslated
        tcp 10.0.0.28:1002 > 198.18.1.5:53         -> from 203.0.113.9
        """,
    )


def test_a_rule_with_a_mark_after_one_without(lab: Lab) -> None:
    """Both are of the plain form that shares a map; only the second one sets the mark."""
    check(
        lab,
        site("""
dnat:
  first: {protocol: tcp, dst_port: 8001, dnat_port: 8080}
  second: {protocol: tcp, dst_port: 8002, dnat_port: 8081, mark: 12}
snat: {marked: {mark: 12, snat_ip: 172.32.0.212}}
"""),
        """
        tcp 10.0.0.1:1000 > 198.18.0.1:8001        -> to 198.18.0.1:8080
        tcp 10.0.0.1:1001 > 198.18.0.1:8002        -> from 172.32.0.212 to 198.18.0.1:8081
        """,
    )
