"""A nat table in the kernel by iptables-restore, and its import in the same kernel: the same packets."""

from __future__ import annotations

import shutil

import pytest

from nfcompile.model.parse import address
from support.imported import compiled, imported
from support.lab import Lab, cannot
from support.originals import Original, agrees
from support.wires import WIRES, gateway_address

PLAIN = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:web - [0:0]
:rest - [0:0]
-A PREROUTING -d 203.0.113.1/32 -i wan0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.7:80
-A PREROUTING -d 203.0.113.1/32 -i wan0 -p udp -m udp --dport 5000:5010 -j DNAT --to-destination 10.0.0.8
-A PREROUTING -d 198.18.0.9/32 -i lan0 -j DNAT --to-destination 198.18.0.10
-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j web
-A POSTROUTING -s 10.0.0.0/16 -o wan0 -j rest
-A POSTROUTING -o wan1 -j SNAT --to-source 203.0.113.9
-A rest -d 198.18.0.0/28 -j SNAT --to-source 203.0.113.5
-A rest -p udp -j SNAT --to-source 203.0.113.2-203.0.113.3
-A rest -s 10.0.0.0/25 -j SNAT --to-source 203.0.113.4
-A web -p tcp -m tcp --dport 80 -j SNAT --to-source 203.0.113.1:5000-6000
-A web -p tcp -m tcp --dport 81:90 -j SNAT --to-source 203.0.113.6
COMMIT
"""

WHOLE = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:users - [0:0]
-A PREROUTING -d 203.0.113.1/32 -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.0.0.7
-A PREROUTING -d 203.0.113.1/32 ! -i lan1 -p esp -j DNAT --to-destination 10.0.0.9
-A PREROUTING ! -s 198.18.0.0/24 -d 203.0.113.16/28 -i wan0 -j NETMAP --to 10.0.5.16/28
-A POSTROUTING -d 198.18.0.128/25 -o wan0 -j ACCEPT
-A POSTROUTING -s 10.0.0.0/8 -j users
-A POSTROUTING -s 100.64.0.0/10 -o wan0 -j MASQUERADE
-A users -d 10.0.0.0/8 -j RETURN
-A users -s 10.0.5.16/28 -o wan0 -j NETMAP --to 203.0.113.16/28
-A users ! -p tcp -o wan0 -j SNAT --to-source 203.0.113.2
-A users -o wan1 -j MASQUERADE
COMMIT
"""

FAMILY = "".join(
    f"-A POSTROUTING -s 100.64.0.{n}/32 -o wan0 -p {protocol} "
    f"-j SNAT --to-source 203.0.113.{1 + n // 4}:{first}-{first + 1999}\n"
    for n in range(16)
    for protocol, first in (("tcp", 1024 + n % 4 * 2000), ("udp", 1024 + n % 4 * 2000))
)
POOL = f"*nat\n:POSTROUTING ACCEPT [0:0]\n{FAMILY}COMMIT\n"

REDIRECT = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -s 10.0.0.0/24 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128
-A PREROUTING -i lan0 -p udp -m udp --dport 53 -j REDIRECT
-A PREROUTING ! -i lan0 -p udp -m udp --dport 5000:5009 -j REDIRECT --to-ports 6000-6009
-A POSTROUTING -o wan0 -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize(
    "text", [PLAIN, WHOLE, POOL, REDIRECT], ids=["plain", "whole language", "pool", "redirect"]
)
def test_the_same_packets_come_out(lab: Lab, text: str) -> None:
    if shutil.which("iptables-restore") is None:
        cannot("iptables-restore is not installed")
    own = {wire.name: address(gateway_address(wire.name)) for wire in WIRES}
    found = imported("iptables", text, inside=("lan0", "lan1"), outside=("wan0", "wan1"), addresses=own)
    assert found.account.complete
    agrees(lab, Original(text, "iptables-restore"), found, compiled(found))
