"""`nfcompile confirm`: keep the site that is on trial."""

from __future__ import annotations

import json

from nfcompile.cli import change
from nfcompile.cli.guard import OK
from nfcompile.kernel import KernelError
from nfcompile.records import history, store


def run(netns: str | None, state_dir: str | None, *, format: str = "text", quiet: bool = False) -> int:
    """End the trial; whoever is first, this or the timer, decides."""
    kept = change.records(state_dir, netns)
    nothing = KernelError("no site is on trial")
    if not store.read(kept.path).events:
        raise nothing
    with store.locked(kept.path):
        trial = history.trial(store.read(kept.path).events, kept.kernel)
        if trial is None:
            raise nothing
        if trial.result == history.LOADING:
            raise KernelError(
                f"'{trial.file}' was interrupted while it was loaded, so it may not be live; apply it again"
            )
        event = change.stamped(trial._replace(result=history.CONFIRMED, seconds=None))
        store.append(kept.path, event)
    if format == "json":
        print(json.dumps(event._asdict(), indent=2))
    elif not quiet:
        print(f"confirmed {event.file}")
    return OK
