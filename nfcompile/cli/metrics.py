"""The use of pools as Prometheus metrics, by the official client. Their names are in docs/status.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from nfcompile import __version__
from nfcompile.cli.exit_status import UsageProblem
from nfcompile.kernel import KernelError

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector, CollectorRegistry

    from nfcompile.live.scrape import ScrapeReading
    from nfcompile.live.usage import PoolUsage, Usage

POOL_GAUGES = (
    ("subscribers", "Subscribers that the pool serves"),
    ("active_subscribers", "Subscribers with a session"),
    ("blocks", "Blocks, or whole addresses, that the pool can give away"),
    ("blocks_assigned", "Blocks, or whole addresses, that are not free"),
    ("addresses", "Global addresses of the pool"),
    ("addresses_used", "Global addresses with a session"),
    ("mapping_entries", "Sockets with a mapping entry"),
    ("mapping_limit", "Mapping entries that there is room for"),
    ("sessions", "Sessions of the pool"),
)
RULE_GAUGES = (
    ("sessions", "Sessions of the snat rule"),
    ("active_subscribers", "Sources with a session of the snat rule"),
)


class Collected:
    """A registry's collector that asks anew for every scrape; the interface is the client's."""

    def __init__(self, read: Callable[[], ScrapeReading]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Every metric, or that the kernel could not be asked."""
        try:
            found = self._read()
        except KernelError:
            yield _up(False)
            yield _build_info()
            return
        yield _up(True)
        yield _build_info()
        yield from _of_site(found)
        yield from families(found.usage)


def _up(asked: bool) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    text = "Whether the kernel could be asked for the use of the pools"
    return GaugeMetricFamily("nfcompile_up", text, int(asked))


def _build_info() -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    build = GaugeMetricFamily("nfcompile_build_info", "Always 1", labels=["version"])
    build.add_metric([__version__], 1)
    return build


def _of_site(found: ScrapeReading) -> Iterator[Metric]:
    """Which site the other metrics are about, and what `history` says of it."""
    from prometheus_client.core import GaugeMetricFamily

    info = GaugeMetricFamily("nfcompile_site_info", "Always 1: the live site", labels=["digest", "file"])
    info.add_metric([found.site.digest, found.site.file], 1)
    yield info
    yield GaugeMetricFamily(
        "nfcompile_site_live", "Whether the table in the kernel is that of the site", int(found.is_live)
    )
    yield GaugeMetricFamily(
        "nfcompile_trial_pending", "Whether a site is on trial", int(found.trial is not None)
    )
    if found.trial is not None:
        yield GaugeMetricFamily(
            "nfcompile_trial_remaining_seconds", "Until the trial is taken back", max(0, found.trial)
        )
    if found.changed is not None:
        yield GaugeMetricFamily(
            "nfcompile_last_change_timestamp_seconds", "When the live site was loaded", found.changed
        )
    yield GaugeMetricFamily(
        "nfcompile_sessions_age_seconds", "Since the sessions were counted", found.counted
    )


def families(found: Usage) -> Iterator[Metric]:
    """All metrics of one reading; what was not counted has no sample."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("nfcompile_connections", "Connections that the kernel tracks", found.connections)
    limit = found.connections_limit
    yield GaugeMetricFamily("nfcompile_connections_limit", "Connections that there is room for", limit)
    for field, text in POOL_GAUGES:
        gauge = GaugeMetricFamily(f"nfcompile_pool_{field}", text, labels=["pool"])
        for pool in found.pools:
            if (value := getattr(pool, field)) is not None:
                gauge.add_metric([pool.pool], value)
        yield gauge
    yield _spread(found.pools)
    for field, text in RULE_GAUGES:
        gauge = GaugeMetricFamily(f"nfcompile_snat_{field}", text, labels=["rule"])
        for rule in found.rules:
            if (value := getattr(rule, field)) is not None:
                gauge.add_metric([rule.rule], value)
        yield gauge
    given = CounterMetricFamily(
        "nfcompile_pool_assignments", "Blocks given away since the ruleset was loaded", labels=["pool"]
    )
    for pool in found.pools:
        if pool.assignments is not None:
            given.add_metric([pool.pool], pool.assignments)
    yield given
    packets = CounterMetricFamily("nfcompile_dropped_packets", "Packets dropped", labels=["pool", "reason"])
    octets = CounterMetricFamily("nfcompile_dropped_bytes", "Bytes dropped", labels=["pool", "reason"])
    for drop in found.drops:
        packets.add_metric([drop.pool or "", drop.reason.word], drop.packets)
        if drop.bytes is not None:
            octets.add_metric([drop.pool or "", drop.reason.word], drop.bytes)
    yield packets
    yield octets


def _spread(pools: tuple[PoolUsage, ...]) -> Metric:
    """Active subscribers by the number of their sessions."""
    from prometheus_client.core import HistogramMetricFamily

    from nfcompile.live.session_counts import SESSION_STEPS

    histogram = HistogramMetricFamily(
        "nfcompile_pool_subscriber_sessions", "Sessions of a subscriber with any", labels=["pool"]
    )
    for pool in pools:
        if pool.subscribers_by_sessions is not None:
            sums = accumulate(pool.subscribers_by_sessions)
            bounds = [*map(str, SESSION_STEPS), "+Inf"]
            histogram.add_metric([pool.pool], list(zip(bounds, sums, strict=True)), pool.sessions)
    return histogram


def registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of nothing but these metrics."""
    try:
        from prometheus_client.registry import CollectorRegistry
    except ImportError:
        raise UsageProblem(
            "the Python package 'prometheus-client' is missing; install nfcompile[exporter]"
        ) from None
    made = CollectorRegistry()
    for collector in collectors:
        made.register(collector)
    return made


class OneReading:
    """A collector of one reading that is there already."""

    def __init__(self, found: Usage) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Every metric of it."""
        yield _up(True)
        yield from families(self._found)


def exposition(found: Usage) -> str:
    """The text form of one reading."""
    made = registry(OneReading(found))
    from prometheus_client import generate_latest

    return generate_latest(made).decode()
