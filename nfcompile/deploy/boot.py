"""Load at boot what was live to stay; the disk need not be writable."""

from __future__ import annotations

from nfcompile.deploy.change import AppliedChange, apply_and_record, refuse_during_trial
from nfcompile.deploy.recorded_site import RecordedSite, recorded_site
from nfcompile.records import history, store
from nfcompile.records.store import StateDir


def site_to_boot(state: StateDir) -> RecordedSite | None:
    """The last site that was live to stay; None where there is none.

    Raises KernelError during a trial, and RejectedSite where this version does not compile it.
    """
    events = store.read(state.path).events
    refuse_during_trial(state, events)
    last = history.kept(events)
    return None if last is None or last.site is None else recorded_site(state, last)


def boot(state: StateDir, site: RecordedSite) -> AppliedChange:
    """Load it. Raises SiteError where the kernel refuses it, and KernelError."""
    return apply_and_record(state, site.file, site.compiled, history.BOOT)
