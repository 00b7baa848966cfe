"""The use of pools as Prometheus metrics, by the official client. Their names are in docs/status.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nfcompile.cli.exit_status import UsageProblem
from nfcompile.kernel import KernelError

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from nfcompile.live.usage import Usage

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

    def __init__(self, read: Callable[[], Usage]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Every metric, or that the kernel could not be asked."""
        from prometheus_client.core import GaugeMetricFamily

        up = GaugeMetricFamily("nfcompile_up", "Whether the kernel could be asked for the use of the pools")
        try:
            found = self._read()
        except KernelError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from families(found)


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


def registry(read: Callable[[], Usage]) -> CollectorRegistry:
    """A registry of nothing but these metrics."""
    try:
        from prometheus_client.registry import CollectorRegistry
    except ImportError:
        raise UsageProblem(
            "the Python package 'prometheus-client' is missing; install nfcompile[exporter]"
        ) from None
    made = CollectorRegistry()
    made.register(Collected(read))
    return made


def exposition(found: Usage) -> str:
    """The text form of one reading."""
    made = registry(lambda: found)
    from prometheus_client import generate_latest

    return generate_latest(made).decode()
