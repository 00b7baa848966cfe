"""The figures of a daemon, as a file and as metrics."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nfcompile.kernel import KernelError
from nfcompile.log import statistics
from nfcompile.log.delivery import DeliveryState
from nfcompile.log.statistics import LogFigures, SourceFigures

FIGURES = LogFigures(
    "2026-05-01T10:00:00.000000Z",
    "2026-05-01T10:00:05.000000Z",
    7,
    "abc",
    3,
    (SourceFigures("blocks", 10, 1, 2, 1, 8), SourceFigures("connections", 20, 0, 0, 0, 8)),
    (DeliveryState('json:/a "b"', 5, 6, 7, 8, ""), DeliveryState("x", 0, 0, 0, 0, "away")),
)


def test_figures_are_read_as_they_were_written(tmp_path):
    statistics.write(str(tmp_path), FIGURES)

    assert statistics.read(str(tmp_path)) == FIGURES
    assert FIGURES.lost == 10


def test_no_figures_and_damaged_ones(tmp_path):
    with pytest.raises(KernelError, match="has written figures"):
        statistics.read(str(tmp_path))
    for text in ("", "{}", "[1]", '{"lost": 1}'):
        (tmp_path / statistics.FILE).write_text(text)
        with pytest.raises(KernelError, match="damaged"):
            statistics.read(str(tmp_path))


def test_metrics():
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(statistics.exposition(FIGURES))
        for one in family.samples
    }

    assert samples["nfcompile_log_lost_total", "blocks"] == 2
    assert samples["nfcompile_log_read_total", "connections"] == 20
    assert samples["nfcompile_log_output_spooled_bytes", 'json:/a "b"'] == 7
    assert samples["nfcompile_log_output_lost_total", 'json:/a "b"'] == 8
    assert [samples["nfcompile_log_output_away", name] for name in ('json:/a "b"', "x")] == [0, 1]
    assert len(samples) == 16
