"""The nft ruleset that VyOS makes of a configuration, and the configuration's import, in one kernel.

The rulesets are written here in the shape of VyOS' own: a chain for each direction and a rule for each
number, a table of its own for static rules, and for cgnat a map of blocks for each protocol.
"""

from __future__ import annotations

import pytest

from support.imported import compiled, imported
from support.lab import Lab
from support.originals import Original, agrees

NAT = """set firewall group address-group servers address '10.0.0.7'
set firewall group address-group servers address '10.0.0.16-10.0.0.19'
set firewall group network-group far network '198.18.0.0/28'
set nat destination rule 10 destination address '203.0.113.1'
set nat destination rule 10 destination port '8080,9000-9009'
set nat destination rule 10 inbound-interface name 'wan0'
set nat destination rule 10 protocol 'tcp_udp'
set nat destination rule 10 translation address '10.0.0.7'
set nat destination rule 10 translation port '80'
set nat destination rule 20 destination address '!198.18.0.1'
set nat destination rule 20 destination port '53'
set nat destination rule 20 inbound-interface name 'lan0'
set nat destination rule 20 protocol 'udp'
set nat destination rule 20 translation address '198.18.0.1'
set nat destination rule 30 inbound-interface name 'wan0'
set nat destination rule 30 destination address '203.0.113.32/28'
set nat destination rule 30 translation address '10.0.5.32/28'
set nat source rule 100 destination group network-group 'far'
set nat source rule 100 exclude
set nat source rule 100 outbound-interface name 'wan0'
set nat source rule 110 outbound-interface name 'wan0'
set nat source rule 110 source group address-group 'servers'
set nat source rule 110 translation address '203.0.113.2-203.0.113.3'
set nat source rule 120 destination port '!80'
set nat source rule 120 outbound-interface name 'wan0'
set nat source rule 120 protocol 'tcp'
set nat source rule 120 source address '10.0.0.0/24'
set nat source rule 120 translation address '203.0.113.4'
set nat source rule 120 translation port '5000-5999'
set nat source rule 130 outbound-interface name 'wan0'
set nat source rule 130 source address '10.0.5.32/28'
set nat source rule 130 translation address '203.0.113.32/28'
set nat source rule 140 disable
set nat source rule 140 outbound-interface name 'wan0'
set nat source rule 140 translation address '203.0.113.5'
set nat source rule 150 outbound-interface name 'wan0'
set nat source rule 150 source address '10.0.0.0/8'
set nat source rule 150 translation address 'masquerade'
set nat source rule 160 outbound-interface name 'wan1'
set nat source rule 160 source address '!10.0.0.0/24'
set nat source rule 160 translation address 'masquerade'
"""

NAT_RULESET = """table ip vyos_nat {
    set A_servers {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 10.0.0.7, 10.0.0.16-10.0.0.19 }
    }
    set N_far {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 198.18.0.0/28 }
    }
    chain VYOS_PRE_DNAT_HOOK {
        return
    }
    chain VYOS_PRE_SNAT_HOOK {
        return
    }
    chain PREROUTING {
        type nat hook prerouting priority -100; policy accept;
        counter jump VYOS_PRE_DNAT_HOOK
        iifname {wan0} meta l4proto { tcp, udp } ip daddr 203.0.113.1 th dport { 8080,9000-9009 } \
counter dnat to 10.0.0.7:80 comment "DST-NAT-10"
        iifname {lan0} meta l4proto udp ip daddr != 198.18.0.1 udp dport { 53 } \
counter dnat to 198.18.0.1 comment "DST-NAT-20"
        iifname {wan0} counter dnat ip prefix to ip daddr map { 203.0.113.32/28 : 10.0.5.32/28 } \
comment "DST-NAT-30"
    }
    chain POSTROUTING {
        type nat hook postrouting priority 100; policy accept;
        counter jump VYOS_PRE_SNAT_HOOK
        oifname {wan0} ip daddr @N_far counter return comment "SRC-NAT-100"
        oifname {wan0} ip saddr @A_servers counter snat to 203.0.113.2-203.0.113.3 comment "SRC-NAT-110"
        oifname {wan0} meta l4proto tcp ip saddr 10.0.0.0/24 tcp dport != { 80 } \
counter snat to 203.0.113.4:5000-5999 comment "SRC-NAT-120"
        oifname {wan0} counter snat ip prefix to ip saddr map { 10.0.5.32/28 : 203.0.113.32/28 } \
comment "SRC-NAT-130"
        oifname {wan0} ip saddr 10.0.0.0/8 counter masquerade comment "SRC-NAT-150"
        oifname {wan1} ip saddr != 10.0.0.0/24 counter masquerade comment "SRC-NAT-160"
    }
}
"""

