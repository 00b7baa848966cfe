"""The lab itself: what one test has broken is whole for the next."""

from __future__ import annotations

import time

import pytest

from support import lab as labs
from support.lab import GATEWAY, Lab


def test_a_question_without_an_answer_leaves_a_lab_that_answers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "ANSWER", 5.0)

    with pytest.raises(TimeoutError):
        lab.ask(GATEWAY, time.sleep, 8)

    assert [lab.must("echo", word).strip() for word in ("one", "two")] == ["one", "two"]
    assert "lan0" in lab.must("ip", "-br", "link")
