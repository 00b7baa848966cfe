"""Bring a host to a plan, and take back what was done: whole or not at all, and remembered.

`folder` is the state directory of the namespace; whoever calls holds its lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from nfcompile.host import doing, ledger
from nfcompile.host.judging import judged
from nfcompile.host.ledger import Ledger
from nfcompile.host.lines import Finding
from nfcompile.host.plan import HostPlan
from nfcompile.host.steps import (
    AddAddress,
    AddLocalRoute,
    AddMarkRoute,
    AddRule,
    LoadModule,
    SetMtu,
    SetSysctl,
    Step,
    WriteLldp,
    target,
)
from nfcompile.kernel import KernelError, netns
from nfcompile.model.ranges import Range, cidrs


class Place(NamedTuple):
    """The host, or the network namespace of that name, and where it is remembered what was done there."""

    folder: str
    namespace: str | None
    identity: str


class Change(NamedTuple):
    """What was done: steps that were made, earlier ones that were undone since the site no longer asks for
    them, and which of these were left as they are, and why. `before` is what stood until then."""

    before: Ledger
    made: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    left: tuple[str, ...] = ()


class Undone(NamedTuple):
    """What came of undoing a step: why it was left as it is, or why it could not be undone; '' for
    neither."""

    step: Step
    left: str = ""
    failure: str = ""


def foreseen(plan: HostPlan, place: Place) -> Change:
    """What `bring` would do; nothing is changed."""
    before = ledger.read(place.folder, place.identity)
    made = tuple(step for finding in judged(plan, place.namespace) for step in finding.steps)
    return Change(before, made, _surplus(plan, before))


def bring(plan: HostPlan, place: Place) -> Change:
    """Do what a plan needs, in the order of its findings, and undo what an earlier plan needed and this one
    does not. What fails half way is undone, and raises KernelError."""
    before = ledger.read(place.folder, place.identity)
    surplus = _surplus(plan, before)
    undone = _undo(tuple(reversed(surplus)), place)
    done = Change(before, (), surplus, tuple(one.left for one in undone if one.left))
    problem = next((one.failure for one in undone if one.failure), "")
    for phase in (_modules, _others):
        steps = () if problem else phase(judged(plan, place.namespace))
        if steps:
            ledger.write(
                place.folder, before._replace(steps=ledger.joined(before.steps, (*done.made, *steps)))
            )
            count, problem = netns.inside(place.namespace, partial(_made, steps))
            done = done._replace(made=(*done.made, *steps[:count]))
    if problem:
        take_back(done, place)
        raise KernelError(f"{problem}; what had been done of the host's part is undone")
    gone = set(map(target, surplus))
    kept = tuple(one for one in before.steps if target(one) not in gone)
    ledger.write(place.folder, before._replace(steps=ledger.joined(kept, done.made)))
    return done


def take_back(change: Change, place: Place) -> None:
    """Bring the host to where it was before a change, as far as it lets itself be brought, and remember
    that."""
    failed = [one.step for one in _undo(tuple(reversed(change.made)), place) if one.failure]
    netns.inside(place.namespace, partial(_made, change.undone))
    stands = ledger.joined(change.before.steps, failed)
    ledger.write(place.folder, change.before._replace(steps=stands))


def revert(place: Place) -> tuple[Undone, ...]:
    """Undo all that stands, the last first; what could not be undone is remembered still."""
    before = ledger.read(place.folder, place.identity)
    undone = _undo(tuple(reversed(before.steps)), place)
    failed = tuple(one.step for one in reversed(undone) if one.failure)
    ledger.write(place.folder, before._replace(steps=failed))
    return undone


def _made(steps: tuple[Step, ...]) -> tuple[int, str]:
    """Make steps until one fails: how many, and why no more."""
    for count, step in enumerate(steps):
        try:
            doing.make(step)
        except KernelError as error:
            return count, str(error)
    return len(steps), ""


def _undo(steps: tuple[Step, ...], place: Place) -> tuple[Undone, ...]:
    """Undo steps in the order given, whatever becomes of any."""

    def each() -> tuple[Undone, ...]:
        return tuple(map(_undone, steps))

    return netns.inside(place.namespace, each) if steps else ()


def _undone(step: Step) -> Undone:
    try:
        return Undone(step, left=doing.undo(step))
    except KernelError as error:
        return Undone(step, failure=str(error))


def _modules(findings: Iterable[Finding]) -> tuple[Step, ...]:
    return tuple(step for one in findings for step in one.steps if isinstance(step, LoadModule))


def _others(findings: Iterable[Finding]) -> tuple[Step, ...]:
    return tuple(step for one in findings for step in one.steps if not isinstance(step, LoadModule))


def _surplus(plan: HostPlan, before: Ledger) -> tuple[Step, ...]:
    """Steps that stand and that the plan does not ask for."""
    asked = _targets(plan)
    return tuple(step for step in before.steps if target(step) not in asked)


def _targets(plan: HostPlan) -> set[tuple[Any, ...]]:
    steps: list[Step] = [AddAddress(one.address, one.interface) for one in plan.addresses]
    steps += [AddLocalRoute(*one.block) for one in plan.local_routes]
    for route in plan.mark_routes:
        steps.append(AddRule(route.mark))
        for destination in route.destinations:
            for first, bits in cidrs(destination):
                block = Range(first, first + (1 << bits) - 1)
                steps.append(AddMarkRoute(*block, route.interface, route.mark))
    steps += [SetMtu(one.interface, 0, 0) for one in plan.mtus]
    steps += [SetSysctl(one.name, 0, 0) for one in plan.sysctls]
    steps += [LoadModule(one.name) for one in plan.modules]
    if plan.lldp is not None:
        steps.append(WriteLldp(None, ""))
    return set(map(target, steps))
