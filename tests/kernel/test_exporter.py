"""The exporter beside an operator who changes the site: the figures are those of the site that is live."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from prometheus_client.parser import text_string_to_metric_families

from support.bare_gateway import OTHER, SITE
from support.operator import Operator
from support.waiting import PATIENCE

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]
LARGE = OTHER.replace("198.51.100.0/30", "198.51.100.0/28")


@contextmanager
def exporter(operator: Operator, site: str) -> Iterator[str]:
    """Its address; it began with a site."""
    command = operator.command("exporter", "-", "--listen", "127.0.0.1:0")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(site)
        process.stdin.close()
        try:
            yield process.stderr.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(PATIENCE)


def scrape(url: str) -> Samples:
    """Samples by their labels, by metric."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def only(samples: Samples, name: str) -> float:
    (value,) = samples[name].values()
    return value


def test_an_apply_changes_what_is_exported(operator: Operator) -> None:
    operator.applies(SITE)
    with exporter(operator, SITE) as url:
        before = scrape(url)
        operator.applies(LARGE)
        after = scrape(url)

    assert only(before, "nfcompile_pool_addresses") == 4
    assert only(after, "nfcompile_pool_addresses") == 16
    ((labels, one),) = after["nfcompile_site_info"].items()
    assert (dict(labels)["digest"], one) == (sha256(LARGE.encode()).hexdigest(), 1)
    assert [only(one, "nfcompile_site_live") for one in (before, after)] == [1, 1]
    changes = [only(one, "nfcompile_last_change_timestamp_seconds") for one in (before, after)]
    assert changes[0] < changes[1]


def test_a_trial_is_seen_and_its_end(operator: Operator) -> None:
    operator.applies(SITE)
    with exporter(operator, SITE) as url:
        none = scrape(url)
        operator.applies(LARGE, "--confirm", "600")
        pending = scrape(url)
        operator.must("rollback", "--trial", "-y")
        over = scrape(url)

    assert [only(one, "nfcompile_trial_pending") for one in (none, pending, over)] == [0, 1, 0]
    assert 0 < only(pending, "nfcompile_trial_remaining_seconds") <= 600
    assert "nfcompile_trial_remaining_seconds" not in over
    assert [only(one, "nfcompile_pool_addresses") for one in (none, pending, over)] == [4, 16, 4]


def test_a_table_that_another_program_replaced_is_not_the_sites(operator: Operator) -> None:
    operator.applies(SITE)
    with exporter(operator, SITE) as url:
        operator.gateway.nft("delete", "table", "ip", "nfcompile")
        gone = scrape(url)
        operator.gateway.nft("add", "table", "ip", "nfcompile")
        empty = scrape(url)

    assert only(gone, "nfcompile_up") == 0
    assert set(gone) == {"nfcompile_up", "nfcompile_build_info"}
    assert (only(empty, "nfcompile_up"), only(empty, "nfcompile_site_live")) == (1, 0)
