"""A million subscribers: build, load, look up, list. (Beside the shapes of others: `load.py`.)"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import measure
import sites
from measure import Cost, Failed, middle, ratio, verdict

MILLION = 1 << 20
ADDRESSES = MILLION // sites.BLOCKS
OTHERS = (1 << 16, 1 << 18)
EMPTY = "table ip nfcompile\ndelete table ip nfcompile\ntable ip nfcompile {\n}\n"
ROUNDS = 7


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = _built(folder)
        try:
            measure.private_network()
            _loaded(folder, text)
        except Failed as problem:
            print(f"*** LEFT OUT: loading into the kernel: {problem}", file=sys.stderr)
        _asked(folder)
        _unaligned(folder)


def _built(folder: Path) -> Path:
    measure.heading(
        f"{MILLION:,} subscribers on {ADDRESSES:,} addresses: `nfcompile build`, the whole process"
    )
    site, text = folder / "million.yaml", folder / "million.nft"
    site.write_text(sites.aligned(MILLION))
    costs = measure.interleave(
        {
            "python": partial(measure.run, [sys.executable, "-c", "pass"]),
            "build": partial(measure.run, measure.nfcompile("build", str(site)), text),
        },
        ROUNDS,
    )
    cost, size = middle(costs["build"]), text.stat().st_size
    times = ratio([c.cpu for c in costs["build"]], [c.cpu for c in costs["python"]])
    rows = [
        ("wall s", f"{cost.wall:.2f}", verdict(cost.wall, 1, " s")),
        ("CPU s", f"{cost.cpu:.2f}", f"{times} times `python -c pass`"),
        ("RSS MB", f"{cost.rss:.0f}", verdict(cost.rss, 100, " MB")),
        ("ruleset KB", f"{size / 1000:.1f}", verdict(size / 1000, 20, " KB")),
        ("elements of the block map", _elements(text, "blocks_homes"), "64 blocks of one prefix"),
    ]
    measure.table(["", "found", ""], rows)
    return text


def _loaded(folder: Path, text: Path) -> None:
    measure.heading("`nft -f` into an empty namespace, against `nft -f` of an empty table")
    empty = folder / "empty.nft"
    empty.write_text(EMPTY)
    files = {"empty table": empty, f"nfcompile, {MILLION:,}": text}
    for count in OTHERS:
        files[f"nfcompile, {count:,}"] = _small(folder, count)
    costs = measure.interleave({name: partial(_load, path) for name, path in files.items()}, ROUNDS)
    rows = []
    base = middle(costs["empty table"])
    for name, path in files.items():
        cost = middle(costs[name])
        wall, cpu = cost.wall / base.wall, cost.cpu / max(base.cpu, 1e-3)
        target = verdict(wall, 3, "x") if name == f"nfcompile, {MILLION:,}" else ""
        rows.append(
            (
                name,
                f"{path.stat().st_size / 1000:,.1f}",
                f"{cost.wall:.3f}",
                f"{cost.rss:.0f}",
                f"{wall:,.1f}",
                f"{cpu:,.1f}",
                len(costs[name]),
                target,
            )
        )
    measure.table(["ruleset", "text KB", "wall s", "RSS MB", "wall ratio", "CPU ratio", "n", ""], rows)
    print(f"RSS below {measure.floor():.0f} MB cannot be seen from here.", flush=True)


def _small(folder: Path, count: int) -> Path:
    site, text = folder / f"{count}.yaml", folder / f"{count}.nft"
    site.write_text(sites.aligned(count))
    measure.run(measure.nfcompile("build", str(site)), text)
    return text


def _load(path: Path) -> Cost:
    if not measure.in_private_network():
        raise Failed("not in a namespace of our own")
    measure.run(["nft", "flush", "ruleset"])
    return measure.run(["nft", "-f", str(path)])


def _asked(folder: Path) -> None:
    measure.heading("Questions to the million: `lookup` both ways, `mappings` with every row")
    site, rows = folder / "million.yaml", folder / "rows.csv"
    asked = {
        "lookup 198.18.33.7:40000": (measure.nfcompile("lookup", str(site), "198.18.33.7:40000"), 5),
        "lookup 100.70.1.2": (measure.nfcompile("lookup", str(site), "100.70.1.2"), 5),
        "mappings (csv)": (measure.nfcompile("mappings", str(site)), 1),
        "mappings --compact": (measure.nfcompile("mappings", "--compact", str(site)), 3),
    }
    lines = []
    for name, (command, rounds) in asked.items():
        cost = middle(
            measure.interleave({name: partial(measure.run, command, rows)}, rounds, rounds > 1)[name]
        )
        with rows.open() as file:
            count = sum(1 for _ in file) - 1 if name.startswith("mappings") else 0
        speed = f"{count:,} rows, {count / cost.cpu:,.0f} rows/s of CPU" if count else ""
        lines.append((name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.rss:.0f}", speed))
    measure.table(["command", "wall s", "CPU s", "RSS MB", ""], lines)
    rows.unlink()


def _unaligned(folder: Path) -> None:
    measure.heading(f"{MILLION:,} subscribers whose ranges start and end anywhere, and odd global ranges")
    shapes = {
        "1 range, 1 range": (1, 1),
        "1 range, 40 ranges": (1, 40),
        "25 ranges, 1 range": (25, 1),
        "25 ranges, 40 ranges": (25, 40),
        "400 ranges, 40 ranges": (400, 40),
    }
    found = []
    for name, (local, outside) in shapes.items():
        subscribers = sites.runs(MILLION, local, sites.FIRST_SUBSCRIBER, 1)
        globals_ = sites.runs(ADDRESSES, outside, sites.FIRST_GLOBAL, 2)
        text = sites.listed(subscribers, globals_)
        found.append((name, *_figures(folder, text), f"{_bound(subscribers, globals_):,}"))
    count = 1 << 13
    worst = sites.scattered(count)
    found.append(
        (f"worst: {count:,} scattered addresses", *_figures(folder, worst), f"{count:,} (each its own)")
    )
    columns = ["subscribers, global addresses", "elements", "build s", "RSS MB", "text KB", "load s", "bound"]
    measure.table(columns, found)
    print(
        "bound = CIDR parts of the global ranges x blocks, and 2 log2(addresses) for each range of "
        "subscribers.\nThe worst case are subscribers without neighbours: one element for each.",
        flush=True,
    )


def _figures(folder: Path, site_text: str) -> tuple[str, ...]:
    site, text = folder / "odd.yaml", folder / "odd.nft"
    site.write_text(site_text)
    cost = middle([measure.run(measure.nfcompile("build", str(site)), text) for _ in range(3)])
    try:
        load = f"{middle([_load(text) for _ in range(3)]).wall:.3f}"
    except Failed as problem:
        load = "-"
        if measure.in_private_network():
            print(f"*** refused: {problem}", file=sys.stderr)
    size = f"{text.stat().st_size / 1000:,.1f}"
    return f"{_elements(text, 'blocks_homes'):,}", f"{cost.wall:.2f}", f"{cost.rss:.0f}", size, load


def _bound(subscribers: list[sites.Run], globals_: list[sites.Run]) -> int:
    from nfcompile.model.ranges import Range, cidrs

    parts = sum(len(list(cidrs(Range(*one)))) for one in globals_)
    addresses = sum(one.last - one.first + 1 for one in globals_)
    return parts * sites.BLOCKS + 2 * (addresses - 1).bit_length() * len(subscribers)


def _elements(path: Path, map_: str) -> int:
    """Elements of a map of ours, by its lines."""
    _, _, rest = path.read_text().partition(f"map {map_} {{")
    return rest.partition("\t\t}")[0].count(" : ") - 1


if __name__ == "__main__":
    main()
