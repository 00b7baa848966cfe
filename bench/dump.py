"""How long it takes to go through the connections, against `conntrack -L` and `conntrack -C`."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import measure
from measure import ROOT, Failed, middle, ratio

sys.path.insert(0, str(ROOT / "tests"))
from support import conntrack_entries

CONNECTIONS = 100_000
ROUNDS = 5
BASE = "conntrack -L"
SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/20}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/27],
          limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
"""
DUMP = "from nfcompile.kernel import conntrack\nfor flow in conntrack.flows(): pass"


def main() -> int:
    """Print one table."""
    try:
        measure.private_network()
    except Failed as problem:
        print(f"*** LEFT OUT: {problem}")
        return 0
    measure.heading(f"{CONNECTIONS} connections, against `{BASE}`")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site.yaml")
        site.write_text(SITE)
        measure.run(measure.nfcompile("apply", "--yes", "--quiet", str(site)))
        conntrack_entries.fill(CONNECTIONS)
        commands = {
            BASE: ["conntrack", "-L"],
            "conntrack -C": ["conntrack", "-C"],
            "kernel/conntrack.py alone": [sys.executable, "-c", DUMP],
            "sessions list": measure.nfcompile("sessions", "list", str(site)),
            "sessions list --format json": measure.nfcompile(
                "sessions", "list", str(site), "--format", "json"
            ),
            "status": measure.nfcompile("status", str(site)),
            "status --full": measure.nfcompile("status", str(site), "--full"),
        }
        cases = {name: partial(measure.run, command) for name, command in commands.items()}
        costs = measure.interleave(cases, ROUNDS)
    rows = []
    for name, own in costs.items():
        cost = middle(own)
        times = ratio([c.cpu for c in own], [c.cpu for c in costs[BASE]])
        wall = ratio([c.wall for c in own], [c.wall for c in costs[BASE]])
        rows.append((name, f"{cost.wall * 1000:.0f}", f"{cost.rss:.0f}", wall, times))
    measure.table(["command", "wall ms", "RSS MB", "wall ratio", "CPU ratio"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
