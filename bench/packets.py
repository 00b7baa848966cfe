"""Packets through each shape at three sizes, new connections and established ones, against `masquerade`.

Every subscriber sends one flow, up to FLOWS of them; where there are fewer they send several times, and what
is known of them is forgotten in between. A shape that needs so long that a turn would take more than TURN
seconds gets fewer flows; what a packet costs does not depend on how many there are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

import csit
import figures
import lab
import load
import measure
import traffic
from figures import Row
from frames import Batch
from lab import CPU, Flow, Gateway, flows
from measure import Failed, Namespace, ratio
from peers import PEERS, Peer
from traffic import Broken

SIZES = (1024, 65_536, 1_048_576)
FLOWS = 30_000
LEAST = 8192
TURN = 0.5
FIRST_PACKETS = 20
"""Seconds that the first packets of the established connections may take."""

ROUNDS = 5

NO_NAT = "no NAT"
TRACKED = "connection tracking only"
BASE = "masquerade"
AGAIN = "masquerade, a second gateway"
TRACKING = """\
table ip plain {
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state invalid drop
	}
}
"""
PLAIN = {
    NO_NAT: ("", lab.untouched),
    TRACKED: (TRACKING, lab.untouched),
    BASE: (lab.MASQUERADE, lab.masquerades),
    AGAIN: (lab.MASQUERADE, lab.masquerades),
}


def main(arguments: Sequence[str] = ()) -> None:
    """Print two tables for each size, and keep all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, help="keep the figures there (docs/performance)")
    wish = parser.parse_args(list(arguments))
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: packets: {problem}", file=sys.stderr)
        return
    os.sched_setaffinity(0, {CPU})
    _, known = figures.read("load", wish.into) if wish.into else ("", [])
    too_much = {(row["shape"], row["subscribers"]): row["note"] for row in known if "note" in row}
    for count in wish.subscribers:
        with tempfile.TemporaryDirectory() as name:
            rows = _size(Path(name), count, wish.rounds, too_much)
        figures.replace("packets", rows, wish.into)


def _size(folder: Path, subscribers: int, rounds: int, too_much: dict[tuple[str, int], str]) -> list[Row]:
    server, gateways = Namespace(), list[Gateway]()
    broken = {name: note for (name, count), note in too_much.items() if count == subscribers}
    files = load.texts(folder, subscribers, dict(broken))
    try:
        for name, (text, verify) in PLAIN.items():
            path = folder / "plain"
            path.write_text(text)
            peer = Peer(lambda _: (), lab.NFT, lambda _, verify=verify: verify)
            _start(gateways, name, server, path, peer, subscribers, broken)
        for name in (load.OURS, load.DEFAULTS, *PEERS):
            if name in files:
                _start(gateways, name, server, *files[name], subscribers, broken)
        return _measured(gateways, subscribers, rounds, broken)
    finally:
        for gateway in gateways:
            gateway.close()
        server.close()


def _start(
    gateways: list[Gateway],
    name: str,
    server: Namespace,
    path: Path,
    peer: Peer,
    subscribers: int,
    broken: Broken,
) -> None:
    """A gateway that was seen to do its work; what cannot be loaded or does not work is noted."""
    gateway = Gateway(name, len(gateways), server, peer.verify(subscribers))
    gateways.append(gateway)
    gateway.tracks = name != NO_NAT
    try:
        gateway.load(path, peer.loader, load.LIMIT, load.MEMORY)
    except Failed as problem:
        broken[name] = str(problem)
        return
    if fault := lab.shown(gateway, flows(load.SHOWN, 3, subscribers)):
        broken[name] = f"DOES NOT WORK: {fault}"


def _measured(gateways: Sequence[Gateway], subscribers: int, rounds: int, broken: Broken) -> list[Row]:
    some = flows(min(FLOWS, subscribers), 1, subscribers)
    working = [g for g in gateways if g.name not in broken]
    batches = {g.name: _batch(g, some, broken) for g in working}
    turns = {g.name: partial(_turn, g, batches[g.name], broken) for g in working}
    found = measure.interleave(turns, rounds)
    rows = _rows("new", subscribers, found, broken)
    for row in rows:
        if row["case"] in batches:
            row["flows"] = batches[row["case"]].count

    some = flows(min(traffic.LONG_LIVED, subscribers), 2, subscribers)
    many = Batch([flow.frame() for flow in some], FLOWS // len(some))
    for gateway in working:
        if gateway.name not in broken and (fault := _established(gateway, some, median(found[gateway.name]))):
            broken[gateway.name] = fault
    working = [g for g in working if g.name not in broken]
    turns = {g.name: partial(traffic.established, g, many, broken) for g in working}
    # Differences are small here: more and shorter rounds.
    return rows + _rows("established", subscribers, measure.interleave(turns, 3 * rounds), broken)


def _established(gateway: Gateway, some: Sequence[Flow], each: float) -> str:
    if len(some) * each / 1e9 > FIRST_PACKETS:
        return f"{len(some):,} first packets take more than {FIRST_PACKETS} s"
    return traffic.establish(gateway, some)


def _batch(gateway: Gateway, some: Sequence[Flow], broken: Broken) -> Batch:
    """As many of the flows as a turn has time for."""
    frames = [flow.frame() for flow in some]
    each = traffic.new_flows(gateway, Batch(frames[: load.SHOWN]), broken)
    return Batch(frames[: max(load.SHOWN, int(TURN / each * 1e9))])


def _turn(gateway: Gateway, batch: Batch, broken: Broken) -> float:
    times = max(1, LEAST // batch.count) if batch.count >= SIZES[0] else 1
    return mean(traffic.new_flows(gateway, batch, broken) for _ in range(times))


def _rows(kind: str, subscribers: int, found: dict[str, list[float]], broken: Broken) -> list[Row]:
    rows: list[Row] = []
    for name in (*PLAIN, load.OURS, load.DEFAULTS, *PEERS):
        row: Row = {"kind": kind, "case": name, "subscribers": subscribers}
        if name in broken or name not in found:
            row["note"] = broken.get(name, "not on this machine")
        else:
            row["ns"] = [round(one) for one in found[name]]
        rows.append(row)
    _report(kind, subscribers, rows)
    return rows


def _report(kind: str, subscribers: int, rows: Sequence[Row]) -> None:
    measure.heading(f"{kind}, {subscribers:,} subscribers with {csit.CSIT_PORTS} ports each")
    (base,) = (row["ns"] for row in rows if row["case"] == BASE)
    lines = []
    for row in rows:
        if "note" in row:
            lines.append((row["case"], "-", "-", "-", f"not measured: {row['note']}"))
            continue
        nanoseconds = median(row["ns"])
        rate = f"{1e9 / nanoseconds:,.0f}"
        lines.append((row["case"], f"{nanoseconds:,.0f}", rate, str(ratio(row["ns"], base)), ""))
    measure.table(["case", "CPU ns a packet", "a second and core", f"against {BASE}", ""], lines)


if __name__ == "__main__":
    if not shutil.which("conntrack"):
        sys.exit("packets: no conntrack on this machine")
    main(sys.argv[1:])
