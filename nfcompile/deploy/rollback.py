"""Go back to a site of the history."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.deploy import change, host_half, trial
from nfcompile.deploy.recorded_site import RecordedSite, recorded_site
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.history import Event
from nfcompile.records.store import StateDir


class RollbackPlan(NamedTuple):
    """What a rollback would do: the site that it loads (None: it removes the table).

    `events_seen` is the number of events when the plan was made.
    """

    site: RecordedSite | None
    events_seen: int


def plan(state: StateDir, number: int) -> RollbackPlan:
    """Plan to go back `number` different sites.

    Raises KernelError where the history has none, and RejectedSite where this version does not compile it.
    """
    events = store.read(state.path).events
    target = _target(state, events, number)
    site = None if target is None else recorded_site(state, target)
    return RollbackPlan(site, len(events))


def diff(state: StateDir, site: RecordedSite) -> list[str]:
    """What changes in the kernel, as a unified diff. Raises SiteError where it refuses the site."""
    from nfcompile.kernel import apply

    text = site.compiled.text
    return apply.preview(text.text, text.origin, state.netns).diff


def roll_back(state: StateDir, plan: RollbackPlan) -> tuple[Event, str]:
    """Do what was planned; the event, and what is to be said of it: that it is not in the history, or that
    the host's half did not go back ('' for neither).

    Raises SiteError where the kernel refuses it, and KernelError.
    """
    if plan.site is None:
        event = trial.end(state)
        if event is None:
            raise KernelError("the trial is over")
        return event, ""
    site = plan.site
    done = change.apply_and_record(
        state, site.file, site.compiled, history.ROLLBACK, events_seen=plan.events_seen
    )
    why = host_half.go_back(state, site.event.change + 1)
    unrecorded = f"the rollback is not in the history: {done.unrecorded}" if done.unrecorded else ""
    return done.event, "; ".join(filter(None, (unrecorded, why)))


def _target(state: StateDir, events: tuple[Event, ...], number: int) -> Event | None:
    """The event of the site to go back to; None is no table (a first site on trial)."""
    on_trial = history.trial(events, state.kernel)
    before = history.kept(events, state.kernel)
    if on_trial is not None and (before is None or before.site is None):
        number -= 1
        if number == 0:
            return None
    sites = history.earlier(events)
    if number > len(sites):
        if not sites:
            raise KernelError("the history has no earlier site")
        count = "one earlier site" if len(sites) == 1 else f"{len(sites)} earlier sites"
        raise KernelError(f"the history has {count} to go back to, not {number}")
    return sites[number - 1]
