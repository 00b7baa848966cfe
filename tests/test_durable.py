"""Files that stand whole after a crash."""

import os
import signal
import stat
from pathlib import Path

import pytest

from nfcompile import durable
from nfcompile.records import store


def test_a_file_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    target = tmp_path / "state"
    durable.replace(str(target), b"first")
    durable.replace(str(target), b"second", 0o640)

    assert target.read_bytes() == b"second"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["state"]


def test_what_fails_leaves_the_last_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "state"
    durable.replace(str(target), b"first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable.replace(str(target), b"second")

    assert target.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["state"]


def test_what_a_killed_process_had_begun_is_removed_by_the_next_change(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with store.locked(str(state)):
        store.keep(str(state), b"first")
    child = os.fork()
    if child == 0:
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        store.keep(str(state), b"second")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    begun = [one for one in state.rglob("*") if one.name.startswith(durable.BEGUN)]
    assert len(begun) == 1

    with store.locked(str(state)):
        pass

    assert not begun[0].exists()
    assert store.site(str(state), store.digest(b"first")) == b"first"
