"""The copy of the peer's assignments: kept whole, and no harm where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from nfcompile.records import peer_copy

ROWS: list[peer_copy.Row] = [("homes", 1, 2, 1024), ("homes", 3, 2, 2048)]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    assert peer_copy.kept(path) == []

    peer_copy.keep(path, ROWS)

    assert peer_copy.kept(path) == ROWS


@pytest.mark.parametrize("text", ["", "{}", "[[1]]", '[["homes", "1", 2, 3]]', "[", "\0", "[" * 5000])
def test_a_damaged_copy_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / peer_copy.NAME).write_text(text)

    assert peer_copy.kept(str(tmp_path)) == []
