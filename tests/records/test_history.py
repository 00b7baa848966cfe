"""The history as values: what is live, on trial, to go back to; and what a crash leaves of the file."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.records import history, store
from nfcompile.records.clock import ClockReading, microseconds
from nfcompile.records.history import Event
from nfcompile.records.timeline import timeline

HERE, ELSEWHERE = "boot/1", "boot/2"
NOW = ClockReading("later", 1, microseconds("2026-06-01T00:00:00.000000Z"))


def event(change, result, site="a", at=None, kernel=HERE, **more):
    moment = f"2026-05-01T10:00:{at if at is not None else change:02}.000000Z"
    uptime = 1000.0 + (at if at is not None else change)
    return Event(change, moment, result, site, f"{site}.yaml", "root", 0, "gw", "1", kernel, uptime, **more)


def change(number, result, site="a", **more):
    seconds = {"seconds": 60} if result == "trial" else {}
    return [event(number, "loading", site, **seconds, **more), event(number, result, site, **seconds, **more)]


A, B = change(1, "applied", "a"), change(2, "applied", "b")
TRIAL = change(3, "trial", "c")


def test_a_line_is_an_event():
    for one in (*A, *TRIAL, event(4, "reverted", None), event(5, "refused", why='no\n"such" thing\u2028')):
        line = history.line(one)
        assert line.count(b"\n") == 1
        assert history.read(line).events == (one,)


@given(st.integers(0, 600))
def test_a_torn_last_line_is_left_out_and_counted(cut):
    whole = b"".join(map(history.line, [*A, *B]))
    log = history.read(whole[: len(whole) - cut])
    complete = whole[: len(whole) - cut].split(b"\n")

    assert log.events == (*A, *B)[: len(log.events)]
    lost = complete[-1] != b"" and len(log.events) < len(complete)
    assert log.damaged == ((len(complete),) if lost else ())


def test_what_comes_after_a_torn_line_is_a_line_of_its_own(tmp_path):
    path = str(tmp_path)
    store.append(path, A[0])
    with open(tmp_path / "history.jsonl", "ab") as file:
        file.write(history.line(A[1])[:40])
    store.append(path, B[0])
    store.append(path, B[1])

    assert store.read(path) == history.EventLog((A[0], *B), (2,), (1,))


@pytest.mark.parametrize("line", [b"[]", b"7", b'"x"', b'{"change": 1}', b"\xff\xfe", b"[" * 100000])
def test_lines_of_another_kind_are_damaged(line):
    assert history.read(history.line(A[0]) + line + b"\n").damaged == (2,)


def test_on_trial_is_what_was_loaded_last_and_not_ended():
    assert history.trial([*A, *TRIAL], HERE) == TRIAL[1]
    assert history.trial([*A, TRIAL[0]], HERE) == TRIAL[0]  # killed while it was loaded
    assert history.trial([*A, *TRIAL, *change(4, "refused")], HERE) == TRIAL[1]
    assert history.trial([*A, *TRIAL, event(3, "failed", "a")], HERE) == TRIAL[1]
    for ended in ("confirmed", "reverted"):
        assert history.trial([*A, *TRIAL, event(3, ended, "c")], HERE) is None
    assert history.trial([*A, *TRIAL, *B], HERE) is None
    assert history.trial([*A, event(2, "loading")], HERE) is None
    assert history.trial([*A, *TRIAL], ELSEWHERE) is None
    assert history.trial([], HERE) is None


def test_what_a_trial_goes_back_to():
    assert history.kept([], HERE) is None
    assert history.kept([*A, *TRIAL, *change(4, "trial", "d")], HERE) == A[1]
    assert history.kept([*A, *change(2, "refused", "b")], HERE) == A[1]
    assert history.kept([*A, *TRIAL, event(3, "reverted", "a")], HERE).site == "a"
    assert history.kept([*A, *TRIAL, event(3, "confirmed", "c")], HERE).site == "c"
    assert history.kept(change(1, "applied", kernel=ELSEWHERE), HERE) is None


def test_earlier_sites_are_different_and_were_kept():
    def sites(events):
        return [one.site for one in history.earlier(events)]

    assert sites([]) == []
    assert sites(A) == []
    assert sites([*A, *B]) == ["a"]
    assert sites([*A, *B, *change(3, "applied", "a"), *change(4, "applied", "d")]) == ["a", "b"]
    assert sites([*A, *B, *TRIAL]) == ["b", "a"]
    assert sites([*A, *B, *TRIAL, event(3, "reverted", "b")]) == ["a"]  # not what was taken back
    assert sites([*A, *B, *change(3, "rollback", "a")]) == ["b"]


def live(events, second):
    found = timeline(history.EventLog(tuple(events)), NOW).when(f"2026-05-01T10:00:{second:02}.500000Z")
    return [one.site for one in found.live]


def test_what_was_live_when():
    events = [
        event(1, "loading", "a", at=10),
        event(1, "applied", "a", at=11),
        event(2, "loading", "b", at=20, seconds=9),
        event(2, "trial", "b", at=21, seconds=9),
        event(2, "reverted", "a", at=30),
        event(3, "loading", "x", at=35),
        event(3, "refused", "x", at=36),
        event(4, "loading", "b", at=40),  # killed
        event(5, "loading", "c", at=50),
        event(5, "applied", "c", at=51),
    ]
    expected = {9: [], 10: [None, "a"], 12: ["a"], 20: ["a", "b"], 25: ["b"], 30: ["a"], 35: ["a"]}
    expected |= {40: ["a", "b"], 49: ["a", "b"], 50: ["a", "b", "c"], 51: ["c"], 59: ["c"]}

    assert {second: live(events, second) for second in expected} == expected


def test_confirming_does_not_begin_anew():
    events = [*TRIAL, event(3, "confirmed", "c", at=9)]

    (found,) = timeline(history.EventLog(tuple(events)), NOW).when("2026-05-01T10:00:30.000000Z").live
    assert found.since == TRIAL[1]


def test_sites_are_stored_once_and_checked(tmp_path):
    path = str(tmp_path)
    with store.locked(path):
        digest = store.keep(path, b"version: 1\n")
        assert store.keep(path, b"version: 1\n") == digest
    assert os.listdir(tmp_path / "sites") == [digest]
    assert store.site(path, digest) == b"version: 1\n"

    (tmp_path / "sites" / digest).write_bytes(b"version: 2\n")
    with pytest.raises(store.StateError, match="is damaged"):
        store.site(path, digest)
    with pytest.raises(store.StateError, match="No such file"):
        store.site(path, "0" * 64)


def test_the_text_that_was_loaded_last_is_kept(tmp_path):
    state = store.StateDir(str(tmp_path), None, "boot/1")
    store.note_loaded(state, 7, "table ip t {\n}\n")

    generation, name = store.loaded(state)

    assert generation == 7
    assert store.loaded_text(state, name) == "table ip t {\n}\n"
    assert store.loaded_text(state, "0" * 64) is None
    (tmp_path / "loaded.nft").write_text("table ip t {\n\tset s { type mark; }\n}\n")
    assert store.loaded_text(state, name) is None
    (tmp_path / "loaded.nft").unlink()
    assert store.loaded_text(state, name) is None


def test_the_reserve_is_given_up_for_the_end_of_a_change(tmp_path, monkeypatch):
    path = str(tmp_path)
    with store.locked(path):
        store.keep(path, b"")
    write = os.write

    def full(descriptor, data):
        if os.path.exists(tmp_path / "reserve"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(store.StateError, match="No space left"):
        store.append(path, A[0], reserve=False)
    assert os.path.exists(tmp_path / "reserve")
    store.append(path, A[1])
    assert store.read(path).events == (A[1],)
