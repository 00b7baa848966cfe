"""docs/metrics.md is made of the table of metrics and of the alert rules, and the exporter serves these."""

import re
import runpy

import pytest

from nfcompile.cli.metric_table import GROUPS
from support.exported_metrics import FAMILIES
from support.sites import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "metrics_page.py"))
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ALERTS = (ROOT / "monitoring/alerts.yml").read_text(encoding="utf-8")
METRICS = {one.name: one for group in GROUPS for one in group.metrics}


def test_the_page_is_that_of_the_table():
    assert SCRIPT["page"]() == PAGE, "run `make errors`"


def test_the_exporter_serves_what_the_table_has():
    """With its type, its labels and its text: `le` is a histogram's own."""
    served = {
        name: (family.type, family.documentation, {label for one in family.samples for label in one.labels})
        for name, family in FAMILIES.items()
    }
    listed = {one.name: (one.kind, one.text, set(one.labels)) for one in METRICS.values()}

    assert served == {
        name: (kind, text, labels | ({"le"} if kind == "histogram" else set()))
        for name, (kind, text, labels) in listed.items()
    }


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_named_after_its_unit(name):
    """Prometheus' rule: base units at the end of the name, where the value is a time or a size."""
    unit = METRICS[name].unit
    if unit.split(" ")[0] in ("seconds", "bytes"):
        assert name.endswith(unit.split(" ")[0])
    else:
        assert not name.endswith(("_seconds", "_bytes"))


def test_each_alert_stands_at_a_metric():
    assert set(re.findall(r"alert: (\w+)", ALERTS)) == set(re.findall(r"\[`(Nfcompile\w+)`\]", PAGE))
    assert len(set(re.findall(r"\bnfcompile_\w+", ALERTS))) == PAGE.count("| [`Nfcompile")
