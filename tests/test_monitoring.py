"""What monitoring/ offers asks for metrics that the exporter has; `make monitoring` runs it in Prometheus."""

import json
import re

import pytest
import yaml

from nfcompile import __version__
from nfcompile.lower.drop_reasons import DROP_REASONS
from support.exported_metrics import FAMILIES
from support.sites import ROOT

ALERTS = (ROOT / "monitoring/alerts.yml").read_text()
DASHBOARD = json.loads((ROOT / "monitoring/dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def exported():
    """Names of samples, with what a counter and a histogram append."""
    return {sample.name for family in FAMILIES.values() for sample in family.samples}


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in RULES)])
def test_a_query_asks_for_metrics_that_exist(query):
    names = set(re.findall(r"\bnfcompile_\w+", query))

    assert names
    assert names <= exported()


def test_labels_that_are_asked_for_exist():
    """pool and reason of the samples; instance is Prometheus' own."""
    for query in [*QUERIES, *(rule["expr"] for rule in RULES)]:
        for name, inside in re.findall(r"(nfcompile_\w+)\{([^}]*)\}", query):
            asked = set(re.findall(r"(\w+)=", inside)) - {"instance"}
            has = {
                label
                for family in FAMILIES.values()
                for one in family.samples
                if one.name == name
                for label in one.labels
            }
            assert asked <= has, query


def test_reasons_of_an_alert_exist():
    words = {word for found in re.findall(r'reason=~?"([\w|]+)"', ALERTS) for word in found.split("|")}

    assert words
    assert words <= {reason.word for reason in DROP_REASONS.values()}


def test_the_page_lists_every_alert():
    page = (ROOT / "docs/monitoring.md").read_text()

    assert set(re.findall(r"^\| `(Nfcompile\w+)`", page, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_version_is_exported():
    (sample,) = FAMILIES["nfcompile_build_info"].samples
    assert (sample.labels, sample.value) == ({"version": __version__}, 1)
