"""What a new connection and an established packet cost, against one plain `masquerade`.

The way of a packet is in `lab.py`. Each case gets the same frames. Connection tracking is emptied after each
turn. Before its time counts, each case shows that it does its work: all flows arrive, and those looked at
have the global address and ports that `lookup` says.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import lab
import measure
import sites
import traffic
import vyos_shape
from frames import Batch
from lab import CPU, SAMPLE, Gateway, Verify, flows
from measure import Failed, Namespace, ratio, verdict
from traffic import ESTABLISHED_PACKETS, LONG_LIVED

SUBSCRIBERS = 1 << 16
FLOWS = 30_000
ROUNDS = 5
TARGET = 1.05

SMALL = "port_block_size: 16"
SITES: dict[str, str] = {
    "bare: hairpin off, connection_logging off": sites.aligned(SUBSCRIBERS),
    "bare, timeouts_by host": sites.aligned(SUBSCRIBERS, defaults=f"{SMALL}, timeouts_by: host"),
    "bare, without its timeouts and event mask": sites.aligned(SUBSCRIBERS),
    "bare, 1,048,576 subscribers": sites.aligned(1 << 20),
    "bare, fill address": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, fill: address"),
    "bare, inbound subscriber": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, inbound: subscriber"),
    "bare, permit_invalid_flow on": sites.aligned(SUBSCRIBERS, defaults=f"{SMALL}, permit_invalid_flow: on"),
    "bare, sessions_per_translation 100": sites.aligned(
        SUBSCRIBERS, defaults=f"{SMALL}, sessions_per_translation: 100"
    ),
    "bare, all sessions limited to 2000": sites.aligned(
        SUBSCRIBERS, defaults=f"{SMALL}, limits_peruser: {{sessions: 2000}}"
    ),
    "bare, without its guard of sources": sites.aligned(SUBSCRIBERS),
    "bare, one-armed": sites.aligned(SUBSCRIBERS).replace(
        "{inside: [lan0], outside: [wan0]}", "{inside: [lan0, wan0], outside: [lan0, wan0]}"
    ),
    "bare, allocation dynamic, assignment_trial as translation": sites.aligned(
        SUBSCRIBERS,
        f"{sites.BARE}, allocation: dynamic",
        f"port_block_size: {sites.BLOCK}, assignment_trial: 86400",
    ),
    "bare, allocation dynamic": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "bare, allocation dynamic, known subscribers on trial": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "bare, allocation dynamic, known subscribers": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "bare, 256 pools": sites.cgnat_pools(SUBSCRIBERS // 256),
    "bare, 200 ACL rules": sites.acl_rules(200),
    "connection_logging on": sites.aligned(SUBSCRIBERS, "hairpin: off"),
    "filtering endpoint_independent": sites.aligned(
        SUBSCRIBERS, f"{sites.BARE}, filtering: endpoint_independent"
    ),
    "hairpin on": sites.aligned(SUBSCRIBERS, "connection_logging: off"),
    "hairpin on, known sockets": sites.aligned(SUBSCRIBERS, "connection_logging: off"),
    "randomize_ports on": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, randomize_ports: on"),
    "randomize_ports off": sites.aligned(SUBSCRIBERS, f"{sites.BARE}, randomize_ports: off"),
    "all defaults": sites.aligned(SUBSCRIBERS, ""),
    "all defaults, allocation dynamic": sites.aligned(
        SUBSCRIBERS, "allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "all defaults, allocation dynamic, known subscribers, new sockets": sites.aligned(
        SUBSCRIBERS, "allocation: dynamic", f"port_block_size: {sites.BLOCK}"
    ),
    "all defaults, 256 pools": sites.cgnat_pools(SUBSCRIBERS // 256, ""),
}
"""Name -> site. To see what one more feature costs, add a line with that feature alone."""

RULES = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
EXCLUDED = "".join(f"  x{n}: {{dst_cidr: 10.{n}.0.0/16, protocol: tcp, exclude: on}}\n" for n in range(16))
SUBSCRIBER_NETWORK = f"{sites.text(sites.FIRST_SUBSCRIBER)}/16"
SNAT_SITES: dict[str, tuple[str, Verify]] = {
    "snat interface": (f"{RULES}snat: {{all: {{snat_ip: interface}}}}\n", lab.masquerades),
    "snat interface, 16 exclusions": (
        f"{RULES}snat:\n{EXCLUDED}  all: {{snat_ip: interface}}\n",
        lab.masquerades,
    ),
    "snat interface, a negated list": (
        f'{RULES}snat: {{all: {{dst_cidr: ["!10.0.0.0/8", "!172.16.0.0/12"], snat_ip: interface}}}}\n',
        lab.masquerades,
    ),
    "snat prefix": (
        f"{RULES}snat: {{all: {{src_cidr: {SUBSCRIBER_NETWORK}, snat_prefix: 198.18.0.0/16}}}}\n",
        lab.one_to_one,
    ),
}
"""Name -> site of snat rules alone, and what its connections have to look like."""

NEW_SOCKETS = "all defaults, allocation dynamic, known subscribers, new sockets"
"""The case whose mapping entries are forgotten after each turn, and nothing else."""
ANSWERED = ("bare, allocation dynamic, known subscribers", NEW_SOCKETS)
"""Cases whose subscribers have had an answer each before the first turn."""
LISTENED = (
    "masquerade",
    "bare: hairpin off, connection_logging off",
    "connection_logging on",
    "all defaults",
)
"""Cases that are measured once more while a program reads the connection events of the gateway."""

BASE = "masquerade"
AGAIN = "masquerade, a second gateway"
VYOS = f"VyOS shape, {SUBSCRIBERS:,} subscribers"
JUDGED = (
    "bare: hairpin off, connection_logging off",
    "bare, timeouts_by host",
    "bare, without its timeouts and event mask",
)
POLICY_RULE = re.compile("ct timeout set|ct event set")
GUARD_RULE = re.compile("name dropped_(forged|private)")
TRANSLATION_ALONE = "bare, without its timeouts and event mask"
WITHOUT = {TRANSLATION_ALONE: POLICY_RULE, "bare, without its guard of sources": GUARD_RULE}
"""The translation with ACL and guards, but without what each connection is given for its life: the rules that
do that are taken out of the ruleset, to show what they cost."""

# Cases


def _gateways(folder: Path, wanted: Sequence[str], server: Namespace) -> list[Gateway]:
    """A loaded gateway for each case; what cannot be built or loaded is said and left out."""
    found: list[Gateway] = []
    for name in (BASE, AGAIN, VYOS, *SITES, *SNAT_SITES):
        needed = name in (BASE, AGAIN) or not wanted or any(word in name for word in wanted)
        if not needed:
            continue
        text = folder / f"{len(found)}.nft"
        verify: Verify = lab.masquerades
        try:
            if name in SITES:
                site = folder / "site.yaml"
                site.write_text(SITES[name])
                measure.run(measure.nfcompile("build", str(site)), text)
                if name in WITHOUT:
                    lines = text.read_text().splitlines(keepends=True)
                    text.write_text("".join(one for one in lines if not WITHOUT[name].search(one)))
                verify = lab.of_site(SITES[name])
            elif name in SNAT_SITES:
                site = folder / "site.yaml"
                content, verify = SNAT_SITES[name]
                site.write_text(content)
                measure.run(measure.nfcompile("build", str(site)), text)
            elif name == VYOS:
                measure.run([sys.executable, vyos_shape.__file__, str(SUBSCRIBERS), str(text)])
                verify = lab.of_site(sites.aligned(SUBSCRIBERS))
            else:
                text.write_text(lab.MASQUERADE)
            gateway = Gateway(name, len(found), server, verify)
            try:
                gateway.load(text)
            except Failed:
                gateway.close()
                raise
            found.append(gateway)
        except Failed as problem:
            if name == BASE:
                raise
            print(f"*** LEFT OUT: {name}: {problem}", file=sys.stderr, flush=True)
    return found


def _answered(gateway: Gateway, count: int) -> str:
    """Let the server answer another socket of each subscriber, some at a time; what went wrong."""
    every = [flow._replace(source_port=flow.source_port + 1) for flow in flows(count, 1, SUBSCRIBERS)]
    for first in range(0, count, LONG_LIVED):
        fault = traffic.establish(gateway, every[first : first + LONG_LIVED])
        gateway.forget()
        if fault:
            return fault
    return ""


def _check(gateway: Gateway, batch: Batch) -> str:
    """Send once, and look at what the gateway made of it."""
    batch.send(gateway.socket)
    faults = gateway.faults()
    gateway.forget()
    return f"{len(faults)} of {SAMPLE} wrong, e.g. {faults[0]}" if faults else ""


# The report


def _report(
    title: str,
    gateways: Sequence[Gateway],
    costs: dict[str, list[float]],
    broken: dict[str, str],
    judge: bool = False,
) -> None:
    measure.heading(title)
    rows = []
    for gateway in gateways:
        name = gateway.name
        if name in broken:
            rows.append((name, "-", "-", f"DOES NOT WORK: {broken[name]}"))
            continue
        times = ratio(costs[name], costs[BASE])
        target = verdict(times.middle, TARGET) if judge and name in JUDGED else ""
        rows.append((name, f"{median(costs[name]):,.0f}", str(times), target))
    measure.table(["case", "CPU ns a packet", f"against {BASE}", ""], rows)


def main(arguments: Sequence[str] = ()) -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description="Cost of new connections and established packets.")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases with that word")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: connections: {problem}", file=sys.stderr)
        return
    # The limit holds for each namespace; the hash table is the host's.
    limit = measure.get_sysctl("netfilter.nf_conntrack_max")
    buckets = measure.get_sysctl("netfilter.nf_conntrack_buckets")
    count = min(FLOWS, int(limit * 0.9)) if limit else FLOWS
    if count < FLOWS:
        print(f"*** only {count:,} flows: nf_conntrack_max is {limit:,}", file=sys.stderr)
    os.sched_setaffinity(0, {CPU})
    gateways: list[Gateway] = []
    with tempfile.TemporaryDirectory() as folder:
        server = Namespace()
        try:
            gateways += _gateways(Path(folder), wish.only, server)
            _measure(gateways, count, wish.rounds, f"{buckets:,} conntrack buckets")
        finally:
            for gateway in gateways:
                gateway.close()
            server.close()


def _measure(gateways: list[Gateway], count: int, rounds: int, buckets: str) -> None:
    batch = Batch([flow.frame() for flow in flows(count, 1, SUBSCRIBERS)])
    for gateway in gateways:
        if gateway.name in ANSWERED and (fault := _answered(gateway, count)):
            print(f"*** {gateway.name}: {fault}", file=sys.stderr, flush=True)
        if gateway.name == NEW_SOCKETS:
            gateway.flush("map ip nfcompile eim_homes", "map ip nfcompile eif_homes")
    broken = {gateway.name: fault for gateway in gateways if (fault := _check(gateway, batch))}
    turns = {g.name: partial(traffic.new_flows, g, batch, broken) for g in gateways}
    costs = measure.interleave(turns, rounds)
    title = f"New connections: {count:,} UDP flows a turn, {rounds} rounds, {buckets}"
    _report(title, gateways, costs, broken, judge=True)

    some = flows(LONG_LIVED, 2, SUBSCRIBERS)
    faults = broken | {g.name: fault for g in gateways if (fault := traffic.establish(g, some))}
    many = Batch([flow.frame() for flow in some], ESTABLISHED_PACKETS // LONG_LIVED)
    turns = {g.name: partial(traffic.established, g, many, faults) for g in gateways}
    costs = measure.interleave(turns, rounds)
    title = f"Packets of {LONG_LIVED:,} established connections: {many.count:,} a turn, {rounds} rounds"
    _report(title, gateways, costs, faults)

    # Last, because one listener makes the kernel keep events for every namespace.
    heard = [g for g in gateways if g.name in LISTENED and g.name not in broken]
    for gateway in heard:
        gateway.forget()
        gateway.listen()
    if not heard:
        return
    turns = {g.name: partial(traffic.new_flows, g, batch, broken) for g in heard}
    costs = measure.interleave(turns, rounds)
    _report("New connections while a program reads the events of each gateway", heard, costs, broken)


if __name__ == "__main__":
    main(sys.argv[1:])
