"""`nfcompile apply`: show what would change in the kernel, ask, and load it as one transaction."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from nfcompile.cli import outcome
from nfcompile.cli.guard import DIFFERS, OK, REFUSED
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import Diagnostic, SiteError


class Wish(NamedTuple):
    """How the operator wants it done."""

    netns: str | None = None
    dry_run: bool = False
    exit_code: bool = False
    yes: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


class Done(NamedTuple):
    """What came of it."""

    changes: list[str]
    loaded: bool = False
    refusals: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    objects: tuple[tuple[str, ...], ...] = ((), (), ())
    flushed: int = 0


def run(site: str, wish: Wish) -> int:
    """Compile SITE and bring it into the kernel; what is live already is not loaded again."""
    result = outcome.compiled(site)
    text = wish.format == "text"
    if text:
        outcome.tell(result, wish.quiet, wish.color)
    done = Done([]) if result.compiled is None else _bring(site, result, wish)
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


def _bring(site: str, result: Outcome, wish: Wish) -> Done:
    """Show the change, ask, load; or learn what the kernel has against it."""
    from nfcompile.continuity import Continuity
    from nfcompile.kernel import apply, sysctls

    assert result.compiled is not None
    text = result.compiled.text
    changes: list[str] = []
    try:
        changes, objects = apply.survey(text.text, text.origin, wish.netns)
        if wish.format == "text" and not wish.quiet:
            sys.stdout.writelines(f"{line}\n" for line in changes)
            sys.stdout.flush()
        if not changes or wish.dry_run or not _agreed(site, wish):
            return Done(changes, objects=objects)
        brought = apply.bring(text.text, text.origin, wish.netns, Continuity(result.compiled))
    except SiteError as error:
        return Done(changes, refusals=error.diagnostics)
    warnings = sysctls.differing(result.compiled.sysctls, wish.netns)
    return Done(changes, True, (), warnings, brought.objects, brought.flushed)


def _agreed(site: str, wish: Wish) -> bool:
    """Ask, when there is somebody to ask."""
    if wish.yes or site == "-" or sys.stdin is None or not sys.stdin.isatty():
        return True
    print("load this into the kernel? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _as_data(result: Outcome, done: Done) -> dict[str, object]:
    return {
        "changed": bool(done.changes),
        "applied": done.loaded,
        "diff": done.changes,
        "objects": dict(zip(("added", "changed", "removed"), map(list, done.objects), strict=True)),
        "flushed": done.flushed,
        "diagnostics": outcome.as_data(result),
    }


def _summary(done: Done, dry_run: bool) -> str:
    if not done.changes:
        return "nothing to change"
    if done.loaded:
        return f"applied{_flushed(done.flushed)}"
    return "not applied (dry run)" if dry_run else "not applied"


def _flushed(count: int) -> str:
    """What became of sessions, where something did."""
    return f", {count} session{'' if count == 1 else 's'} flushed" if count else ""