STATIC = """set nat static rule 10 destination address '203.0.113.10'
set nat static rule 10 inbound-interface 'wan0'
set nat static rule 10 translation address '10.0.0.10'
set nat static rule 20 destination address '203.0.113.64/28'
set nat static rule 20 inbound-interface 'wan0'
set nat static rule 20 translation address '10.0.6.64/28'
"""

STATIC_RULESET = """table ip vyos_static_nat {
    chain PREROUTING {
        type nat hook prerouting priority -100; policy accept;
        iifname "wan0" ip daddr 203.0.113.10 counter dnat to 10.0.0.10 comment "STATIC-DST-NAT-10"
        iifname "wan0" counter dnat ip prefix to ip daddr map { 203.0.113.64/28 : 10.0.6.64/28 } \
comment "STATIC-DST-NAT-20"
    }
    chain POSTROUTING {
        type nat hook postrouting priority 100; policy accept;
        oifname "wan0" ip saddr 10.0.0.10 counter snat to 203.0.113.10 comment "STATIC-SRC-NAT-10"
        oifname "wan0" counter snat ip prefix to ip saddr map { 10.0.6.64/28 : 203.0.113.64/28 } \
comment "STATIC-SRC-NAT-20"
    }
}
"""

CGNAT = """set nat cgnat pool external out external-port-range '1024-65535'
set nat cgnat pool external out per-user-limit port '20000'
set nat cgnat pool external out range '203.0.113.2/32' seq '20'
set nat cgnat pool external out range '192.0.2.1-192.0.2.2' seq '10'
set nat cgnat pool internal in range '100.64.0.1-100.64.0.5'
set nat cgnat pool internal in range '100.64.9.0/31'
set nat cgnat rule 10 source pool 'in'
set nat cgnat rule 10 translation pool 'out'
"""

BLOCKS = (
    "100.64.0.1 : 192.0.2.1 . 1024-21023, 100.64.0.2 : 192.0.2.1 . 21024-41023, "
    "100.64.0.3 : 192.0.2.1 . 41024-61023, 100.64.0.4 : 192.0.2.2 . 1024-21023, "
    "100.64.0.5 : 192.0.2.2 . 21024-41023, 100.64.9.0 : 192.0.2.2 . 41024-61023, "
    "100.64.9.1 : 203.0.113.2 . 1024-21023"
)
OTHERS = (
    "100.64.0.1 : 192.0.2.1, 100.64.0.2 : 192.0.2.1, 100.64.0.3 : 192.0.2.1, 100.64.0.4 : 192.0.2.2, "
    "100.64.0.5 : 192.0.2.2, 100.64.9.0 : 192.0.2.2, 100.64.9.1 : 203.0.113.2"
)
MAPS = "".join(
    f"    map {protocol}_nat_map {{\n        type ipv4_addr : interval ipv4_addr . inet_service\n"
    f"        flags interval\n        elements = {{ {BLOCKS} }}\n    }}\n"
    for protocol in ("tcp", "udp", "icmp")
)
CGNAT_RULESET = f"""table ip cgnat {{
{MAPS}    map other_nat_map {{
        type ipv4_addr : ipv4_addr
        flags interval
        elements = {{ {OTHERS} }}
    }}
    chain POSTROUTING {{
        type nat hook postrouting priority srcnat; policy accept;
        ip protocol tcp counter snat ip to ip saddr map @tcp_nat_map
        ip protocol udp counter snat ip to ip saddr map @udp_nat_map
        ip protocol icmp counter snat ip to ip saddr map @icmp_nat_map
        counter snat ip to ip saddr map @other_nat_map
    }}
}}
"""


@pytest.mark.parametrize(
    ("configuration", "ruleset"),
    [(NAT, NAT_RULESET), (STATIC, STATIC_RULESET), (CGNAT, CGNAT_RULESET)],
    ids=["nat44", "static", "cgnat"],
)
def test_the_same_packets_come_out(lab: Lab, configuration: str, ruleset: str) -> None:
    found = imported("vyos", configuration, inside=("lan0", "lan1"), outside=("wan0", "wan1"))
    assert found.account.complete
    agrees(lab, Original(ruleset, "nft"), found, compiled(found))
