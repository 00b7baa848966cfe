"""The use of pools as Prometheus metrics, by the official client. `metric_table` has their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from nfcompile import __version__
from nfcompile.cli.exit_status import UsageProblem
from nfcompile.cli.metric_table import counter, gauge, histogram
from nfcompile.kernel import KernelError

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector, CollectorRegistry

    from nfcompile.live.scrape import ScrapeReading
    from nfcompile.live.usage import Drop, PoolUsage, RuleUse, Usage

POOL_GAUGES = (
    "subscribers",
    "active_subscribers",
    "blocks",
    "blocks_assigned",
    "addresses",
    "addresses_used",
    "mapping_entries",
    "mapping_limit",
    "open_ports",
    "sessions",
)
RULE_GAUGES = ("sessions", "active_subscribers")


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
    return gauge("up", int(asked))


def _build_info() -> Metric:
    build = gauge("build_info")
    build.add_metric([__version__], 1)
    return build


def _of_site(found: ScrapeReading) -> Iterator[Metric]:
    """Which site the other metrics are about, and what `history` says of it."""
    info = gauge("site_info")
    info.add_metric([found.site.digest, found.site.file], 1)
    yield info
    yield gauge("site_live", int(found.is_live))
    yield gauge("trial_pending", int(found.trial is not None))
    if found.trial is not None:
        yield gauge("trial_remaining_seconds", max(0, found.trial))
    if found.changed is not None:
        yield gauge("last_change_timestamp_seconds", found.changed)
    yield gauge("sessions_age_seconds", found.counted)


def families(found: Usage) -> Iterator[Metric]:
    """All metrics of one reading; what was not counted has no sample."""
    yield gauge("connections", found.connections)
    yield gauge("connections_limit", found.connections_limit)
    yield from _of_each("pool", POOL_GAUGES, [(pool.pool, pool) for pool in found.pools])
    yield _spread(found.pools)
    yield from _of_each("snat", RULE_GAUGES, [(rule.rule, rule) for rule in found.rules])
    given = counter("pool_assignments")
    for pool in found.pools:
        if pool.assignments is not None:
            given.add_metric([pool.pool], pool.assignments)
    yield given
    yield from _drops(found.drops)


def _of_each(
    what: str, fields: Sequence[str], used: Sequence[tuple[str, PoolUsage | RuleUse]]
) -> Iterator[Metric]:
    """A gauge for each field, with a sample for each pool or rule that has it."""
    for field in fields:
        metric = gauge(f"{what}_{field}")
        for name, usage in used:
            if (value := getattr(usage, field)) is not None:
                metric.add_metric([name], value)
        yield metric


def _drops(drops: tuple[Drop, ...]) -> Iterator[Metric]:
    packets, octets = counter("dropped_packets"), counter("dropped_bytes")
    for drop in drops:
        packets.add_metric([drop.pool or "", drop.reason.word], drop.packets)
        if drop.bytes is not None:
            octets.add_metric([drop.pool or "", drop.reason.word], drop.bytes)
    yield packets
    yield octets


def _spread(pools: tuple[PoolUsage, ...]) -> Metric:
    """Active subscribers by the number of their sessions."""
    from nfcompile.live.session_counts import SESSION_STEPS

    spread = histogram("pool_subscriber_sessions")
    for pool in pools:
        if pool.subscribers_by_sessions is not None:
            sums = accumulate(pool.subscribers_by_sessions)
            bounds = [*map(str, SESSION_STEPS), "+Inf"]
            spread.add_metric([pool.pool], list(zip(bounds, sums, strict=True)), pool.sessions)
    return spread


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
