"""Many pools, rules and interfaces: `build` and `prove`, which must grow with them and with nothing else.

    python bench/many.py [--pools 1 10 50 200] [--rules 10 200 1000] [--beside CHECKOUT]

`--beside` runs another checkout of the project in turn with this one: an older commit, in a git worktree.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measure
import sites
from measure import Cost, Failed, middle

SLOWEST = 100
"""Seconds; what takes longer is left out."""
CALL = "import sys; sys.path.insert(0, {root!r}); from nfcompile.cli import main; main()"
MANY_BUILT = (200, 1000)
MANY_INTERFACES = 400
MANY_DEFAULTS = 50
"""Pools with all defaults take 0.2 s each to prove."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, nargs="*", default=[1, 10, 50, 200])
    parser.add_argument("--rules", type=int, nargs="*", default=[10, 200, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="another checkout of the project")
    asked = parser.parse_args()
    checkouts = {"": measure.ROOT} | ({" beside": asked.beside.resolve()} if asked.beside else {})
    shapes = {
        **{f"{n} cgnat pools": sites.cgnat_pools(n) for n in asked.pools},
        **{f"{n} static pools": sites.static_pools(n) for n in asked.pools[-1:]},
        **{f"{n} cgnat pools, defaults": sites.cgnat_pools(n, "") for n in asked.pools if n <= MANY_DEFAULTS},
        **{f"{n} ACL rules": sites.acl_rules(n) for n in asked.rules},
        **{f"{n} dnat rules": sites.servers(n) for n in asked.rules[-1:]},
        **{f"{n} snat rules": sites.egress(n) for n in asked.rules[-1:]},
        f"{MANY_INTERFACES} inside interfaces": sites.interfaces(MANY_INTERFACES),
        "examples/isp": (measure.ROOT / "examples/isp/site.yaml").read_text(),
    }
    built = {f"{n} cgnat pools": sites.cgnat_pools(n) for n in MANY_BUILT}
    with tempfile.TemporaryDirectory() as name:
        for verb, those in (("build", built), ("prove", shapes)):
            measure.heading(f"`{verb}`, the whole process")
            _report(Path(name), verb, those, checkouts, asked.rounds)


def _report(folder: Path, verb: str, shapes: dict[str, str], checkouts: dict[str, Path], rounds: int) -> None:
    rows = []
    for shape, text in shapes.items():
        site = folder / "site.yaml"
        site.write_text(text)
        cases: dict[str, Callable[[], Cost]] = {
            name: partial(measure.run, _command(root, verb, site), folder / "out")
            for name, root in checkouts.items()
        }
        for name, case in cases.items():
            rows.append((shape + name, *_figures(case, rounds)))
    measure.table(["site", "CPU s", "RSS MB", "n"], rows)


def _figures(case: Callable[[], Cost], rounds: int) -> tuple[str, str, int]:
    """The middle of some runs; of a slow one a single run is enough."""
    costs: list[Cost] = []
    try:
        for _ in range(rounds):
            costs.append(case())
            if costs[0].cpu > 5:
                break
    except Failed as problem:
        return f"{problem}".splitlines()[0][:60], "", 0
    cost = middle(costs)
    return f"{cost.cpu:.2f}", f"{cost.rss:.0f}", len(costs)


def _command(root: Path, verb: str, site: Path) -> list[str]:
    call = [sys.executable, "-c", CALL.format(root=str(root)), verb, str(site)]
    return [*(["timeout", str(SLOWEST)] if os.path.exists("/usr/bin/timeout") else []), *call]


if __name__ == "__main__":
    main()
