"""`nfcompile apply`: show what would change in the kernel, ask, and load it as one transaction."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from nfcompile.cli import outcome
from nfcompile.cli.guard import DIFFERS, OK, REFUSED
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import SiteError


class Wish(NamedTuple):
    """How the operator wants it done."""

    netns: str | None = None
    dry_run: bool = False
    exit_code: bool = False
    yes: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


def run(site: str, wish: Wish) -> int:
    """Compile SITE and bring it into the kernel; what is live already is not loaded again."""
    from nfcompile.kernel import apply

    result = outcome.compiled(site)
    if result.compiled is None:
        return _tell(result, [], False, wish)
    text = result.compiled.text
    changes: list[str] = []
    try:
        changes = apply.changes(text.text, text.origin, wish.netns)
        if not wish.quiet and wish.format == "text":
            sys.stdout.writelines(f"{line}\n" for line in changes)
            sys.stdout.flush()
        load = bool(changes) and not wish.dry_run and _agreed(site, wish)
        if load:
            apply.load(text.text, text.origin, wish.netns)
    except SiteError as error:
        return _tell(result.refused(error.diagnostics), changes, False, wish)
    return _tell(result, changes, load, wish)


def _agreed(site: str, wish: Wish) -> bool:
    """Ask, when there is somebody to ask."""
    if wish.yes or site == "-" or not sys.stdin.isatty():
        return True
    print("load this into the kernel? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(result: Outcome, changes: list[str], loaded: bool, wish: Wish) -> int:
    if wish.format == "json":
        answer = {
            "changed": bool(changes),
            "applied": loaded,
            "diff": changes,
            "diagnostics": outcome.as_data(result),
        }
        print(json.dumps(answer, indent=2))
    else:
        outcome.tell(result, wish.quiet, wish.color)
        if result.compiled is not None and not wish.quiet:
            print(_summary(changes, loaded, wish.dry_run))
    if result.compiled is None:
        return REFUSED
    if wish.dry_run:
        return DIFFERS if changes and wish.exit_code else OK
    return OK if loaded or not changes else REFUSED


def _summary(changes: list[str], loaded: bool, dry_run: bool) -> str:
    if not changes:
        return "nothing to change"
    if loaded:
        return "applied"
    return "not applied (dry run)" if dry_run else "not applied"
