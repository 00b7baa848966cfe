"""What must not grow or get lost: pools, ACL rules, live sockets, mapping entries, time.

    python bench/growth.py [pools] [rules] [inbound] [lost] [arithmetic] [kept] [mappings] [--short]

pools     a new connection of the first and of the last of 1, 10, 50 and 200 pools, and behind 200 ACL rules
rules     a new connection beside 10, 200 and 1,000 dnat rules, and by the last of as many snat rules
inbound   a connection that the outside opens to the last of 1, 50 and 200 static pools
lost      first packets of one subscriber's new sockets that do not arrive, by the sockets that are alive
arithmetic  first packets that ports computed without entries would lose, beside the kernel's choice
kept      mapping entries of sockets that send a packet each 2.5 s while other connections are busy
mappings  memory and cost of a known socket with a million live mapping entries
`--short` takes less of each: a look at whether the rows work. Without names all of them run, 10 minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lab
import live_sockets
import measure
import sites
import traffic
from arithmetic import arithmetic
from frames import Batch
from growth_lab import SERVERS, SUBSCRIBERS, GrowthLab, gateway, ratios, some_flows
from lab import CPU, SERVER_MAC, WAN_MAC, Flow, Gateway
from measure import Failed, Namespace

EACH = 256
"""Subscribers of a pool."""
DNAT = """\
table ip plain {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "wan0" dnat ip prefix to ip daddr map { GLOBAL/24 : INSIDE/24 }
	}
}
"""

# ---- pools


def pools(where: GrowthLab) -> None:
    """Ratio to masquerade of a new connection, by the number of pools."""
    count = 2_000 if where.short else 16_000
    counts = (1, 200) if where.short else (1, 10, 50, 200)
    cases: list[tuple[str, str, int, int]] = []
    for word, settings in (("bare", sites.BARE), ("all defaults", "")):
        for n in counts:
            site = sites.cgnat_pools(n, settings)
            last = sites.FIRST_SUBSCRIBER + EACH * (n - 1)
            cases.append((f"{n} pools, {word}, the first", site, sites.FIRST_SUBSCRIBER, EACH))
            if n > 1:
                cases.append((f"{n} pools, {word}, the last", site, last, EACH))
    cases.append(("200 ACL rules", sites.acl_rules(200), sites.FIRST_SUBSCRIBER, SUBSCRIBERS))
    gateways = {"masquerade": gateway(where, "masquerade", "", lab.MASQUERADE)}
    batches = {"masquerade": Batch([f.frame() for f in some_flows(sites.FIRST_SUBSCRIBER, EACH, count)])}
    for name, site, first, size in cases:
        gateways[name] = gateway(where, name, site)
        flows = some_flows(first, min(size, count), count)
        batches[name] = Batch([flow.frame() for flow in flows])
    broken: traffic.Broken = {}
    turns = {name: partial(_new, one, batches[name], broken) for name, one in gateways.items()}
    costs = measure.interleave(turns, where.rounds)
    ratios(f"New connections: {count:,} a turn, {where.rounds} rounds", gateways, costs, broken, "masquerade")


def _new(one: Gateway, batch: Batch, broken: traffic.Broken) -> float:
    """A turn whose sockets are new ones: what was learnt of them is forgotten."""
    found = traffic.new_flows(one, batch, broken)
    if "defaults" in one.name:
        number = 0 if one.name.endswith("first") else int(one.name.split()[0]) - 1
        for table in ("eim", "eif"):
            one.namespace.do("nft", "flush", "map", "ip", "nfcompile", f"{table}_p{number}")
    return found


def rules(where: GrowthLab) -> None:
    """Ratio to masquerade of a new connection, by the number of dnat or snat rules."""
    count = 2_000 if where.short else 16_000
    counts = (10, 200) if where.short else (10, 200, 1_000)
    every, last = sites.FIRST_SUBSCRIBER, 64
    cases = [("masquerade", "", every, SUBSCRIBERS), ("no rules", sites.aligned(65536), every, SUBSCRIBERS)]
    for n in counts:
        cases.append((f"{n:,} dnat rules", sites.servers(n), every, SUBSCRIBERS))
    for n in counts:
        cases.append((f"{n:,} snat rules, the last", sites.egress(n), every + last * (n - 1), last))
    gateways: dict[str, Gateway] = {}
    batches: dict[str, Batch] = {}
    for name, site, first, size in cases:
        gateways[name] = gateway(where, name, site, "" if site else lab.MASQUERADE)
        flows = some_flows(first, min(size, count), count)
        batches[name] = Batch([flow.frame() for flow in flows])
    broken: traffic.Broken = {}
    turns = {name: partial(traffic.new_flows, one, batches[name], broken) for name, one in gateways.items()}
    costs = measure.interleave(turns, where.rounds)
    ratios(f"New connections: {count:,} a turn, {where.rounds} rounds", gateways, costs, broken, "masquerade")


def inbound(where: GrowthLab) -> None:
    """Ratio to one prefix rule of a connection from outside, by the number of static pools."""
    count = 2_000 if where.short else 16_000
    counts = (1, 200) if where.short else (1, 50, 200)
    addresses = {name: EACH * (n - 1) for n in counts for name in (f"{n} static pools, the last",)}
    plain = DNAT.replace("GLOBAL", sites.text(sites.FIRST_GLOBAL))
    plain = plain.replace("INSIDE", sites.text(sites.FIRST_SUBSCRIBER))
    gateways = {"one dnat rule": gateway(where, "one dnat rule", "", plain)}
    for name, n in zip(addresses, counts, strict=True):
        gateways[name] = gateway(where, name, sites.static_pools(n))
    broken: traffic.Broken = {}
    turns = {
        name: partial(_inward, one, _from_outside(addresses.get(name, 0), count), broken)
        for name, one in gateways.items()
    }
    costs = measure.interleave(turns, where.rounds)
    ratios(
        f"Connections from outside: {count:,}, {where.rounds} rounds",
        gateways,
        costs,
        broken,
        "one dnat rule",
    )


def _from_outside(first: int, count: int) -> Batch:
    rng = random.Random(1)
    flows = (
        Flow(
            SERVERS + rng.randrange(1, 255),
            rng.randrange(1024, 65000),
            sites.FIRST_GLOBAL + first + rng.randrange(EACH),
            443,
        )
        for _ in range(count)
    )
    return Batch([WAN_MAC + SERVER_MAC + flow.frame()[12:] for flow in flows])


def _inward(one: Gateway, batch: Batch, broken: traffic.Broken) -> float:
    spent = lab.cpu(partial(batch.send, one.far_socket))
    share = one.tracked() / batch.count
    if share < 0.95:  # some draw the same ends
        broken[one.name] = f"{share:.1%} are tracked"
    one.namespace.do("conntrack", "-F")
    return spent / batch.count * 1e9


PARTS: dict[str, Callable[[GrowthLab], None]] = {
    "pools": pools,
    "rules": rules,
    "inbound": inbound,
    "lost": live_sockets.lost,
    "arithmetic": arithmetic,
    "kept": live_sockets.kept,
    "mappings": live_sockets.mappings,
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part called {', '.join(sorted(unknown))}")
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: growth: {problem}", file=sys.stderr)
        return
    os.sched_setaffinity(0, {CPU})
    for name in asked.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            rounds = 2 if asked.short else asked.rounds
            where = GrowthLab(Path(folder), Namespace(), asked.short, rounds, [])
            try:
                PARTS[name](where)
            finally:
                for one in where.made:
                    one.close()
                where.server.close()


if __name__ == "__main__":
    main()
