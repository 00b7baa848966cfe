"""The daemon without a kernel that sends anything."""

import os

import pytest

from nfcompile.kernel import KernelError
from nfcompile.live.follow import ScrapedSite
from nfcompile.log import statistics
from nfcompile.log.daemon import Daemon, LogSettings
from nfcompile.log.outputs import opened
from nfcompile.log.process import Signals
from nfcompile.log.spool import Spool
from nfcompile.model.fleet import NodeChoice
from nfcompile.records import store
from support.log_records import CONNECTION
from support.sites import GOOD, site


@pytest.fixture
def made(tmp_path):
    """A function that makes a daemon with an output."""

    def make(output):
        (tmp_path / "log").mkdir()
        settings = LogSettings(str(tmp_path / "log"), str(tmp_path), None, (), False, 4096, 1 << 20)
        return Daemon(settings, ScrapedSite(site(GOOD), "", "s", NodeChoice()), [output], lambda text: None)

    return make


def never():
    return False


def test_what_was_read_is_delivered_when_the_kernel_fails(made, tmp_path, monkeypatch):
    daemon = made(opened(f"json:{tmp_path}/out"))

    def fails():
        daemon._put([CONNECTION])
        raise KernelError("the table has gone")

    monkeypatch.setattr(daemon, "_turn", fails)
    reading, writing = os.pipe()
    with pytest.raises(KernelError, match="has gone"):
        daemon.run(Signals(reading, never, never))
    os.close(reading)
    os.close(writing)

    text = (tmp_path / "out").read_text()
    assert [word for word in ("log_started", "connection_ended", "log_stopped") if word in text] == [
        "log_started",
        "connection_ended",
        "log_stopped",
    ]


def test_a_full_disk_of_the_output_keeps_all_for_the_next_start(made, tmp_path):
    output = opened("json:/dev/full")
    daemon = made(output)
    reading, writing = os.pipe()
    figures = daemon.run(Signals(reading, lambda: True, never))
    os.close(reading)
    os.close(writing)

    (one,) = figures.outputs
    assert (one.delivered, one.lost) == (0, 0)
    assert "No space left" in one.away
    assert statistics.read(str(tmp_path / "log")).outputs == figures.outputs
    folder = tmp_path / "log" / store.digest(output.name.encode())[:16]
    assert [record.event for record in Spool(str(folder), 1).read(10)] == ["log_started", "log_stopped"]
