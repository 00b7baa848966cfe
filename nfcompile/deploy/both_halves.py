"""`apply --host`: the ruleset and the host's half as one change, of which either all becomes live or nothing.

The ruleset is loaded first, so that nothing is forwarded untranslated, and as a trial: if the host's half
fails, or this process dies in between, the trial ends and takes both back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.deploy import change, host_half, trial
from nfcompile.deploy.site_file import SiteFile
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.store import StateDir

if TYPE_CHECKING:
    from nfcompile.host.change import Change
    from nfcompile.host.plan import HostPlan
    from nfcompile.kernel.apply import LoadResult
    from nfcompile.pipeline import Compiled

SECONDS = 120
"""The trial of an apply that is to stay ends with its last step; this is for the case that there is none."""


class Both(NamedTuple):
    """What the two halves did."""

    result: LoadResult
    host: Change


def apply(
    state: StateDir,
    site: SiteFile,
    compiled: Compiled,
    plan: HostPlan,
    *,
    seconds: int | None,
    events_seen: int | None,
) -> Both:
    """Make both live: on trial for `seconds`, or to stay. Raises SiteError and KernelError; neither is live
    then."""
    from nfcompile.host import change as host

    if seconds is None:
        change.refuse_during_trial(state, store.read(state.path).events)
    done = change.apply_and_record(
        state, site, compiled, history.TRIAL, seconds=seconds or SECONDS, events_seen=events_seen
    )
    try:
        with store.locked(state.path):
            if store.read(state.path).events[-1] != done.event:
                raise KernelError(change.MEANWHILE)
            made = host.bring(plan, host_half.place(state), done.event.change)
    except (KernelError, KeyboardInterrupt):
        with suppress(KernelError):
            trial.end(state)
        raise
    if seconds is None:
        trial.confirm(state)
    return Both(done.result, made)
