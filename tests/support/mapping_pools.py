"""A pool with mapping entries, what is sent through it, and the entries that it has."""

from __future__ import annotations

import re
import time

from nfcompile.model.parse import address
from nfcompile.pipeline import Compiled
from support.frames import SYN, TCP, Packet
from support.lab import Lab
from support.sites import site
from support.wires import route

CGNAT = """
nat_defaults: {port_block_size: 128}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [203.0.113.0/28]
    limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}
    hairpin: HAIRPIN
    filtering: FILTERING
"""
SERVERS = [address(f"198.18.0.{n}") for n in range(1, 5)]
HOME, OTHER = address("100.64.0.5"), address("100.64.0.17")


def homes(hairpin: str = "on", filtering: str = "address_and_port_dependent") -> Compiled:
    return site(CGNAT.replace("HAIRPIN", hairpin).replace("FILTERING", filtering))


def packet(protocol: int, source: tuple[int, int], destination: tuple[int, int]) -> tuple[str, Packet]:
    flags = SYN if protocol == TCP else 0
    return route(source[0]), Packet(protocol, *source, *destination, flags)


def outside(lab: Lab, protocol: int, source: tuple[int, int], far: int, tries: int = 20) -> tuple[int, int]:
    """The global address and port that a server sees; a refused first packet is sent again."""
    for _ in range(tries):
        (outcome,) = lab.exchange([packet(protocol, source, (far, 443))])
        if outcome.out:
            assert outcome.back[0].packet.destination == source[0]
            return outcome.out[0].packet.source, outcome.out[0].packet.source_port
        time.sleep(0.005)  # who has lost a race is not asked again for a second
    raise AssertionError(f"never came out: {source}")


def entries(lab: Lab, name: str, protocol: str = "udp") -> dict[str, float]:
    """The sockets of a protocol that are keys of a map, and for how many seconds more it holds them."""
    said = lab.must("nft", "list", "map", "ip", "nfcompile", name)
    life = r"((?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?)"
    found = re.findall(
        rf"{protocol} \. ([\d.]+ \. \d+)(?: limit [^:]*?)?(?: timeout \S+)? expires {life} :", said
    )
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return {
        socket: sum(float(n) * units[unit] for n, unit in re.findall(r"(\d+)(ms|h|m|s)", time_left))
        for socket, time_left in found
    }
