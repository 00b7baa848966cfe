"""A reading in which everything has a value, and the families that the exporter makes of it."""

from __future__ import annotations

from nfcompile.cli import metrics, pair_metrics
from nfcompile.deploy.pair import NodeReport, PairReport
from nfcompile.live.follow import ScrapedSite
from nfcompile.live.scrape import ScrapeReading
from nfcompile.live.session_counts import NO_SPREAD
from nfcompile.live.usage import Drop, PoolUsage, RuleUse, Usage
from nfcompile.lower.drop_reasons import DROP_REASONS
from nfcompile.model.fleet import NodeChoice
from support.sites import GOOD, site

USAGE = Usage(
    1,
    2,
    (PoolUsage("homes", "cgnat", "dynamic", ("pools", "homes"), *(1,) * 11, NO_SPREAD),),
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
