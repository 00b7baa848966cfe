"""`nfcompile apply`: show what would change in the kernel, ask, and load it as one transaction."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import files, outcome
from nfcompile.cli.consent import agreed
from nfcompile.cli.guard import DIFFERS, OK, REFUSED, say
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import Diagnostic, SiteError

if TYPE_CHECKING:
    from nfcompile.cli.change import Given
    from nfcompile.cli.found import Found
    from nfcompile.kernel.apply import Result
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
    max_moves: int | None = None


class Done(NamedTuple):
    """What came of it. `found` is what differed, `result` what was done, each None where it did not come
    to that. `refused` is why `--max-moves` stopped it."""

    found: Found | None = None
    result: Result | None = None
    seconds: int | None = None
    refusals: tuple[Diagnostic, ...] = ()
    refused: str = ""
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def differed(self) -> bool:
        return self.found is not None and bool(self.found.lines)


def run(site: str, wish: Wish) -> int:
    """Compile SITE and bring it into the kernel; what is live already is not loaded again."""
    data = files.read(site)
    result = outcome.compiled_text(data, files.shown(site))
    text = wish.format == "text"
    if text:
        outcome.tell(result, wish.quiet, wish.color)
    done = Done() if result.compiled is None else _bring(site, data, result, wish)
    done = done._replace(warnings=_not_the_hosts(result, done, wish))
    if text and (done.refusals or done.warnings):
        outcome.tell(result._replace(diagnostics=done.refusals + done.warnings), wish.quiet, wish.color)
    result = result.refused(done.refusals) if done.refusals else result
    result = result._replace(diagnostics=result.diagnostics + done.warnings)
    if not text:
        print(json.dumps(_as_data(result, done), indent=2))
    if result.compiled is None:
        return REFUSED
    if done.refused:
        return say(done.refused, REFUSED)
    if text and not wish.quiet:
        print(_summary(done, wish.dry_run))
    if wish.dry_run:
        return DIFFERS if done.differed and wish.exit_code else OK
    return OK if done.result is not None or not done.differed else REFUSED


def _bring(site: str, data: bytes, result: Outcome, wish: Wish) -> Done:
    """Show the change, ask, load; or learn what the kernel has against it."""
    from nfcompile.cli import change
    from nfcompile.cli.found import against_kernel, as_text

    assert result.compiled is not None
    found = None
    try:
        seen = change.seen(wish.state_dir, wish.netns)
        found = against_kernel(result.compiled, change.live(wish.state_dir, wish.netns), wish.netns)
        if found.lines and wish.format == "text" and not wish.quiet:
            sys.stdout.writelines(f"{line}\n" for line in as_text(found, wish.color))
            sys.stdout.flush()
        if refused := _too_many_moves(found, wish.max_moves):
            return Done(found, refused=refused)
        unasked = not found.lines or wish.yes or site == files.STDIN
        if wish.dry_run or not agreed(lambda: "load this into the kernel?", unasked):
            return Done(found)
        given = change.Given(data, files.shown(site if site == files.STDIN else os.path.abspath(site)))
        loaded = _load(given, result.compiled, wish, bool(found.lines), seen)
    except SiteError as error:
        return Done(found, refusals=error.diagnostics)
    if loaded is None:
        return Done(found)
    return Done(found, loaded, wish.confirm)


def _not_the_hosts(result: Outcome, done: Done, wish: Wish) -> tuple[Diagnostic, ...]:
    """What the host has not done of its part, where the site is live, or would be. Asked after loading,
    since a ruleset brings modules with it; not asked where it would not be told."""
    live = done.result is not None or not done.differed or wish.dry_run
    if result.compiled is None or done.refusals or not live or (wish.quiet and wish.format == "text"):
        return ()
    from nfcompile.host.planning import plan
    from nfcompile.host.warnings import warnings

    return warnings(plan(result.compiled), wish.netns)


def _too_many_moves(found: Found, most: int | None) -> str:
    """What to say where more subscribers would move than the operator expects, or nobody knows how many."""
    if most is None:
        return ""
    from nfcompile.allocation.moves import moved_count

    if found.moves is None:
        return "who moves is not known, since the site of the live table is not; apply it without --max-moves"
    count = moved_count(found.moves)
    return f"{count} subscribers would move, more than the {most} of --max-moves" if count > most else ""


def _load(given: Given, compiled: Compiled, wish: Wish, differs: bool, seen: int) -> Result | None:
    """Make a site live and write it down; None where it is live already."""
    from nfcompile.cli import change
    from nfcompile.records import history

    if wish.confirm is not None:
        kept = change.records(wish.state_dir, wish.netns)
        if differs or change.on_trial(kept):
            return change.make(kept, given, compiled, history.TRIAL, wish.confirm).result
        change.note(kept, given, seen)
        return None
    allowed = change.records_if_allowed(wish.state_dir, wish.netns, wish.quiet)
    if not differs:
        if allowed is not None:
            change.note(allowed, given, seen)
        return None
    if allowed is None:
        return change.bring(compiled, wish.netns)
    return change.make(allowed, given, compiled, history.APPLIED).result


def _as_data(result: Outcome, done: Done) -> dict[str, object]:
    from nfcompile.cli.found import as_data

    trial = {} if done.seconds is None else {"trial_seconds": done.seconds}
    return trial | {
        "changed": done.differed,
        "applied": done.result is not None,
        **as_data(done.found),
        "refused": done.refused or None,
        "flushed": 0 if done.result is None else done.result.flushed,
        "diagnostics": outcome.as_data(result),
    }


def _summary(done: Done, dry_run: bool) -> str:
    flushed = "" if done.result is None else _flushed(done.result.flushed)
    if done.seconds is not None:
        return f"on trial for {done.seconds} s: 'nfcompile confirm' keeps it{flushed}"
    if done.result is not None:
        return f"applied{flushed}"
    if not done.differed:
        return "nothing to change"
    return "not applied (dry run)" if dry_run else "not applied"


def _flushed(count: int) -> str:
    """What became of sessions, where something did."""
    return f", {count} session{'' if count == 1 else 's'} flushed" if count else ""
