"""`nfcompile apply`: show what would change in the kernel, ask, and load it as one transaction."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import files, outcome
from nfcompile.cli.guard import DIFFERS, OK, REFUSED
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import Diagnostic, SiteError

if TYPE_CHECKING:
    from nfcompile.cli.change import Given
    from nfcompile.pipeline import Compiled


class Wish(NamedTuple):
    """How the operator wants it done."""

    netns: str | None = None
    dry_run: bool = False
    exit_code: bool = False
    yes: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True
    confirm: int | None = None
    state_dir: str | None = None


class Done(NamedTuple):
    """What came of it."""

    changes: list[str]
    loaded: bool = False
    seconds: int | None = None
    refusals: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def run(site: str, wish: Wish) -> int:
    """Compile SITE and bring it into the kernel; what is live already is not loaded again."""
    data = files.read(site)
    result = outcome.compiled_text(data, files.shown(site))
    text = wish.format == "text"
    if text:
        outcome.tell(result, wish.quiet, wish.color)
    done = Done([]) if result.compiled is None else _bring(site, data, result, wish)
    if text and (done.refusals or done.warnings):
        outcome.tell(result._replace(diagnostics=done.refusals + done.warnings), wish.quiet, wish.color)
    result = result.refused(done.refusals) if done.refusals else result
    result = result._replace(diagnostics=result.diagnostics + done.warnings)
    if not text:
        print(json.dumps(_as_data(result, done), indent=2))
    if result.compiled is None:
        return REFUSED
    if text and not wish.quiet:
        print(_summary(done, wish.dry_run))
    if wish.dry_run:
        return DIFFERS if done.changes and wish.exit_code else OK
    return OK if done.loaded or not done.changes else REFUSED


def _bring(site: str, data: bytes, result: Outcome, wish: Wish) -> Done:
    """Show the change, ask, load; or learn what the kernel has against it."""
    from nfcompile.cli import change
    from nfcompile.kernel import apply, sysctls

    assert result.compiled is not None
    text = result.compiled.text
    changes: list[str] = []
    try:
        changes = apply.changes(text.text, text.origin, wish.netns)
        if wish.format == "text" and not wish.quiet:
            sys.stdout.writelines(f"{line}\n" for line in changes)
            sys.stdout.flush()
        if wish.dry_run or (changes and not _agreed(site, wish)):
            return Done(changes)
        given = change.Given(data, files.shown(site if site == files.STDIN else os.path.abspath(site)))
        loaded = _load(given, result.compiled, wish, bool(changes))
    except SiteError as error:
        return Done(changes, refusals=error.diagnostics)
    warnings = sysctls.differing(result.compiled.sysctls, wish.netns) if loaded else ()
    return Done(changes, loaded, wish.confirm if loaded else None, warnings=warnings)


def _agreed(site: str, wish: Wish) -> bool:
    """Ask, when there is somebody to ask."""
    if wish.yes or site == "-" or sys.stdin is None or not sys.stdin.isatty():
        return True
    print("load this into the kernel? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _load(given: Given, compiled: Compiled, wish: Wish, differs: bool) -> bool:
    """Make a site live and write it down; False where it is live already."""
    from nfcompile import history
    from nfcompile.cli import change

    if wish.confirm is not None:
        kept = change.records(wish.state_dir, wish.netns)
        if differs or change.on_trial(kept):
            change.make(kept, given, compiled, history.TRIAL, wish.confirm)
            return True
        change.note(kept, given)
        return False
    allowed = change.records_if_allowed(wish.state_dir, wish.netns, wish.quiet)
    if allowed is None and differs:
        change.bring(compiled, wish.netns)
    elif allowed is not None and differs:
        change.make(allowed, given, compiled, history.APPLIED)
    elif allowed is not None:
        change.note(allowed, given)
    return differs


def _as_data(result: Outcome, done: Done) -> dict[str, object]:
    trial = {} if done.seconds is None else {"trial_seconds": done.seconds}
    return trial | {
        "changed": bool(done.changes),
        "applied": done.loaded,
        "diff": done.changes,
        "diagnostics": outcome.as_data(result),
    }


def _summary(done: Done, dry_run: bool) -> str:
    if done.seconds is not None:
        return f"on trial for {done.seconds} s: 'nfcompile confirm' keeps it"
    if done.loaded:
        return "applied"
    if not done.changes:
        return "nothing to change"
    return "not applied (dry run)" if dry_run else "not applied"
