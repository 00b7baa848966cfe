"""Sockets that are alive: whose first packets are lost, whether their entries stay, what a million cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import lab
import measure
import sites
import traffic
from frames import Batch
from growth_lab import SUBSCRIBERS, GrowthLab, gateway, ratios, some_flows
from lab import Flow, Gateway
from measure import Failed

LIVE = (100, 200, 300, 400, 600, 800)
"""Sockets of one subscriber that are alive."""

# ---- lost first packets


def lost(where: GrowthLab) -> None:
    """First packets of one subscriber's sockets, all alive, each to a server drawn at random."""
    block = f"port_block_size: {sites.BLOCK}"
    dynamic = f"port_block_size: {sites.BLOCK}, assignment_trial: 86400"
    shapes = {
        "all defaults": sites.aligned(SUBSCRIBERS, ""),
        "all defaults, blocks of 1,024": sites.aligned(SUBSCRIBERS, "", ports=1024),
        "fill: address": sites.aligned(SUBSCRIBERS, "fill: address"),
        "randomize_ports: on": sites.aligned(SUBSCRIBERS, "randomize_ports: on", block),
        "allocation: dynamic": sites.aligned(SUBSCRIBERS, "allocation: dynamic", dynamic),
        "bare, no mapping entries": sites.aligned(SUBSCRIBERS),
    }
    rows = []
    for name, site in list(shapes.items())[: 2 if where.short else None]:
        one = gateway(where, name, site)
        missed = [0] * len(LIVE)
        tries = 2 if where.short else where.rounds
        for seed in range(tries):
            for at, found in enumerate(_arrived(one, seed)):
                missed[at] += found
        sizes = [now - before for before, now in zip((0, *LIVE), LIVE, strict=False)]
        rows.append((name, *(f"{m / s / tries:.1%}" for m, s in zip(missed, sizes, strict=True))))
    measure.heading("First packets that are lost, by the sockets of the subscriber that are alive")
    measure.table(["pool", *(f"to {n}" for n in LIVE)], rows)


def _arrived(one: Gateway, seed: int) -> Iterator[int]:
    """How many are lost of each part; another subscriber in each try, so that nothing is known."""
    flows = some_flows(sites.FIRST_SUBSCRIBER + 1000 + 7 * seed, 1, LIVE[-1], seed)
    begin = 0
    for end in LIVE:
        before = one.left()
        Batch([flow.frame() for flow in flows[begin:end]]).send(one.socket)
        yield end - begin - (one.left() - before)
        begin = end


# ---- entries in use


def kept(where: GrowthLab) -> None:
    """200 sockets of udp 24 s, with 25,000 packets a second of other connections, for 64 s."""
    seconds, speed, sockets = (10, 2_000, 50) if where.short else (64, 25_000, 200)
    times = "hairpin: on, connection_logging: off, timeouts_inactivity: {udp: 24, udp_session: 24}"
    one = gateway(where, "kept", sites.aligned(SUBSCRIBERS, times))
    ours = some_flows(sites.FIRST_SUBSCRIBER + 60_000, sockets, sockets)
    mine = Batch([flow.frame() for flow in ours])
    others = some_flows(sites.FIRST_SUBSCRIBER, 6_000, 6_000)
    parts = [Batch([flow.frame() for flow in others[n : n + 500]]) for n in range(0, 6_000, 500)]
    began, sent, turn = time.monotonic(), 0, 0
    due, looked, missing, least = began, began + 10, set[str](), sockets
    while (now := time.monotonic()) < began + seconds:
        if now >= due:
            mine.send(one.socket)
            due += 2.5
        if sent < (now - began) * speed:
            parts[turn % len(parts)].send(one.socket)
            turn, sent = turn + 1, sent + 500
        else:
            time.sleep(0.005)
        if now >= looked:
            gone = _gone(one, ours)
            missing, least, looked = missing | gone, min(least, sockets - len(gone)), looked + 6
    missing |= _gone(one, ours)
    measure.heading("Mapping entries of sockets in use, while other connections are busy")
    rate = f"{sent / seconds:,.0f}"
    rows = [(sockets, rate, seconds, least, len(missing))]
    measure.table(["sockets", "packets of others a second", "seconds", "entries at least", "ever lost"], rows)


def _gone(one: Gateway, ours: list[Flow]) -> set[str]:
    listed = one.namespace.do("nft", "list", "map", "ip", "nfcompile", "eim_homes")
    ends = {f"{sites.text(flow.source)} . {flow.source_port}" for flow in ours}
    return {end for end in ends if f"udp . {end} " not in listed}


# ---- a million mapping entries


def mappings(where: GrowthLab) -> None:
    """Kernel memory of the entries, and what a new connection of a known socket costs among them."""
    total, known = (20_000, 2_000) if where.short else (1 << 20, 10_000)
    site = sites.aligned(SUBSCRIBERS, "connection_logging: off")
    gateways = {
        "masquerade": gateway(where, "masquerade", "", lab.MASQUERADE),
        f"{known:,} mappings": gateway(where, "few", site),
        f"{total:,} mappings": gateway(where, "many", site),
    }
    few, many = list(gateways.values())[1:]
    before = _memory()
    step, made = min(SUBSCRIBERS // 2, total), 0
    while made < total:
        flows = some_flows(sites.FIRST_SUBSCRIBER, step, step, seed=made)
        arrived = many.left()
        Batch([flow.frame() for flow in flows]).send(many.socket)
        many.namespace.do("conntrack", "-F")
        made += step
        if many.left() - arrived < step * traffic.WORKING_SHARE:
            raise Failed(f"{many.left() - arrived} of {step} first packets arrived at {made}")
    memory = _memory() - before
    batch = Batch([flow.frame() for flow in some_flows(sites.FIRST_SUBSCRIBER, known, known)])
    for one in (few, many):
        batch.send(one.socket)
    broken: traffic.Broken = {}
    turns = {name: partial(traffic.new_flows, one, batch, broken) for name, one in gateways.items()}
    costs = measure.interleave(turns, where.rounds)
    title = f"New connections of known sockets; {made:,} mappings take {memory:,.0f} MB of the kernel"
    ratios(title, gateways, costs, broken, "masquerade")


def _memory() -> float:
    """MB of slab and vmalloc of the whole machine: other work on it shows."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(line[1]) for line in lines if line[0] in ("Slab:", "VmallocUsed:")) / 1024
