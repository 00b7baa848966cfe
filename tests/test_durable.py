"""Files that stand whole after a crash."""

import os
import stat
from pathlib import Path

import pytest

from nfcompile import durable


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
