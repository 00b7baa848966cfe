"""RouterOS' nat rules in their own order (tests/support/routeros_rules.py) and their import in one kernel."""

from __future__ import annotations

import pytest

from support.imported import compiled, imported
from support.lab import Lab
from support.originals import Original, agrees
from support.routeros_rules import Export

RULES = r"""# 2026-01-01 00:00:00 by RouterOS 7.15
/interface list member
add interface=wan0 list=WAN
add interface=lan0 list=LAN
add interface=lan1 list=LAN
/ip firewall address-list
add address=10.0.0.7 list=servers
add address=10.0.0.16-10.0.0.19 list=servers
add address=198.18.0.0/28 list=far
/ip firewall nat
add action=accept chain=srcnat comment="no translation" dst-address-list=far \
    out-interface-list=WAN
add action=jump chain=srcnat jump-target=users out-interface=wan0 src-address=10.0.0.0/16
add action=dst-nat chain=dstnat dst-address=203.0.113.1 dst-port=8080,9000-9009 \
    in-interface-list=WAN protocol=tcp to-addresses=10.0.0.7 to-ports=80
add action=dst-nat chain=dstnat dst-address=!198.18.0.1 dst-port=53 in-interface=lan0 \
    protocol=udp to-addresses=198.18.0.1
add action=netmap chain=dstnat dst-address=203.0.113.32/28 in-interface=wan0 \
    to-addresses=10.0.5.32/28
add action=src-nat chain=srcnat disabled=yes out-interface-list=WAN to-addresses=203.0.113.9
add action=masquerade chain=srcnat out-interface-list=WAN src-address=100.64.0.0/24
add action=src-nat chain=srcnat out-interface=wan1 protocol=!tcp src-address=!10.0.0.0/24 \
    to-addresses=203.0.113.8
add action=return chain=users protocol=udp src-address=10.0.0.0/24 dst-port=5000-5999
add action=src-nat chain=users src-address-list=servers to-addresses=203.0.113.2-203.0.113.3
add action=src-nat chain=users protocol=tcp src-address=10.0.0.0/24 \
    to-addresses=203.0.113.4 to-ports=5000-5999
add action=netmap chain=users protocol=tcp src-address=10.0.5.40/30 to-addresses=203.0.113.40/30 \
    to-ports=2000-2999
add action=netmap chain=users src-address=10.0.5.32/28 to-addresses=203.0.113.32/28
"""

NETMAP = "/ip firewall nat\n" + "".join(
    f"add action=netmap chain=srcnat out-interface=wan0 protocol={protocol} "
    f"src-address=100.64.0.{8 * number}/29 to-addresses=203.0.113.96/29{ports}\n"
    for number in range(4)
    for protocol, ports in (
        ("udp", f" to-ports={1000 + 1500 * number}-{2499 + 1500 * number}"),
        ("tcp", f" to-ports={1000 + 1500 * number}-{2499 + 1500 * number}"),
        ("icmp", ""),
    )
)


@pytest.mark.parametrize("export", [RULES, NETMAP], ids=["rules", "netmap"])
def test_the_same_packets_come_out(lab: Lab, export: str) -> None:
    found = imported("routeros", export, inside=("lan0", "lan1"), outside=("wan0", "wan1"))
    assert found.account.complete
    agrees(lab, Original(Export(export).table(), "nft"), found, compiled(found))
