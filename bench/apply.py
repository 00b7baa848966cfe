"""What an apply costs: one that changes nothing, and one that changes a pool of many.

The first is compared with what any program pays that asks nft for its tables: `nft list tables` and the start
of Python. The second with loading the whole ruleset, in proportion to what changes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measure
import sites
from measure import Cost, Failed, ratio, verdict

SUBSCRIBERS = 1 << 20
POOLS = 200
ROUNDS = 9
LIMIT = 60
TARGET = 3


def main() -> None:
    """Print both tables. The namespace is the bench's own."""
    if not measure.in_private_network():
        raise Failed("no ruleset is loaded in the namespace that this was started in")
    with tempfile.TemporaryDirectory() as folder:
        measure.heading(f"Again the same: {SUBSCRIBERS:,} subscribers in one pool")
        site = Path(folder, "million.yaml")
        site.write_text(sites.aligned(SUBSCRIBERS))
        unchanged(site)
        measure.heading(f"One of {POOLS} static pools of 50 entries changes")
        before, after = Path(folder, "before.yaml"), Path(folder, "after.yaml")
        before.write_text(many(0))
        after.write_text(many(1))
        changed(before, after)


def unchanged(site: Path) -> None:
    """An apply that finds nothing to do."""
    applied(site)()
    base = partial(both, ["nft", "list", "tables"], [measure.sys.executable, "-c", "pass"])
    cases: dict[str, Callable[[], Cost]] = {
        "nft list tables + python -c pass": base,
        "build": partial(measure.run, measure.nfcompile("build", str(site)), limit=LIMIT),
        "nft list tables + build": partial(
            both, ["nft", "list", "tables"], measure.nfcompile("build", str(site))
        ),
        "apply, nothing to change": applied(site),
    }
    costs = measure.interleave(cases, ROUNDS)
    compared(costs, "nft list tables + python -c pass")
    own = [cost.wall for cost in costs["apply, nothing to change"]]
    start = [cost.wall for cost in costs["nft list tables + build"]]
    against = ratio(own, start)
    target = verdict(against.middle, TARGET, "x")
    print(f"Against `nft list tables` and the start-up with the compiling (build): {against}, {target}")


def changed(before: Path, after: Path) -> None:
    """There and back: each round changes one entry of one pool, and back again."""
    text = before.with_suffix(".nft")
    measure.run(measure.nfcompile("build", str(before), "-o", str(text)))
    applied(before)()
    cases: dict[str, Callable[[], Cost]] = {
        "nft -f of the whole": partial(measure.run, ["nft", "-f", str(text)]),
        "apply, nothing to change": partial(after_it, before, before),
        "apply, one entry of one pool": partial(after_it, before, after),
    }
    compared(measure.interleave(cases, ROUNDS), "apply, nothing to change")


def after_it(before: Path, site: Path) -> Cost:
    """An apply of `site` where `before` is live."""
    applied(before)()
    return applied(site)()


def applied(site: Path) -> Callable[[], Cost]:
    os.environ["NFCOMPILE_STATE_DIR"] = str(site.with_name("state"))
    return partial(measure.run, measure.nfcompile("apply", str(site), "--yes"), limit=LIMIT)


def both(*commands: list[str]) -> Cost:
    """Two commands, one after the other, as one."""
    costs = [measure.run(command) for command in commands]
    return Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs), max(c.rss for c in costs))


def compared(costs: dict[str, list[Cost]], base: str) -> None:
    rows = []
    for name, own in costs.items():
        wall, cpu = (ratio([cost[at] for cost in own], [cost[at] for cost in costs[base]]) for at in (0, 1))
        cost = measure.middle(own)
        rows.append((name, f"{cost.wall * 1000:.0f}", f"{cost.cpu * 1000:.0f}", wall, cpu))
    measure.table(["command", "wall ms", "CPU ms", "wall ratio", "CPU ratio"], rows)


def many(changed_entry: int) -> str:
    """Static pools; the last entry of the last one has another global address if asked."""
    lines = ["version: 1", "interfaces: {inside: [lan0], outside: [wan0]}", "pools:"]
    for pool in range(POOLS):
        lines.append(f"  p{pool}: {{type: static, priority: {pool + 1}, global_map: {{")
        for entry in range(50):
            local, global_ip = (10 << 24) + pool * 256 + entry, sites.FIRST_GLOBAL + pool * 256 + entry
            last = changed_entry if (pool, entry) == (POOLS - 1, 49) else 0
            lines.append(f"    {sites.text(local)}: {sites.text(global_ip + last)},")
        lines.append("  }}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    try:
        measure.private_network()
    except Failed as error:
        print(f"LEFT OUT: {error}")
    else:
        main()
