"""A program that asks again and again: which site it reads, and how often it counts."""

import pytest

from nfcompile.kernel import KernelError
from nfcompile.live import scrape, usage
from nfcompile.live.follow import ScrapedSite
from nfcompile.live.scrape import Scraper
from nfcompile.live.session_counts import SessionCounts
from nfcompile.live.usage import Usage
from nfcompile.model.fleet import NodeChoice
from nfcompile.records import store
from nfcompile.records.history import APPLIED, LOADING, ROLLBACK, TRIAL, Event
from nfcompile.records.store import StateDir
from support.sites import BAD, GOOD, site

KERNEL = "boot/1"
NOTHING = SessionCounts({}, {}, {}, (), {})


class Gateway:
    """A history, a clock, and walks that take a second each."""

    def __init__(self, folder):
        self.folder, self.now, self.walks = str(folder), 0.0, 0
        self.used = None
        self.connections = usage.SHORT_WALK + 1
        self.missing = ()

    def event(self, number, result, text, kernel=KERNEL, **more):
        """Of a site, or of no table where the text is None."""
        with store.locked(self.folder):
            digest = None if text is None else store.keep(self.folder, text.encode())
            event = Event(
                number,
                f"2026-05-01T10:00:0{number}.000000Z",
                result,
                digest,
                "gw.yaml",
                "root",
                0,
                "gw",
                "1",
                kernel,
                100.0,
                **more,
            )
            store.append(self.folder, event)
        return digest

    def count(self, compiled, flows, top=0):
        self.walks += 1
        self.now += 1
        return NOTHING

    def read(self, compiled, namespace, full, counted):
        counted()
        self.used = compiled
        return Usage(0, 0, (), (), (), (), True, self.missing)


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    made = Gateway(tmp_path / "state")
    monkeypatch.setattr(store, "state_dir", lambda root, namespace: StateDir(root, namespace, KERNEL))
    monkeypatch.setattr(store, "uptime", lambda: 130.0)
    monkeypatch.setattr(scrape, "count_sessions", made.count)
    monkeypatch.setattr(scrape.conntrack, "flows", lambda namespace: ())
    monkeypatch.setattr(scrape.conntrack, "count", lambda namespace: (made.connections, 0))
    monkeypatch.setattr(scrape.usage, "read", made.read)
    monkeypatch.setattr(scrape.time, "monotonic", lambda: made.now)
    return made


def scraper(gateway, text=GOOD):
    return Scraper(ScrapedSite(site(text), "", "site.yaml", NodeChoice()), gateway.folder, None, False)


def test_without_a_history_it_is_the_site_that_was_given(gateway):
    reading = scraper(gateway).read()

    assert (reading.site.file, reading.is_live, reading.changed, reading.trial) == (
        "site.yaml",
        True,
        None,
        None,
    )


def test_another_site_is_live_after_an_apply(gateway):
    asked = scraper(gateway)
    first = gateway.event(1, APPLIED, GOOD)
    assert (asked.read().site.digest, gateway.used) == (first, site(GOOD))

    other = GOOD.replace("203.0.113.0/30", "203.0.113.64/30")
    second = gateway.event(2, APPLIED, other)

    reading = asked.read()
    assert (reading.site.digest, gateway.used, reading.is_live) == (second, site(other), True)
    assert reading.changed == 1777629602


def test_where_no_table_is_live_the_site_stays_and_is_not_live(gateway):
    gateway.event(1, APPLIED, GOOD)
    gateway.event(2, ROLLBACK, None)
    gateway.missing = ("dropped_homes",)

    reading = scraper(gateway).read()

    assert (reading.site.file, gateway.used, reading.is_live) == ("site.yaml", site(GOOD), False)


def test_a_table_that_the_history_does_not_know_is_not_the_sites(gateway):
    gateway.event(1, APPLIED, GOOD)
    gateway.missing = ("dropped_homes",)

    assert not scraper(gateway).read().is_live


def test_what_was_live_before_the_host_started_again_is_not_live(gateway):
    gateway.event(1, APPLIED, GOOD.replace("203.0.113.0/30", "203.0.113.64/30"), kernel="boot/0")

    reading = scraper(gateway).read()

    assert (reading.site.file, gateway.used, reading.changed) == ("site.yaml", site(GOOD), None)


def test_sessions_of_another_site_are_counted_at_once(gateway):
    asked = scraper(gateway)
    gateway.event(1, APPLIED, GOOD)
    asked.read()
    gateway.event(2, APPLIED, GOOD.replace("203.0.113.0/30", "203.0.113.64/30"))

    assert (asked.read().counted, gateway.walks) == (0, 2)


def test_a_trial_and_what_is_left_of_it(gateway):
    gateway.event(1, APPLIED, GOOD)
    gateway.event(2, LOADING, GOOD, seconds=120)
    gateway.event(2, TRIAL, GOOD, seconds=120)

    assert scraper(gateway).read().trial == 90


def test_a_site_that_cannot_be_compiled_any_more_leaves_the_one_before(gateway):
    gateway.event(1, APPLIED, BAD)

    reading = scraper(gateway).read()

    assert (reading.site.file, gateway.used, reading.is_live) == ("site.yaml", site(GOOD), False)


def test_a_damaged_text_of_the_history_leaves_the_one_before(gateway, tmp_path):
    digest = gateway.event(1, APPLIED, GOOD)
    (tmp_path / "state/sites" / digest).write_bytes(b"torn")

    assert scraper(gateway).read().site.file == "site.yaml"


def test_a_history_that_may_not_be_read_is_no_error(gateway, monkeypatch):
    def refuse(path):
        raise KernelError("not for you")

    monkeypatch.setattr(store, "read", refuse)

    assert scraper(gateway).read().is_live


def test_a_walk_rests_for_nine_times_as_long_as_it_took(gateway):
    asked = scraper(gateway)
    ages = []
    for seconds in (0, 4, 4.9, 0.2, 9.1):
        gateway.now += seconds
        ages.append((round(asked.read().counted, 1), gateway.walks))

    assert ages == [(0, 1), (4, 1), (8.9, 1), (0, 2), (0, 3)]


def test_a_short_walk_does_not_rest(gateway):
    gateway.connections = usage.SHORT_WALK
    asked = scraper(gateway)

    assert [(asked.read().counted, gateway.walks) for _ in range(2)] == [(0, 1), (0, 2)]
