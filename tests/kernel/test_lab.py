"""The lab itself: what one test has broken is whole for the next."""

from __future__ import annotations

import os
import time

import pytest

from support import lab as labs
from support.lab import Lab
from support.wires import GATEWAY


def test_a_question_without_an_answer_leaves_a_lab_that_answers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "ANSWER", 0.1)
    prepare = lab._prepare

    def prepare_with_time() -> None:
        monkeypatch.undo()
        prepare()

    monkeypatch.setattr(lab, "_prepare", prepare_with_time)

    with pytest.raises(TimeoutError):
        lab.ask(GATEWAY, time.sleep, 3600)

    assert [lab.must("echo", word).strip() for word in ("one", "two")] == ["one", "two"]
    assert "lan0" in lab.must("ip", "-br", "link")


def test_a_holder_that_died_leaves_a_lab_that_answers(lab: Lab) -> None:
    with pytest.raises(TimeoutError, match="has died"):
        lab.ask(GATEWAY, os._exit, 1)

    assert lab.must("echo", "one").strip() == "one"
