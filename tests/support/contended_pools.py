"""Pools for which two processors contend: sites, subscribers and connections, and what the kernel holds."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.frames import ECHO, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site

SUBSCRIBERS, ADDRESSES, BLOCK = 512, 8, 8
BLOCKS_EACH = SUBSCRIBERS // ADDRESSES
FIRST_HOME, FIRST_PORT = address("100.64.0.1"), 1024
SERVERS = "198.18.0.1", "198.18.0.2"


POOL = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {port_block_size: SIZE, assignment_trial: 240}
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [GLOBALS]
    port_range: 1024-LAST
    hairpin: HAIRPIN
    randomize_ports: RANDOM
    limits_peruser: {portlimit_tcp: SIZE, portlimit_udp: SIZE, portlimit_icmp: SIZE}
"""


def dynamic(
    addresses: int, blocks_each: int, size: int = BLOCK, hairpin: str = "off", kernel_chooses: bool = False
) -> str:
    """The ruleset of a pool with that many global addresses and blocks on each; `kernel_chooses`: it computes
    no ports."""
    text = POOL.replace("SIZE", str(size)).replace("LAST", str(FIRST_PORT + blocks_each * size - 1))
    if not kernel_chooses:
        text = text.replace("    randomize_ports: RANDOM\n", "")
    last = address_text(address("203.0.113.0") + addresses - 1)
    text = text.replace("GLOBALS", f"203.0.113.0-{last}").replace("HAIRPIN", hairpin)
    return site(text.replace("RANDOM", "off")).text.text


def elements(lab: Lab, kind: str, name: str) -> list[Any]:
    """The elements of a set, or the pairs of a map, without their timeouts."""
    said = json.loads(lab.must("nft", "-j", "list", kind, "ip", "nfcompile", name))
    found = next(entry[kind] for entry in said["nftables"] if kind in entry).get("elem", [])

    def plain(value: Any) -> Any:
        value = value["elem"]["val"] if isinstance(value, dict) and "elem" in value else value
        return tuple(value["concat"]) if isinstance(value, dict) and "concat" in value else value

    return [tuple(map(plain, one)) if isinstance(one, list) else plain(one) for one in found]


def counted(lab: Lab, word: str) -> int:
    said = lab.must("nft", "list", "counter", "ip", "nfcompile", f"{word}_count_homes")
    return int(re.findall(r"packets (\d+)", said)[0])


def homes(count: int, seed: int) -> list[int]:
    """So many subscribers in some order."""
    found = [FIRST_HOME + number for number in range(count)]
    random.Random(seed).shuffle(found)
    return found


def connections(
    lab: Lab, subscribers: Sequence[int], each: int, port: int, far: str = SERVERS[0], protocol: int = UDP
) -> list[Packet]:
    """The first connection of all, then the second of all, and so on."""
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    far_port = 0 if protocol == ICMP else 443
    return [
        Packet(protocol, home, port + number, address(far), far_port, flags, lab.token())
        for number in range(each)
        for home in subscribers
    ]


def replaced(text: str, pattern: str, by: str, most: int = 0) -> str:
    """The text with a rule written otherwise; it has to be there."""
    made, count = re.subn(pattern, by, text, count=most)
    assert count, f"no rule like {pattern}"
    return made
