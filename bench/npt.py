"""What a new connection and a running packet of IPv6 cost through npt pools, against `masquerade` of IPv6.

The way and the frames' count are those of `connections.py`; each subscriber is a /64 of its own.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from statistics import median

import lab
import measure
import traffic
from frames import Batch
from lab import CLIENT_MAC, LAN_MAC, SERVER_MAC, UDP, Gateway
from measure import Failed, Namespace, ratio

FLOWS, ROUNDS, RUNNING = 20_000, 5, 4096
BASE = "masquerade of IPv6"
LOCAL, GLOBAL = "fd00:1::", "2001:db8:1::"
MASQUERADE = """\
table ip6 plain {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wan0" masquerade
	}
}
"""
SITE = """\
version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
pools: {{v6: {{type: npt, priority: 10, global_map: {{"{local}/48": "{world}/48"}}{more}}}}}
"""
SITES = {"npt": "", "npt, hairpin off": ", hairpin: off", "npt, stateless on": ", stateless: on"}


def frame(number: int, port: int) -> bytes:
    """78 bytes: UDP from host 1 of the subscriber's /64 to one of 250 servers."""
    source = int(IPv6Address(LOCAL)) | number << 64 | 1
    destination = int(IPv6Address("2001:db8:ffff::")) | 1 + port % 250
    ends = source.to_bytes(16) + destination.to_bytes(16)
    segment = struct.pack("!HHHH", port, 53, 24, 0) + bytes(16)
    pseudo = ends + struct.pack("!II", len(segment), UDP)
    total = sum(struct.unpack(f"!{(len(pseudo) + len(segment)) // 2}H", pseudo + segment))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    segment = segment[:6] + struct.pack("!H", total ^ 0xFFFF or 0xFFFF) + segment[8:]
    header = struct.pack("!IHBB", 6 << 28, len(segment), UDP, 64) + ends
    return LAN_MAC + CLIENT_MAC + b"\x86\xdd" + header + segment


def frames(count: int, seed: int) -> list[bytes]:
    """As many flows, each of another subscriber, in random order."""
    dice = random.Random(seed)
    return [frame(number, dice.randrange(32768, 61000)) for number in dice.sample(range(1 << 16), count)]


def gateways(folder: Path, server: Namespace) -> list[Gateway]:
    """A loaded gateway for each case."""
    found: list[Gateway] = []
    for number, name in enumerate((BASE, f"{BASE}, a second gateway", *SITES)):
        text = folder / f"{number}.nft"
        text.write_text(MASQUERADE)
        if name in SITES:
            site = folder / "site.yaml"
            site.write_text(SITE.format(local=LOCAL, world=GLOBAL, more=SITES[name]))
            measure.run(measure.nfcompile("build", str(site)), text)
        gateway = Gateway(name, number, server, lab.untouched)
        gateway.tracks = "stateless" not in name
        _with_ipv6(gateway)
        gateway.load(text)
        found.append(gateway)
    return found


def _with_ipv6(gateway: Gateway) -> None:
    do = gateway.namespace.do
    for name in ("all.disable_ipv6=0", "lan0.disable_ipv6=0", "wan0.disable_ipv6=0", "all.forwarding=1"):
        do("sysctl", "-qw", f"net.ipv6.conf.{name}")
    for link, peer, hardware, to in (
        ("lan0", "fe80::2", CLIENT_MAC, f"{LOCAL}/48"),
        ("wan0", "fe80::3", SERVER_MAC, "default"),
    ):
        do("ip", "-6", "neighbour", "add", peer, "lladdr", lab.mac(hardware), "dev", link, "nud", "permanent")
        do("ip", "-6", "route", "add", to, "via", peer, "dev", link)
    do("ip", "-6", "address", "add", "2001:db8::1/64", "dev", "wan0", "nodad")


def sources(gateway: Gateway, some: Sequence[bytes]) -> str:
    """What is wrong with the sources with which some frames arrive at the server."""
    plain = gateway.name.startswith(BASE)
    wanted = {IPv6Address("2001:db8::1")} if plain else {_outside(one) for one in some}
    there = traffic.arrived(gateway, Batch(some))
    seen = {IPv6Address(one[22:38]) for one in there if one[12:14] == b"\x86\xdd" and one[20] == UDP}
    gateway.forget()
    return (
        "" if seen == wanted else f"{len(seen ^ wanted)} sources are wrong, e.g. {next(iter(seen ^ wanted))}"
    )


def _outside(one: bytes) -> IPv6Address:
    host = int.from_bytes(one[22:38]) & ((1 << 80) - 1)
    return IPv6Address(int(IPv6Address(GLOBAL)) | host)


def report(title: str, costs: dict[str, list[float]], broken: dict[str, str]) -> None:
    """A row for each case."""
    measure.heading(title)
    rows = [
        (name, "-", f"DOES NOT WORK: {broken[name]}")
        if name in broken
        else (name, f"{median(costs[name]):,.0f}", str(ratio(costs[name], costs[BASE])))
        for name in costs
    ]
    measure.table(["case", "CPU ns a packet", f"against {BASE}"], rows)


def main(arguments: Sequence[str] = ()) -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: npt: {problem}", file=sys.stderr)
        return
    os.sched_setaffinity(0, {lab.CPU})
    server, found = Namespace(), []
    with tempfile.TemporaryDirectory() as folder:
        try:
            found += gateways(Path(folder), server)
            new, some = frames(FLOWS, 1), frames(RUNNING, 2)
            broken = {one.name: fault for one in found if (fault := sources(one, new[:500]))}
            batch = Batch(new)
            turns = {one.name: partial(traffic.new_flows, one, batch, broken) for one in found}
            costs = measure.interleave(turns, wish.rounds)
            report(f"New connections of IPv6: {FLOWS:,} UDP flows a turn", costs, broken)
            many = Batch(some, 15)
            for one in found:
                Batch(some).send(one.socket)
            turns = {one.name: partial(traffic.established, one, many, broken) for one in found}
            costs = measure.interleave(turns, wish.rounds)
            report(f"Packets of {RUNNING:,} running flows, unanswered: {many.count:,} a turn", costs, broken)
        finally:
            for one in found:
                one.close()
            server.close()


if __name__ == "__main__":
    main(sys.argv[1:])
