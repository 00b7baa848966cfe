"""Whether packets agree: foreign rulesets in a kernel, each beside its import in the same kernel.

    scripts/in-namespaces .venv/bin/python scripts/import_packets.py DIR [--probes 200] [--seed 1]

Compared are nat tables that `iptables-restore` loads, without the lines that `import` says it has not
translated; exports of RouterOS, as an nft table of their own order; and every directory that holds `input*`
files and what another system makes of them: `reference.nft`, `reference.ipt`, or for VyOS `blocks.csv`
(subscriber, global address, first and last port). Interfaces of the lab get the names that the file has.
A row for each file: probes, those that the original translates, and how many are the same, differ as
docs/migrate.md announces, or differ. Exit status 1 where any differs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE / "tests")]

from import_table import files  # noqa: E402

from nfcompile import pipeline  # noqa: E402
from nfcompile.importers.importing import Imported, import_files  # noqa: E402
from nfcompile.importers.lines import read_text  # noqa: E402
from nfcompile.importers.reading import ImportOptions  # noqa: E402
from nfcompile.model.parse import address  # noqa: E402
from support.lab import Lab  # noqa: E402
from support.original_probes import drawn, stand_for  # noqa: E402
from support.originals import Original, compared, tally  # noqa: E402
from support.routeros_rules import Export  # noqa: E402
from support.wires import WIRES, gateway_address  # noqa: E402

SHOWN = 3
INSIDE, OUTSIDE = ("lan0", "lan1", "lan0.102"), ("wan0", "wan1")
LOADERS = {".nft": "nft", ".ipt": "iptables-restore", ".csv": "nft"}
REFERENCES = ("blocks.csv", "reference.ipt", "reference.nft")


class Foreign(NamedTuple):
    """What is imported, and what another system makes of it, if not of its own text."""

    kind: str
    inputs: tuple[Path, ...]
    reference: Path | None = None


class NotCompared(Exception):
    """There is no original to load; the text says why."""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    total: dict[str, Counter[str]] = {}
    with Lab() as lab:
        for one in foreign(asked.directory):
            name = str(one.inputs[0].relative_to(asked.directory))
            counts = total.setdefault(one.kind, Counter())
            try:
                counts += tried(lab, one, name, asked.probes, asked.seed)
            except NotCompared as problem:
                counts["not compared"] += 1
                print(f"{name}: not compared: {problem}")
    for kind, counts in total.items():
        print(f"{kind}: {said(counts)}")
        reasons = [f"{reason} {number}" for reason, number in counts.most_common() if reason not in WORDS]
        if reasons:
            print(f"    announced: {', '.join(reasons)}")
    return 1 if any(counts["differs"] for counts in total.values()) else 0


WORDS = ("files", "probes", "translated", "same", "announced", "differs", "not compared")


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[word]} {word}" for word in WORDS)


def foreign(directory: Path) -> Iterator[Foreign]:
    """Files and pairs of a directory."""
    pairs = {path.parent: path for name in REFERENCES for path in directory.rglob(name)}
    done = set()
    for kind, path in files(directory):
        pair = pairs.get(path.parent)
        if pair is None or (pair.suffix == ".csv" and kind != "vyos"):
            yield Foreign(kind, (path,))
        elif pair not in done:
            done.add(pair)
            yield Foreign(kind, tuple(sorted(path.parent.glob("input*"))), pair)


def tried(lab: Lab, one: Foreign, name: str, probes: int, seed: int) -> Counter[str]:
    """Compare one."""
    data = [(path.name, path.read_bytes()) for path in one.inputs]
    sides = import_files(one.kind, data, ImportOptions()).gateway.sides
    names = wires_of(sides.inside, sides.outside)
    own = {name: address(gateway_address(wire)) for name, wire in names.items()}
    found = import_files(one.kind, data, ImportOptions(addresses=own))
    original = original_of(one, found)
    made = pipeline.compile_site(pipeline.parse(found.text.encode(), "site.yaml"))
    inside, outside = (tuple(names[name] for name in side if name in names) for side in sides[:2])
    stand = stand_for(original.text, inside, outside, seed)
    sent = list(drawn(original.text, stand, probes, seed))
    with stand.routed(lab), renamed(lab, names):
        try:
            verdicts = compared(lab, original, found, made, stand, sent)
        except AssertionError as problem:
            raise NotCompared(str(problem).splitlines()[0]) from None
    counts = tally(verdicts) + Counter(files=1, probes=len(verdicts))
    print(f"{name}: {said(counts)}")
    for verdict in [verdict for verdict in verdicts if verdict.word == "differs"][:SHOWN]:
        print(f"    {verdict}")
    return counts


def wires_of(inside: tuple[str, ...], outside: tuple[str, ...]) -> dict[str, str]:
    """A wire for each interface of a site, as far as there are wires."""
    if inside == outside:
        return dict(zip(inside, (*OUTSIDE[:1], *INSIDE, *OUTSIDE[1:]), strict=False))
    only = [name for name in inside if name not in outside]
    return dict(zip(only, INSIDE, strict=False)) | dict(zip(outside, OUTSIDE, strict=False))


def original_of(one: Foreign, found: Imported) -> Original:
    """What the kernel is given of a foreign configuration."""
    if one.reference is not None:
        if not found.account.complete:
            raise NotCompared("some of it is not translated, and the reference has it")
        text = one.reference.read_text()
        blocks = one.reference.suffix == ".csv"
        return Original(vyos_cgnat(text) if blocks else text, LOADERS[one.reference.suffix])
    if not found.rules and not found.pools:
        raise NotCompared("nothing in it translates")
    if one.kind == "iptables":
        return Original(nat_table(one.inputs[0], found), "iptables-restore")
    if one.kind == "routeros" and found.account.complete:
        return Original(Export(one.inputs[0].read_text()).table(), "nft")
    raise NotCompared("no other system is here to say what it does")


def vyos_cgnat(text: str) -> str:
    """The table of a cgnat rule of VyOS: a map of blocks for each protocol."""
    rows = [line.split(",") for line in text.splitlines() if line]
    blocks = ", ".join(f"{inside} : {address} . {first}-{last}" for inside, address, first, last in rows)
    others = ", ".join(f"{inside} : {address}" for inside, address, _, _ in rows)
    rules = "".join(
        f"ip protocol {one} snat ip to ip saddr map @{one}_nat_map\n" for one in ("tcp", "udp", "icmp")
    )
    ported = "".join(
        f"map {one}_nat_map {{ type ipv4_addr : interval ipv4_addr . inet_service; flags interval; "
        f"elements = {{ {blocks} }}; }}\n"
        for one in ("tcp", "udp", "icmp")
    )
    return (
        f"table ip cgnat {{\n{ported}"
        f"map other_nat_map {{ type ipv4_addr : ipv4_addr; elements = {{ {others} }}; }}\n"
        f"chain POSTROUTING {{\ntype nat hook postrouting priority srcnat; policy accept;\n"
        f"{rules}snat ip to ip saddr map @other_nat_map\n}}\n}}\n"
    )


def nat_table(path: Path, found: Imported) -> str:
    """The last nat table of a dump, without what is not translated and what never matches for it."""
    left_out = {line for _, line in found.account.left_out}
    if left_out:
        left_out |= {entry.line for entry in found.account.entries if entry.code == "never-matches"}
    table: list[str] = []
    for number, line in enumerate(read_text(path.name, path.read_bytes()).lines, 1):
        text = line.strip()
        if text == "*nat":
            table = [text]
        elif table and table[-1] != "COMMIT" and number not in left_out:
            table.append(text)
    if not table:
        raise NotCompared("it has no nat table")
    return "\n".join((*table, *(("COMMIT",) if table[-1] != "COMMIT" else ()), ""))


@contextmanager
def renamed(lab: Lab, names: dict[str, str]) -> Iterator[None]:
    """The gateway's ends of the wires under the names of a file; nft does not know them by any other."""
    by_wire = {wire: name for name, wire in names.items()}
    given = [(f"wire{wire.number}", by_wire.get(wire.name, "")) for wire in WIRES]
    first = [f"link set dev {wire.name} name {other}" for wire, (other, _) in zip(WIRES, given, strict=True)]
    then = [f"link set dev {other} name {name}" for other, name in given if name]
    lab.must("ip", "-batch", "-", stdin="\n".join((*first, *then)))
    try:
        yield
    finally:
        back = [f"link set dev {name} name {other}" for other, name in given if name]
        back += [
            f"link set dev {other} name {wire.name}" for wire, (other, _) in zip(WIRES, given, strict=True)
        ]
        lab.must("ip", "-batch", "-", stdin="\n".join(back))


if __name__ == "__main__":
    sys.exit(main())
