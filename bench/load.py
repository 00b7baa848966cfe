"""Loading each shape at each size, in turns: seconds, memory of `nft`, memory of the kernel.

Every turn is two loads, one into an empty namespace and one over what is there, as such rulesets are changed
(only the first where the text is larger than LARGE).
A shape that takes more than LIMIT seconds of CPU or MEMORY is stopped, and not tried with more subscribers.
What was loaded is shown to work before it counts: a few connections of each protocol get the global address
and the ports that they must.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import csit
import figures
import lab
import measure
import peers
from figures import Row
from lab import Gateway
from measure import Cost, Failed, Namespace
from peers import PEERS, Peer

EMPTY = "an empty table"
OURS = "nfcompile"
DEFAULTS = "nfcompile, all defaults"
LIMIT = 60
MEMORY = 5 * 1024
LARGE = 30_000_000
ROUNDS = {1024: 5, 4096: 5, 16_384: 3}
"""One round where there are more subscribers."""

SHOWN = 64
SETTLE = 0.3
"""Seconds after which the kernel is asked whether it still frees what was flushed."""

STILL = 0.2
"""MB: less than that in SETTLE seconds is other people's work."""


class Turn(NamedTuple):
    """What two loads cost, and what the first one made the kernel hold (MB)."""

    first: Cost
    again: Cost | None
    kernel: float


def main(arguments: Sequence[str] = ()) -> None:
    """Print the medians, and keep all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, nargs="*", default=csit.SUBSCRIBERS)
    parser.add_argument("--into", type=Path, help="keep the figures there (docs/performance)")
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: load: {problem}", file=sys.stderr)
        return
    stopped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        server = Namespace()
        gateway = Gateway("load", 0, server, lab.untouched)
        try:
            for count in wish.subscribers:
                found = _size(gateway, Path(name), count, stopped)
                _report(count, found)
                figures.replace("load", found, wish.into)
        finally:
            gateway.close()
            server.close()


def texts(folder: Path, subscribers: int, stopped: dict[str, str]) -> dict[str, tuple[Path, Peer]]:
    """The rulesets of that size that are not known to be too much, as files."""
    empty = folder / "empty"
    empty.write_text("table ip nfcompile {\n}\n")
    found = {EMPTY: (empty, Peer(lambda _: (), lab.NFT, lambda _: lab.untouched))}
    for name, settings in ((OURS, csit.sites.BARE), (DEFAULTS, "")):
        site = csit.written(folder, subscribers, settings=settings)
        text = site.with_suffix(".nft")
        measure.run(measure.nfcompile("build", str(site)), text)
        found[name] = (text, Peer(lambda _: (), lab.NFT, csit.verify))
    for number, (name, peer) in enumerate(PEERS.items()):
        if not shutil.which(peer.loader[0]):
            stopped[name] = f"no {peer.loader[0]} on this machine"
        if name in stopped:
            continue
        # In a process of its own: what this one holds would show as the memory of whatever it starts.
        path = folder / f"peer-{number}"
        measure.run([sys.executable, peers.__file__, name, str(subscribers), str(path)])
        found[name] = (path, peer)
    return found


def _size(gateway: Gateway, folder: Path, subscribers: int, stopped: dict[str, str]) -> list[Row]:
    rows: dict[str, Row] = {
        name: {"shape": name, "subscribers": subscribers, "note": f"not tried: {stopped[name]}"}
        for name in (OURS, DEFAULTS, *PEERS)
        if name in stopped
    }
    files = texts(folder, subscribers, stopped)
    turns: dict[str, list[Turn]] = {name: [] for name in files}
    for number in range(ROUNDS.get(subscribers, 1)):
        for name, (path, peer) in list(files.items())[:: -1 if number % 2 else 1]:
            if name in stopped:
                continue
            try:
                turns[name].append(_turn(gateway, path, peer, subscribers, check=not number))
            except Failed as problem:
                stopped[name] = f"{problem} at {subscribers:,}"
                rows[name] = {"shape": name, "subscribers": subscribers, "note": str(problem)}
    for name, (path, _) in files.items():
        if name not in stopped:
            rows[name] = {
                "shape": name,
                "subscribers": subscribers,
                "text_kb": round(path.stat().st_size / 1000, 1),
                "load": figures.costs(turn.first for turn in turns[name]),
                "again": figures.costs(turn.again for turn in turns[name] if turn.again),
                "kernel_mb": [round(turn.kernel, 2) for turn in turns[name]],
            }
        path.unlink()
    return [rows[name] for name in (EMPTY, OURS, DEFAULTS, *PEERS)]


def _turn(gateway: Gateway, path: Path, peer: Peer, subscribers: int, check: bool) -> Turn:
    with gateway.namespace.entered():
        if not measure.in_private_network():
            raise Failed("not in a namespace of our own")
        load = partial(measure.run, [*peer.loader, str(path)], limit=LIMIT, memory=MEMORY)
        before = measure.kernel_memory()
        try:
            first = load()
            kernel = measure.kernel_memory() - before
            if check and path.name != "empty":
                _show(gateway, peer, subscribers)
            return Turn(first, load() if path.stat().st_size < LARGE else None, kernel)
        finally:
            _empty(peer)


def _show(gateway: Gateway, peer: Peer, subscribers: int) -> None:
    gateway.verify = peer.verify(subscribers)
    if fault := lab.shown(gateway, lab.flows(SHOWN, 3, subscribers)):
        raise Failed(f"DOES NOT WORK: {fault}")


def _empty(peer: Peer) -> None:
    measure.run(["nft", "flush", "ruleset"])
    if peer.loader != lab.NFT:
        measure.run(["bash", "-c", f"{peer.loader[0]} <<< $'*nat\\nCOMMIT'"])
    held = measure.kernel_memory()
    for _ in range(100):
        time.sleep(SETTLE)
        before, held = held, measure.kernel_memory()
        if abs(before - held) < STILL:
            return


def _report(subscribers: int, rows: Sequence[Row]) -> None:
    measure.heading(f"{subscribers:,} subscribers, {csit.CSIT_PORTS} ports each")
    lines = []
    for row in rows:
        if "note" in row:
            lines.append((row["shape"], *[""] * 6, f"not measured: {row['note']}"))
            continue
        first = measure.middle(figures.runs(row, "load"))
        again = f"{measure.middle(figures.runs(row, 'again')).cpu:.3f}" if row["again"] else "-"
        kernel = sorted(row["kernel_mb"])[len(row["kernel_mb"]) // 2]
        lines.append(
            (row["shape"], f"{row['text_kb']:,.0f}", f"{first.wall:.3f}", f"{first.cpu:.3f}",
             f"{first.rss:.0f}", f"{kernel:.1f}", again, "")
        )  # fmt: skip
    columns = ["shape", "text KB", "wall s", "CPU s", "RSS MB", "kernel MB", "again, CPU s", ""]
    measure.table(columns, lines)


if __name__ == "__main__":
    main(sys.argv[1:])
