"""What the parts of growth.py share: gateways without events, flows, and the table of ratios."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import median
from typing import NamedTuple

import measure
import traffic
from lab import Flow, Gateway
from measure import Namespace, ratio

SERVERS = (192 << 24) + (2 << 8)
SUBSCRIBERS = 1 << 16


def _anything(_: str, __: str, ___: int) -> str:
    """No address is wrong."""
    return ""


class GrowthLab(NamedTuple):
    """Where one part of the bench works, how much of it is asked for, and the gateways that it has made."""

    folder: Path
    server: Namespace
    short: bool
    rounds: int
    made: list[Gateway]


def gateway(where: GrowthLab, name: str, site: str, plain: str = "") -> Gateway:
    """A gateway with the ruleset of a site, or with a plain one; no events: the bench reads none."""
    folder, number = where.folder, len(where.made)
    text = folder / f"{number}.nft"
    if plain:
        text.write_text(plain)
    else:
        source = folder / "site.yaml"
        source.write_text(site)
        measure.run(measure.nfcompile("build", str(source)), text)
    made = Gateway(name, number, where.server, _anything)
    where.made.append(made)
    made.namespace.do("sysctl", "-qw", "net.netfilter.nf_conntrack_events=0")
    made.load(text)
    made.keep()
    return made


def some_flows(first: int, subscribers: int, count: int, seed: int = 1) -> list[Flow]:
    """Flows of these subscribers with ports and servers of their own."""
    rng = random.Random(seed)
    ports = [rng.sample(range(32768, 61000), count // subscribers + 1) for _ in range(subscribers)]
    at = ((n % subscribers, ports[n % subscribers][n // subscribers]) for n in range(count))
    return [Flow(first + who, port, SERVERS + rng.randrange(1, 255), 443) for who, port in at]


def ratios(
    title: str,
    gateways: dict[str, Gateway],
    costs: dict[str, list[float]],
    broken: traffic.Broken,
    base: str,
) -> None:
    """Print the costs of all cases against those of one."""
    measure.heading(title)
    rows = [
        (name, f"{median(costs[name]):,.0f}", str(ratio(costs[name], costs[base])), broken.get(name, ""))
        for name in gateways
    ]
    measure.table(["case", "CPU ns a packet", f"against {base}", ""], rows)
