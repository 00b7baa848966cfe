"""Write docs/metrics.md, the reference of the exporter's metrics, from the table that the collectors use and
from the alert rules; a test holds the page to both."""

import re
from pathlib import Path

import yaml

from nfcompile.cli.metric_table import GROUPS, ExportedMetric, MetricGroup
from nfcompile.live.session_counts import SESSION_STEPS

ROOT = Path(__file__).resolve().parents[1]
PAGE, ALERTS = ROOT / "docs/metrics.md", ROOT / "monitoring/alerts.yml"
HEAD = """# Metrics of the exporter

What [`nfcompile exporter`](status.md#exporter) serves at `/metrics`. `make errors` makes this page of the
table that the exporter itself uses, so the texts are those that Prometheus shows as help. No metric has a
label for each subscriber. [monitoring.md](monitoring.md) says what to do when an alert fires.

A gauge is a value of now. A counter grows as long as the table is loaded, `apply` keeps it; a query takes
`rate()` or `increase()` of it.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    alerts = alerts_of()
    return "\n".join([HEAD, *(_group(group, alerts) for group in GROUPS)])


def alerts_of() -> dict[str, list[str]]:
    """The alerts that ask for each sample's name."""
    found: dict[str, list[str]] = {}
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            for name in sorted(set(re.findall(r"\bnfcompile_\w+", rule["expr"]))):
                found.setdefault(name, []).append(rule["alert"])
    return found


def _group(group: MetricGroup, alerts: dict[str, list[str]]) -> str:
    rows = "".join(_row(one, alerts.get(one.sample, [])) for one in group.metrics)
    head = "| metric | type | labels | unit | meaning | alerts |\n| --- | --- | --- | --- | --- | --- |\n"
    return f"## {group.title}\n\n{group.text}\n\n{head}{rows}"


def _row(one: ExportedMetric, alerts: list[str]) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    named = ", ".join(f"[`{alert}`](monitoring.md)" for alert in alerts)
    return f"| `{one.sample}` | {one.kind} | {labels} | {one.unit} | {one.text}{_steps(one)} | {named} |\n"


def _steps(one: ExportedMetric) -> str:
    if one.kind != "histogram":
        return ""
    bounds = ", ".join(f"{step:,}" for step in SESSION_STEPS)
    return f"; buckets up to {bounds}, and more (`_bucket` with `le`, `_sum`, `_count`)"


if __name__ == "__main__":
    main()
