"""A real Prometheus scrapes a gateway in every trouble, one without a table, and one that is well: each alert
of monitoring/alerts.yml has to fire, and none for the third.

The exporters serve the project's own collectors with readings that are made here. `for` is left out of the
rules: how long they wait is what `promtool test rules` shows. In a network namespace of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import start_http_server

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from nfcompile.cli import metrics, pair_metrics  # noqa: E402
from nfcompile.kernel import KernelError  # noqa: E402
from nfcompile.live.scrape import ScrapeReading  # noqa: E402
from support.exported_metrics import PAIR, READING  # noqa: E402

PATIENCE = 180
API = 9090
ILL, DOWN, WELL = 9911, 9912, 9913
BEGUN = time.monotonic()


def ill() -> ScrapeReading:
    """Everything is nearly full, the table is another one's, a trial waits, and packets drop."""
    usage, lost = READING.usage, int(1000 * (time.monotonic() - BEGUN))
    pools = tuple(
        pool._replace(blocks=100, blocks_assigned=95, mapping_entries=95, mapping_limit=100)
        for pool in usage.pools
    )
    drops = tuple(drop._replace(packets=lost, bytes=lost) for drop in usage.drops)
    usage = usage._replace(connections=95, connections_limit=100, pools=pools, drops=drops)
    return READING._replace(usage=usage, is_live=False)


def well() -> ScrapeReading:
    """The same gateway on a good day."""
    usage = READING.usage
    pools = tuple(
        pool._replace(blocks=100, blocks_assigned=5, mapping_entries=5, mapping_limit=100)
        for pool in usage.pools
    )
    return READING._replace(usage=usage._replace(connections_limit=100, pools=pools), trial=None)


def down() -> ScrapeReading:
    """No table is loaded."""
    raise KernelError("no ruleset of nfcompile is loaded here")


def main() -> None:
    """Serve, start Prometheus, and wait until it fires all."""
    serve(ILL, ill, ("conntrackd does not answer on gw1",))
    serve(DOWN, down, None)
    serve(WELL, well, ())
    rules = yaml.safe_load((ROOT / "monitoring/alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    for rule in alerts:
        del rule["for"]
    wanted = {rule["alert"] for rule in alerts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration()))
        command = [
            sys.argv[1],
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
        ]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as prometheus,
        ):
            try:
                fired = wait_for(wanted)
            finally:
                prometheus.terminate()
    if fired.get(WELL) or set().union(*fired.values()) != wanted:
        sys.exit(f"Prometheus: wanted {sorted(wanted)}, fired {fired}")
    print(f"Prometheus fires each of {len(wanted)} alerts, and none for the gateway that is well")


def serve(port: int, read: Callable[[], ScrapeReading], problems: tuple[str, ...] | None) -> None:
    """One exporter; without `problems` it is of no pair."""
    collectors: list[Any] = [metrics.Collected(read)]
    if problems is not None:
        collectors.append(pair_metrics.PairCollected(lambda: PAIR._replace(problems=problems)))
    start_http_server(port, "127.0.0.1", metrics.registry(*collectors))


def configuration() -> dict[str, Any]:
    """Prometheus' own: a scrape and a look at the rules each second."""
    targets = [f"127.0.0.1:{port}" for port in (ILL, DOWN, WELL)]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "nfcompile", "static_configs": [{"targets": targets}]}],
    }


def wait_for(wanted: set[str]) -> dict[int, set[str]]:
    """The alerts that fire by the port of their exporter, as soon as all that are wanted do."""
    until = time.monotonic() + PATIENCE
    fired: dict[int, set[str]] = {}
    while set().union(*fired.values()) != wanted and time.monotonic() < until:
        time.sleep(1)
        try:
            asked = HTTPConnection("127.0.0.1", API, timeout=10)
            asked.request("GET", "/api/v1/alerts")
            alerts = json.load(asked.getresponse())["data"]["alerts"]
        except (OSError, HTTPException, ValueError):
            continue  # not there yet
        fired = {}
        for alert in alerts:
            if alert["state"] == "firing":
                port = int(alert["labels"]["instance"].rpartition(":")[2])
                fired.setdefault(port, set()).add(alert["labels"]["alertname"])
    return fired


main()
