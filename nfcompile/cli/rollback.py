"""`nfcompile rollback`: go back to a site of the history, compiled from the text that is kept there."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from nfcompile.cli import change, outcome
from nfcompile.cli.change import Given, Records
from nfcompile.cli.consent import agreed
from nfcompile.cli.guard import OK, REFUSED
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.history import Event


class Wish(NamedTuple):
    """How the operator wants it done."""

    netns: str | None = None
    state_dir: str | None = None
    yes: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


def run(number: int, wish: Wish) -> int:
    """Go back to the last different site that was live to stay, or the one before it, and so on."""
    kept = change.records(wish.state_dir, wish.netns)
    events = store.read(kept.path).events
    target = _target(kept, events, number)
    if target is None:
        return _to_no_table(kept, wish)
    assert target.site is not None
    given = Given(store.site(kept.path, target.site), target.file or "")
    name = f"{given.file} of {target.at[:19]}Z"
    result = outcome.compiled_text(given.data, name)
    if result.compiled is None:
        outcome.tell(result, wish.quiet, wish.color)
        raise KernelError(f"this nfcompile does not take '{name}', which {target.version} has loaded")
    from nfcompile.kernel import apply

    text = result.compiled.text
    try:
        changes = apply.survey(text.text, text.origin, wish.netns).diff
        _show(changes, wish)
        if not agreed(lambda: f"go back to {name}?", wish.yes):
            return _say(None, changes, wish)
        event, _ = change.make(kept, given, result.compiled, history.ROLLBACK, seen=len(events))
    except SiteError as error:
        outcome.tell(result.refused(error.diagnostics), wish.quiet, wish.color)
        return REFUSED
    return _say(event, changes, wish)


def _target(kept: Records, events: tuple[Event, ...], number: int) -> Event | None:
    """The event of the site to go back to; None is no table (a first site on trial)."""
    trial = history.trial(events, kept.kernel)
    before = history.kept(events, kept.kernel)
    if trial is not None and (before is None or before.site is None):
        number -= 1
        if number == 0:
            return None
    sites = history.earlier(events)
    if number > len(sites):
        had = f"{len(sites)} earlier sites" if len(sites) > 1 else "one" if sites else "no earlier site"
        raise KernelError(
            f"the history has {had} to go back to, not {number}" if sites else f"the history has {had}"
        )
    return sites[number - 1]


def _to_no_table(kept: Records, wish: Wish) -> int:
    """End the trial of a first site."""
    if not agreed(lambda: "go back to no table?", wish.yes):
        return _say(None, [], wish)
    with store.locked(kept.path):
        trial = history.trial(store.read(kept.path).events, kept.kernel)
        if trial is None:
            raise KernelError("the trial is over")
        change.remove(kept.netns)
        event = change.stamped(trial._replace(result=history.REVERTED, site=None, seconds=None))
        store.append(kept.path, event)
    return _say(event, [], wish)


def _show(changes: list[str], wish: Wish) -> None:
    if wish.format == "text" and not wish.quiet:
        sys.stdout.writelines(f"{line}\n" for line in changes)
        sys.stdout.flush()


def _say(event: Event | None, changes: list[str], wish: Wish) -> int:
    if wish.format == "json":
        print(json.dumps({"event": event and event._asdict(), "diff": changes}, indent=2))
    elif not wish.quiet:
        live = "no table" if event and event.site is None else event and event.file
        print(f"rolled back to {live}" if event else "not rolled back")
    return OK if event else REFUSED
