"""`host apply` that fails or is killed half way: all of it is undone, or `host revert` does it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfcompile.host import change, doing, ledger
from nfcompile.host.steps import AddAddress, Step
from nfcompile.kernel import KernelError
from nfcompile.model.parse import address
from support.host_gateway import SITE, Gateway, bare, planned


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    yield from bare(tmp_path)


def test_the_kernels_refusal_undoes_what_came_before(gateway):
    """A macvlan's MTU cannot be larger than that of the interface below: lan0 has it by then."""
    gateway.run("ip", "link", "del", "wan0")
    gateway.run("ip", "-batch", "-", text="link add below type veth peer name w1\nlink set below up\n")
    gateway.run("ip", "link", "add", "wan0", "link", "below", "type", "macvlan")
    gateway.run("ip", "-batch", "-", text="link set wan0 up\naddress add 192.0.2.2/24 dev wan0\n")
    before = gateway.state()

    ran = gateway.host("apply")

    assert ran.returncode == 1
    problem = "'ip link set wan0 mtu 1800' failed: Invalid argument"
    assert ran.stderr == f"nfcompile: error: {problem}; what had been done of the host's part is undone\n"
    assert gateway.state() == before
    assert gateway.host("revert").stdout == "nothing to undo\n"


def steps(gateway: Gateway) -> tuple[Step, ...]:
    return change.foreseen(planned(), gateway.place()).made


def test_a_failure_at_any_step_is_undone(gateway, monkeypatch):
    before, all_steps, make = gateway.state(), steps(gateway), doing.make
    assert len(all_steps) > 10

    for failing in all_steps:

        def refused(step: Step, failing: Step = failing) -> None:
            if step == failing:
                raise KernelError("no")
            make(step)

        monkeypatch.setattr(doing, "make", refused)
        with pytest.raises(KernelError, match="no; what had been done"):
            change.bring(planned(), gateway.place())
        assert gateway.state() == before, failing
        assert ledger.read(gateway.place().folder, gateway.place().identity).steps == ()


def test_a_kill_at_any_step_can_be_reverted(gateway, monkeypatch):
    """The process is killed before the step, or right after it; `host revert` finds what was begun."""
    before, make = gateway.state(), doing.make
    for at, killing in enumerate(steps(gateway)):

        def killed(step: Step, killing: Step = killing, after: int = at % 2) -> None:
            if step != killing or after:
                make(step)
            if step == killing:  # in a child of bring's process, which enters the namespace
                os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(doing, "make", killed)
        child = os.fork()
        if child == 0:
            try:
                change.bring(planned(), gateway.place())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        monkeypatch.setattr(doing, "make", make)
        assert not [one for one in change.revert(gateway.place()) if one.failure]
        assert gateway.state() == before, killing


def test_the_death_of_the_process_in_the_namespace_is_undone(gateway, monkeypatch):
    """It enters the namespace for another process, which lives on, and takes back what was made."""
    before, make, last = gateway.state(), doing.make, steps(gateway)[-1]

    def killed(step: Step) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
        make(step)

    monkeypatch.setattr(doing, "make", killed)
    with pytest.raises(KernelError, match="died"):
        change.bring(planned(), gateway.place())

    assert gateway.state() == before


def test_what_cannot_be_undone_stops_a_change(gateway, monkeypatch):
    """The new site asks for less; one thing of the old one stays, so all of it does."""
    gateway.host("apply")
    before, undo = gateway.state(), doing.undo
    smaller = SITE.replace("192.0.2.10-192.0.2.12", "192.0.2.11").replace("  l2mtu: 1822\n", "")

    def refused(step: Step) -> str:
        if step == AddAddress(address("192.0.2.10"), "wan0"):
            raise KernelError("no")
        return undo(step)

    monkeypatch.setattr(doing, "undo", refused)
    with pytest.raises(KernelError, match="no; what had been done"):
        change.bring(planned(smaller), gateway.place())

    assert sorted(gateway.state()) == sorted(before)
    monkeypatch.setattr(doing, "undo", undo)
    assert gateway.host("apply").stdout == "nothing to change\n"
    assert gateway.host("revert").returncode == 0
