"""SIGINT while the ruleset is changed: raised where nothing has changed yet, else when all is done."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nfcompile.kernel.interrupts import held, passed_on, unless_interrupted


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def _handler_comes_back() -> Iterator[None]:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    unless_interrupted()


def held_while(*steps: Callable[[], object]) -> list[int]:
    """The numbers of the steps that were done to the end, while SIGINT is held; what ends them is raised."""
    done: list[int] = []
    with held("too late"):
        for number, step in enumerate(steps):
            step()
            done.append(number)
    return done


def test_it_is_raised_at_the_next_moment_without_a_change() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt) as raised:
        held_while(interrupt, lambda: done.append("before"), unless_interrupted, lambda: done.append("after"))

    assert done == ["before"]
    assert raised.value.args == ()


def test_behind_the_last_such_moment_it_is_too_late() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt, match="too late"):
        held_while(unless_interrupted, interrupt, lambda: done.append("the record"))

    assert done == ["the record"]


def test_another_failure_is_the_one_that_is_told() -> None:
    with pytest.raises(FileNotFoundError):
        held_while(interrupt, lambda: os.stat("/nothing/is/here"))


def test_the_outer_one_holds() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt, match="too late"):
        held_while(lambda: held_while(interrupt), lambda: done.append("goes on"))

    assert done == ["goes on"]


def test_where_no_interrupt_is_raised_there_is_nothing_to_hold() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(held_while, lambda: None).result(60) == [0]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert held_while(interrupt) == [0]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_child_that_works_for_this_process_is_told() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        with pytest.raises(KeyboardInterrupt), passed_on(child.pid):
            held_while(interrupt)

        assert child.wait(120) == -signal.SIGINT
