"""What monitoring/ offers asks for metrics that the exporter has; `make monitoring` runs it in Prometheus."""

import json
import re

import pytest
import yaml

from nfcompile import __version__
from nfcompile.cli import metrics, pair_metrics
from nfcompile.deploy.pair import NodeReport, PairReport
from nfcompile.live.follow import ScrapedSite
from nfcompile.live.scrape import ScrapeReading
from nfcompile.live.session_counts import NO_SPREAD
from nfcompile.live.usage import Drop, PoolUsage, RuleUse, Usage
from nfcompile.lower.drop_reasons import DROP_REASONS
from nfcompile.model.fleet import NodeChoice
from support.sites import GOOD, ROOT, site

USAGE = Usage(
    1,
    2,
    (PoolUsage("homes", "cgnat", "dynamic", ("pools", "homes"), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, NO_SPREAD),),
    (RuleUse("rest", ("snat", "rest"), 1, 1),),
    tuple(Drop(reason, None, (), 1, 1) for reason in DROP_REASONS.values()),
    (),
    True,
    (),
)
READING = ScrapeReading(
    USAGE, ScrapedSite(site(GOOD), "abc", "site.yaml", NodeChoice()), True, 60.0, 1.0, 0.0
)
PAIR = PairReport(NodeReport("gw1", "master", "open", 1, "abc"), None, ())
FAMILIES = {
    family.name: family
    for family in (
        *metrics.Collected(lambda: READING).collect(),
        *pair_metrics.PairCollected(lambda: PAIR).collect(),
    )
}
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


def test_the_page_lists_every_metric_and_every_alert():
    status = (ROOT / "docs/status.md").read_text()
    page = (ROOT / "docs/monitoring.md").read_text()

    listed = {
        name.removesuffix("_total")
        for name in re.findall(r"^\|.*", status, re.MULTILINE)
        for name in re.findall(r"`(nfcompile_\w+)`", name)
    }
    assert listed == set(FAMILIES)
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
