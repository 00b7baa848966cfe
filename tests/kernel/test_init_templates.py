"""The starting sites of `init` do what their comments say."""

from __future__ import annotations

from nfcompile.cli.init import starting_site
from support.lab import Lab
from support.packet_table import check
from support.sites import site
from support.wires import GATEWAY_ADDRESS


def test_home(lab: Lab) -> None:
    text = starting_site("home", "lan0", "wan0").replace("192.168.1.", "10.0.0.")
    check(
        lab,
        site(text),
        f"""
        udp 10.0.0.7:5000 > 198.18.0.1:53                    -> from {GATEWAY_ADDRESS}
        tcp 10.0.0.7:5000 > 198.18.0.1:443                   -> from {GATEWAY_ADDRESS}
        udp 10.9.0.7:5000 > 198.18.0.1:53                    -> drop           # strict_sources
        tcp@wan0 198.18.0.9:99 > {GATEWAY_ADDRESS}:443       -> to 10.0.0.10:443
        tcp@wan0 198.18.0.9:99 > {GATEWAY_ADDRESS}:2222      -> to 10.0.0.11:22
        """,
    )


def test_cloud(lab: Lab) -> None:
    """One arm: the same wire for both sides."""
    text = starting_site("cloud", "lan0", "wan0").replace("172.32.0.", "203.0.113.")
    check(
        lab,
        site(text),
        f"""
        tcp@wan0 10.2.0.7:5000 > 198.18.0.1:8001             -> from 203.0.113.201 to 198.18.0.1:8080
        udp@wan0 10.2.0.7:5000 > 198.18.0.1:53               -> from {GATEWAY_ADDRESS}
        """,
    )
