"""`nfcompile diff`: what it takes to get to SITE, from the kernel's table, another site or a git revision."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from nfcompile.allocation import moves
from nfcompile.cli import files, outcome
from nfcompile.cli.found import Found, against_kernel, as_data, as_text
from nfcompile.cli.guard import DIFFERS, OK, REFUSED, UsageProblem
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import SiteError
from nfcompile.emit import differences
from nfcompile.pipeline import Compiled


class Wish(NamedTuple):
    """How the operator wants it."""

    netns: str | None = None
    git: str | None = None
    state_dir: str | None = None
    exit_code: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


def run(site: str, other: str | None, wish: Wish) -> int:
    """Compare and tell; exit status 3 where that was asked for and something differs."""
    _refuse_nonsense(site, other, wish)
    wanted = outcome.compiled(site)
    found = None
    if wanted.compiled is not None:
        try:
            found = _found(site, other, wanted.document.name, wanted.compiled, wish)
        except SiteError as error:
            wanted = wanted.refused(error.diagnostics)
    if wish.format == "json":
        print(json.dumps(_as_data(wanted, found), indent=2))
    else:
        outcome.tell(wanted, wish.quiet, wish.color)
        if found is not None and not wish.quiet:
            lines = as_text(found, wish.color) if found.differs else ["nothing differs"]
            sys.stdout.writelines(f"{line}\n" for line in lines)
    if found is None:
        return REFUSED
    return DIFFERS if wish.exit_code and found.differs else OK


def _refuse_nonsense(site: str, other: str | None, wish: Wish) -> None:
    if other is not None and wish.git is not None:
        raise UsageProblem("compare with OTHER or with --git, not with both")
    if wish.netns is not None and (other is not None or wish.git is not None):
        raise UsageProblem("--netns is for comparing with the kernel, not with another site")
    if site == files.STDIN and (other == files.STDIN or wish.git is not None):
        raise UsageProblem("SITE must be a file here, not standard input")


def _found(site: str, other: str | None, name: str, new: Compiled, wish: Wish) -> Found | None:
    """The difference; None, and told why, where the other site is none."""
    if other is None and wish.git is None:
        return against_kernel(new, _live(wish), wish.netns)
    old = outcome.compiled(other) if other is not None else _at_revision(site, wish.git or "")
    if old.compiled is None:
        outcome.tell(old, wish.quiet, wish.color)
        return None
    return _against_site(old.document.name, old.compiled, name, new)


def _live(wish: Wish) -> bytes | None:
    """The site that is live, as the history knows it."""
    from nfcompile.cli import change

    return change.live(wish.state_dir, wish.netns)


def _at_revision(site: str, revision: str) -> Outcome:
    from nfcompile.source.revision import RevisionError, content

    try:
        data = content(site, revision)
    except RevisionError as error:
        raise UsageProblem(str(error)) from None
    return outcome.compiled_text(data, files.shown(f"{revision}:{site}"))


def _against_site(old_name: str, old: Compiled, new_name: str, new: Compiled) -> Found:
    before, after = (one.text.text.splitlines() for one in (old, new))
    return Found(
        old_name,
        differences.unified(before, after, old_name, new_name),
        differences.compare(differences.objects(old.table), differences.objects(new.table)),
        differences.origins(old.table) | differences.origins(new.table),
        moves.moves(old.allocations, new.allocations),
        tuple(moves.forgotten(old.allocations, new.allocations)),
    )


def _as_data(wanted: Outcome, found: Found | None) -> dict[str, object]:
    """The JSON form; docs/diff.md says what its fields mean."""
    return {
        "changed": found is not None and found.differs,
        "against": found.against if found else None,
        **as_data(found),
        "diagnostics": outcome.as_data(wanted),
    }
