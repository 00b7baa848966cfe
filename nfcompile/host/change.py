"""Bring a host to a plan, and take back what was done: whole or not at all, and remembered.

`folder` is the state directory of the namespace; whoever calls holds its lock.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    anew,
    target,
)
from nfcompile.kernel import KernelError, netns
from nfcompile.model.ranges import Range, cidrs


class HostPlace(NamedTuple):
    """The host, or the network namespace of that name, and where it is remembered what was done there."""

    folder: str
    namespace: str | None
    identity: str


class Change(NamedTuple):
    """What was done: steps that were made, earlier ones that were undone since the site no longer asks for
    them, and which of these were left as they are, and why."""

    made: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return bool(self.made or self.undone)


class Undone(NamedTuple):
    """What came of undoing a step: why it was left as it is, or why it could not be undone; '' for
    neither."""

    step: Step
    left: str = ""
    failure: str = ""


def foreseen(plan: HostPlan, place: HostPlace) -> Change:
    """What `bring` would do; nothing is changed."""
    made = tuple(step for finding in judged(plan, place.namespace) for step in finding.steps)
    return Change(made, _surplus(plan, ledger.read(place.folder, place.identity)))


def bring(plan: HostPlan, place: HostPlace, number: int | None = None) -> Change:
    """Do what a plan needs, in the order of its findings, and undo what an earlier plan needed and this one
    does not. What fails half way is undone, and raises KernelError.

    `number` is the change of the history that this belongs to, for `go_back`; without one no earlier change
    of the history is gone back to any more: the host has been changed beside it.
    """
    before = ledger.read(place.folder, place.identity)
    known = {} if number is None else {**before.before, number: before.steps}
    undone = _undo(tuple(reversed(_surplus(plan, before))), place)
    gone = {target(one.step) for one in undone if not one.failure}
    kept = Ledger(before.identity, tuple(one for one in before.steps if target(one) not in gone), known)
    problem = next((one.failure for one in undone if one.failure), "")
    made: tuple[Step, ...] = ()
    ledger.write(place.folder, kept)
    for phase in (_modules, _others):
        steps = () if problem else phase(judged(plan, place.namespace))
        if steps:
            made = (*made, *steps)
            ledger.write(place.folder, kept._replace(steps=ledger.joined(kept.steps, made)))
            problem = _made(steps, place)
    if problem:
        restore(before, place)
        raise KernelError(f"{problem}; what had been done of the host's part is undone")
    return Change(made, tuple(one.step for one in undone), tuple(one.left for one in undone if one.left))


def go_back(place: HostPlace, number: int) -> None:
    """Bring the host to where it was before that change of the history and all later ones, if any of them had
    the host's half with it."""
    now = ledger.read(place.folder, place.identity)
    later = [one for one in now.before if one >= number]
    if later:
        left = {one: steps for one, steps in now.before.items() if one < number}
        restore(Ledger(now.identity, now.before[min(later)], left), place)


def restore(before: Ledger, place: HostPlace) -> None:
    """Bring the host to where these steps stood and no others, as far as it lets itself be brought, and
    remember that. What was remembered and never made is no matter: undoing it does nothing."""
    now = ledger.read(place.folder, place.identity)
    stood = {target(one): one for one in before.steps}
    undone = _undo(tuple(one for one in reversed(now.steps) if target(one) not in stood), place)
    there = {target(one): one for one in now.steps}
    missing = tuple(again for one in before.steps if (again := anew(there.get(target(one)), one)) is not None)
    if missing:
        netns.inside(place.namespace, lambda: [*map(_problem, missing)])
    failed = [one.step for one in undone if one.failure]
    ledger.write(place.folder, before._replace(steps=ledger.joined(before.steps, failed)))


def revert(place: HostPlace) -> tuple[Undone, ...]:
    """Undo all that stands, the last first; what could not be undone is remembered still."""
    before = ledger.read(place.folder, place.identity)
    undone = _undo(tuple(reversed(before.steps)), place)
    failed = tuple(one.step for one in reversed(undone) if one.failure)
    ledger.write(place.folder, Ledger(before.identity, failed))
    return undone


def _made(steps: tuple[Step, ...], place: HostPlace) -> str:
    """Make steps in the namespace until one fails, and why it did."""

    def each() -> str:
        return next(filter(None, map(_problem, steps)), "")

    try:
        return netns.inside(place.namespace, each)
    except KernelError as error:  # the process in the namespace died
        return str(error)


def _problem(step: Step) -> str:
    """Make a step; why it could not be made, '' where it was."""
    try:
        doing.make(step)
    except KernelError as error:
        return str(error)
    return ""


def _undo(steps: tuple[Step, ...], place: HostPlace) -> tuple[Undone, ...]:
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
