"""Whether a pair would survive a failover, as Prometheus metrics: what `ha status` says, at every scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nfcompile.cli.metric_table import gauge
from nfcompile.kernel import KernelError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from nfcompile.deploy.pair import NodeReport, PairReport

GAUGES: tuple[tuple[str, Callable[[NodeReport], int | None]], ...] = (
    ("master", lambda one: int(one.role == "master")),
    ("gate_open", lambda one: int(one.gate == "open")),
    ("sessions", lambda one: one.sessions),
)


class PairCollected:
    """A collector of a pair's report; the interface is the client's."""

    def __init__(self, read: Callable[[], PairReport]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Every metric; nothing where the live site is of no pair, or the kernel could not be asked."""
        try:
            found = self._read()
        except KernelError:
            return
        yield from families(found)


def families(found: PairReport) -> Iterator[Metric]:
    """Nodes that do not answer, and what they do not know, have no sample."""
    yield gauge("pair_ready", int(not found.problems))
    for name, value_of in GAUGES:
        of_nodes = gauge(f"pair_{name}")
        for one in (found.own, found.peer):
            value = None if one is None else value_of(one)
            if one is not None and value is not None:
                of_nodes.add_metric([one.node], value)
        yield of_nodes
