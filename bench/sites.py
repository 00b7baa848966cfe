"""The sites that the benches build, as an operator would write them."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from typing import NamedTuple

FIRST_SUBSCRIBER = (100 << 24) + (64 << 16)
FIRST_GLOBAL = (198 << 24) + (18 << 16)
PORTS = 64_512
"""Ports 1024 to 65535 of an address."""

BLOCK = 1008
BLOCKS = PORTS // BLOCK
"""Blocks of 1008 ports that an address has."""

BARE = "hairpin: off, connection_logging: off"


class Run(NamedTuple):
    """Addresses `first` to `last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return text(self.first) if self.first == self.last else f"{text(self.first)}-{text(self.last)}"


def text(address: int) -> str:
    """An address in dots."""
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def number(words: str) -> int:
    """The address that is written in dots."""
    return int.from_bytes(socket.inet_aton(words), "big")


def aligned(
    subscribers: int, settings: str = BARE, defaults: str = "port_block_size: 16", ports: int = BLOCK
) -> str:
    """2^n subscribers from 100.64.0.0 on, with `ports` ports each on addresses from 198.18.0.0 on (1008:
    64 on an address). `settings` and `defaults` are the pool's and the device's, in YAML's flow style."""
    bits = subscribers.bit_length() - 1
    sharing = PORTS // ports
    return f"""\
version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
nat_defaults: {{{defaults}}}
acls:
  homes: {{10: allow ip {text(FIRST_SUBSCRIBER)}/{32 - bits}}}
pools:
  homes:
    {{type: cgnat, acl: homes, priority: 100, port_range: 1024-65535,
     global_ip: [{text(FIRST_GLOBAL)}/{32 - bits + sharing.bit_length() - 1}],
     limits_peruser: {{portlimit_tcp: {ports}, portlimit_udp: {ports}}}{", " if settings else ""}{settings}}}
"""


def listed(subscribers: Iterable[Run], globals_: Iterable[Run]) -> str:
    """Subscribers and global addresses as lists of ranges, one a line."""
    return "\n".join(
        [
            "version: 1",
            "interfaces: {inside: [lan0], outside: [wan0]}",
            "nat_defaults: {port_block_size: 16}",
            "acls:",
            "  homes: {10: allow ip 100.64.0.0/10}",
            "pools:",
            "  homes:",
            "    type: cgnat",
            "    acl: homes",
            "    priority: 100",
            "    port_range: 1024-65535",
            "    hairpin: off",
            "    connection_logging: off",
            f"    limits_peruser: {{portlimit_tcp: {BLOCK}, portlimit_udp: {BLOCK}}}",
            "    global_ip:",
            *(f"      - {run}" for run in globals_),
            "    subscribers:",
            *(f"      - {run}" for run in subscribers),
            "",
        ]
    )


def scattered(count: int) -> str:
    """Every second address: no two subscribers are neighbours, so nothing can be shared."""
    singles = (FIRST_SUBSCRIBER + 2 * number for number in range(count))
    globals_ = [Run(FIRST_GLOBAL, FIRST_GLOBAL + count // BLOCKS - 1)]
    return listed((Run(one, one) for one in singles), globals_)


def runs(total: int, count: int, start: int, seed: int) -> list[Run]:
    """`count` runs of odd lengths with gaps of odd lengths between them, `total` addresses in all."""
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(1, total), count - 1))
    found, at = [], start
    for low, high in zip([0, *cuts], [*cuts, total], strict=True):
        at += rng.randrange(1, 250)
        found.append(Run(at, at + high - low - 1))
        at += high - low
    return found


def static(entries: int, last: str = "") -> str:
    """A static pool of single addresses in no order; `last` is put in place of the last entry."""
    numbers = list(range(entries))
    random.Random(1).shuffle(numbers)
    lines = [f"      {text((10 << 24) + n * 7 + 1)}: {text(FIRST_GLOBAL + n)}" for n in numbers]
    if last:
        lines[-1] = f"      {last}"
    return "\n".join(
        [
            "version: 1",
            "interfaces: {inside: [lan0], outside: [wan0]}",
            "pools:",
            "  servers:",
            "    type: static",
            "    priority: 50",
            "    global_map:",
            *lines,
            "",
        ]
    )


def cgnat_pools(count: int, settings: str = BARE) -> str:
    """Pools of 256 subscribers and four addresses each."""
    defaults = [
        "version: 1",
        "interfaces: {inside: [lan0], outside: [wan0]}",
        "nat_defaults: {port_block_size: 16}",
    ]
    acls = [f"  a{n}: {{10: allow ip {text(FIRST_SUBSCRIBER + 256 * n)}/24}}" for n in range(count)]
    more = f", {settings}" if settings else ""
    pools = [
        f"  p{n}: {{type: cgnat, acl: a{n}, priority: {100 + n}, port_range: 1024-65535, "
        f"global_ip: [{text(FIRST_GLOBAL + 4 * n)}/30], "
        f"limits_peruser: {{portlimit_tcp: {BLOCK}, portlimit_udp: {BLOCK}}}{more}}}"
        for n in range(count)
    ]
    return "\n".join([*defaults, "acls:", *acls, "pools:", *pools, ""])


def static_pools(count: int) -> str:
    """Pools of 256 one-to-one addresses each."""
    pools = [
        f"  p{n}: {{type: static, priority: {100 + n}, {BARE}, global_map: "
        f"{{{text(FIRST_SUBSCRIBER + 256 * n)}/24: {text(FIRST_GLOBAL + 256 * n)}/24}}}}"
        for n in range(count)
    ]
    head = ["version: 1", "interfaces: {inside: [lan0], outside: [wan0]}"]
    return "\n".join([*head, "pools:", *pools, ""])


def acl_rules(count: int) -> str:
    """One pool, whose ACL denies one network after the other before it allows the rest."""
    site = aligned(65536)
    denied = [
        f"{10 + n}: deny ip {text(FIRST_SUBSCRIBER)}/16 {text((10 << 24) + (n << 12))}/20, "
        for n in range(count - 1)
    ]
    return site.replace("{10: allow ip", "{" + "".join(denied) + f"{10 + count}: allow ip")


def servers(count: int) -> str:
    """One pool, and dnat rules for the ports of servers behind some addresses."""
    rules = [
        f"  s{n}: {{interface: wan0, protocol: tcp, dst_cidr: {text(FIRST_GLOBAL + (1 << 16) + n % 50)}, "
        f"dst_port: {1000 + n // 50}, dnat_ip: {text((10 << 24) + n)}, dnat_port: 80}}"
        for n in range(count)
    ]
    return "\n".join([aligned(65536), "dnat:", *rules, ""])


def egress(count: int) -> str:
    """snat rules that give 64 sources an address each."""
    rules = [
        f"  e{n}: {{src_cidr: {text(FIRST_SUBSCRIBER + 64 * n)}/26, snat_ip: {text(FIRST_GLOBAL + n)}}}"
        for n in range(count)
    ]
    head = ["version: 1", "interfaces: {inside: [lan0], outside: [wan0]}"]
    return "\n".join([*head, "snat:", *rules, ""])


def interfaces(count: int) -> str:
    """One pool behind many inside interfaces."""
    names = ", ".join(f"lan{n}" for n in range(count))
    return aligned(65536).replace("inside: [lan0]", f"inside: [{names}]")
