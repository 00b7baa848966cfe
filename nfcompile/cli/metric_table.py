"""Every metric of the exporter, in the order of docs/metrics.md, which is made of this table (`make errors`).

The collectors make their families of it, so that what Prometheus shows as help is what the page says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily


class ExportedMetric(NamedTuple):
    """A metric by the name of its family (the samples of a counter have `_total` behind it).

    kind        gauge, counter or histogram
    unit        of its value; '' where it is 0, 1 or a plain label
    labels      besides those that Prometheus adds (job, instance)
    """

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    text: str

    @property
    def sample(self) -> str:
        """The name that a query has; of a histogram the stem of its three."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class MetricGroup(NamedTuple):
    """Metrics about one thing, and when they are there."""

    title: str
    text: str
    metrics: tuple[ExportedMetric, ...]


def _gauge(name: str, unit: str, text: str, *labels: str) -> ExportedMetric:
    return ExportedMetric(f"nfcompile_{name}", "gauge", unit, labels, text)


def _counter(name: str, unit: str, text: str, *labels: str) -> ExportedMetric:
    return ExportedMetric(f"nfcompile_{name}", "counter", unit, labels, text)


SITE = MetricGroup(
    "The exporter and its site",
    "Where `nfcompile_up` is 0 there is nothing else but `nfcompile_build_info`.",
    (
        _gauge("up", "", "1, or 0 where the kernel could not be asked for the use of the pools"),
        _gauge("build_info", "", "Always 1: the version of nfcompile that answers", "version"),
        _gauge(
            "site_info",
            "",
            "Always 1: digest (empty without a history) and file of the site that the figures are about",
            "digest",
            "file",
        ),
        _gauge("site_live", "", "1, or 0 where the table in the kernel is not that of the live site"),
        _gauge(
            "last_change_timestamp_seconds",
            "seconds since 1970",
            "When the live site was loaded; absent where the history does not say",
        ),
        _gauge("trial_pending", "", "1 while a site is on trial, else 0"),
        _gauge(
            "trial_remaining_seconds",
            "seconds",
            "Until the trial is taken back; absent without one",
        ),
        _gauge(
            "sessions_age_seconds", "seconds", "Since the last count of sessions; a long one is used again"
        ),
    ),
)
CONNECTIONS = MetricGroup(
    "Connections",
    "Of the namespace as a whole, translated or not.",
    (
        _gauge("connections", "connections", "Connections that the kernel tracks"),
        _gauge(
            "connections_limit",
            "connections",
            "Limit of tracked connections (nf_conntrack_max); 0 where it cannot be read",
        ),
    ),
)
POOLS = MetricGroup(
    "Pools",
    "One series for each enabled pool; none where the pool lacks the feature, or the value was not counted.",
    (
        _gauge("pool_subscribers", "subscribers", "Subscribers that the pool serves; absent: any", "pool"),
        _gauge("pool_active_subscribers", "subscribers", "Subscribers with a session", "pool"),
        _gauge(
            "pool_blocks",
            "blocks",
            "Blocks (cgnat) or addresses (nat) that the pool can give away",
            "pool",
        ),
        _gauge(
            "pool_blocks_assigned",
            "blocks",
            "Blocks or addresses that are not free: computed for a deterministic pool, "
            "read from the kernel for a dynamic one, "
            "including those that wait before another subscriber gets them",
            "pool",
        ),
        _gauge("pool_addresses", "addresses", "Global addresses of the pool", "pool"),
        _gauge("pool_addresses_used", "addresses", "Global addresses with a session", "pool"),
        _gauge("pool_mapping_entries", "sockets", "Sockets with a mapping entry, of tcp and udp", "pool"),
        _gauge("pool_mapping_limit", "sockets", "Limit of mapping entries", "pool"),
        _gauge("pool_open_ports", "ports", "Ports that subscribers have opened by PCP or NAT-PMP", "pool"),
        _gauge("pool_sessions", "sessions", "Sessions of the pool", "pool"),
        _counter("pool_assignments", "blocks", "Blocks given away since the ruleset was loaded", "pool"),
        ExportedMetric(
            "nfcompile_pool_subscriber_sessions",
            "histogram",
            "sessions",
            ("pool",),
            "Active subscribers by the number of their sessions",
        ),
    ),
)
RULES = MetricGroup(
    "Rules of snat",
    "One series for each rule that translates.",
    (
        _gauge("snat_sessions", "sessions", "Sessions of the snat rule", "rule"),
        _gauge("snat_active_subscribers", "sources", "Sources with a session of the snat rule", "rule"),
    ),
)
DROPS = MetricGroup(
    "Dropped packets",
    "`reason` is a word of [this table](status.md#reasons); `pool` is empty where a reason concerns all.",
    (
        _counter("dropped_packets", "packets", "Packets dropped", "pool", "reason"),
        _counter(
            "dropped_bytes",
            "bytes",
            "Bytes dropped; absent for drops that conntrack counts",
            "pool",
            "reason",
        ),
    ),
)
PAIR = MetricGroup(
    "A pair of gateways",
    "Only on a node of [a pair](ha.md). A node that does not answer has no series of its own.",
    (
        _gauge("pair_ready", "", "1, or 0 where a failover now would lose something"),
        _gauge("pair_master", "", "1 where the node is the master of its pair, else 0", "node"),
        _gauge("pair_gate_open", "", "1 where the node forwards new connections, else 0", "node"),
        _gauge(
            "pair_sessions",
            "connections",
            "Connections that conntrackd of the node holds",
            "node",
        ),
    ),
)
GROUPS = (SITE, CONNECTIONS, POOLS, RULES, DROPS, PAIR)
_BY_NAME = {one.name: one for group in GROUPS for one in group.metrics}


def gauge(name: str, value: float | None = None) -> GaugeMetricFamily:
    """The family of a gauge; with its value where it has no labels. Raises KeyError."""
    from prometheus_client.core import GaugeMetricFamily

    one = _BY_NAME[f"nfcompile_{name}"]
    return GaugeMetricFamily(one.name, one.text, value, one.labels or None)


def counter(name: str) -> CounterMetricFamily:
    """The family of a counter. Raises KeyError."""
    from prometheus_client.core import CounterMetricFamily

    one = _BY_NAME[f"nfcompile_{name}"]
    return CounterMetricFamily(one.name, one.text, labels=one.labels)


def histogram(name: str) -> HistogramMetricFamily:
    """The family of a histogram. Raises KeyError."""
    from prometheus_client.core import HistogramMetricFamily

    one = _BY_NAME[f"nfcompile_{name}"]
    return HistogramMetricFamily(one.name, one.text, labels=one.labels)
