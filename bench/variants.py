"""What rulesets that were rewritten by hand cost, against one plain `masquerade`, in turns.

    nfcompile build site.yaml > now.nft; cp now.nft less.nft; $EDITOR less.nft
    python bench/variants.py --site site.yaml now=now.nft less=less.nft "less, known=less.nft"

A new flow of each subscriber, as in `connections.py`: the site's subscribers are those of the benches
(`sites.py`), and what the first flows became is compared with it. A name with the word `known` keeps between
turns what its ruleset learns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import lab
import measure
import traffic
from connections import AGAIN, BASE, FLOWS, SUBSCRIBERS
from frames import Batch
from lab import CPU, Gateway, flows
from measure import Failed, Namespace, ratio
from traffic import ESTABLISHED_PACKETS, LONG_LIVED


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table of new connections, and one of packets of running ones with --established."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("variants", nargs="+", metavar="NAME=FILE.nft")
    parser.add_argument("--site", type=Path, required=True, help="whose bindings the flows must get")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--flows", type=int, default=FLOWS)
    parser.add_argument("--established", action="store_true", help="packets of running connections, too")
    wish = parser.parse_args(list(arguments))
    files = {BASE: "", AGAIN: ""} | dict(one.rpartition("=")[::2] for one in wish.variants)
    measure.private_network()
    os.sched_setaffinity(0, {CPU})
    gateways: list[Gateway] = []
    with tempfile.NamedTemporaryFile("w", suffix=".nft") as plain:
        plain.write(lab.MASQUERADE)
        plain.flush()
        server = Namespace()
        try:
            for name, file in files.items():
                verify = lab.of_site(wish.site.read_text()) if file else lab.masquerades
                gateways.append(Gateway(name, len(gateways), server, verify))
                gateways[-1].load(Path(file or plain.name))
            _measure(gateways, wish.flows, wish.rounds, wish.established)
        finally:
            for gateway in gateways:
                gateway.close()
            server.close()


def _measure(gateways: Sequence[Gateway], count: int, rounds: int, established: bool) -> None:
    batch = Batch([flow.frame() for flow in flows(count, 1, SUBSCRIBERS)])
    for gateway in gateways:
        batch.send(gateway.socket)
        if faults := gateway.faults():
            raise Failed(f"{gateway.name}: {len(faults)} wrong, e.g. {faults[0]}")
        gateway.forget()
    broken: dict[str, str] = {}
    costs = measure.interleave(
        {g.name: partial(traffic.new_flows, g, batch, broken) for g in gateways}, rounds
    )
    _report(f"New connections: {count:,} UDP flows a turn, {rounds} rounds", costs, broken)
    if not established:
        return
    some = flows(LONG_LIVED, 2, SUBSCRIBERS)
    broken |= {g.name: fault for g in gateways if (fault := traffic.establish(g, some))}
    many = Batch([flow.frame() for flow in some], ESTABLISHED_PACKETS // LONG_LIVED)
    costs = measure.interleave(
        {g.name: partial(traffic.established, g, many, broken) for g in gateways}, rounds
    )
    _report(f"Packets of {LONG_LIVED:,} running connections, {rounds} rounds", costs, broken)


def _report(title: str, costs: dict[str, list[float]], broken: dict[str, str]) -> None:
    measure.heading(title)
    rows = [
        (name, f"{median(each):,.0f}", str(ratio(each, costs[BASE])), broken.get(name, ""))
        for name, each in costs.items()
    ]
    measure.table(["ruleset", "CPU ns a packet", f"against {BASE}", ""], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
