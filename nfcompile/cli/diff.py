"""`nfcompile diff`: what it takes to get to SITE, from the kernel's table, another site or a git revision."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile import differences, moves
from nfcompile.claims import Claim
from nfcompile.cli import files, outcome
from nfcompile.cli.guard import DIFFERS, OK, REFUSED, UsageProblem
from nfcompile.cli.moved import NOBODY, forgotten_data, moves_data, moves_text
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import Path, SiteError, dotted
from nfcompile.differences import Changed
from nfcompile.moves import Forgotten, Moves
from nfcompile.pipeline import Compiled

KERNEL = "kernel"
SIGNS = {"added": "+", "changed": "~", "removed": "-"}
COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
PLAIN = "\x1b[0m"


class Wish(NamedTuple):
    """How the operator wants it. `live` is the text of the site that the kernel has, where that is known."""

    netns: str | None = None
    git: str | None = None
    live: bytes | None = None
    exit_code: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


class Found(NamedTuple):
    """What differs. `moves` is None where nobody can say: the live table comes from an unknown site."""

    against: str
    lines: list[str]
    objects: Changed
    paths: dict[str, Path]
    moves: Moves | None
    forgotten: tuple[Forgotten, ...]

    @property
    def differs(self) -> bool:
        return bool(self.lines or any(self.moves or ()))


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
            sys.stdout.writelines(f"{line}\n" for line in _text(found, wish.color))
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
        return _against_kernel(new, wish)
    old = outcome.compiled(other) if other is not None else _at_revision(site, wish.git or "")
    if old.compiled is None:
        outcome.tell(old, wish.quiet, wish.color)
        return None
    return _against_site(old.document.name, old.compiled, name, new)


def _at_revision(site: str, revision: str) -> Outcome:
    from nfcompile.revision import RevisionError, content

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
        moves.moves(old.claims, new.claims),
        tuple(moves.forgotten(old.claims, new.claims)),
    )


def _against_kernel(new: Compiled, wish: Wish) -> Found:
    from nfcompile.kernel import apply

    found = apply.survey(new.text.text, new.text.origin, wish.netns)
    paths = differences.origins(new.table)
    old = _live_claims(wish.live, set(found.objects.added) >= set(paths)) if found.diff else new.claims
    return Found(
        KERNEL,
        found.diff,
        Changed(*found.objects),
        paths,
        None if old is None else moves.moves(old, new.claims),
        () if old is None else tuple(moves.forgotten(old, new.claims)),
    )


def _live_claims(live: bytes | None, nothing_live: bool) -> tuple[Claim, ...] | None:
    """The pools whose ruleset the kernel has; None where nobody knows."""
    if nothing_live:
        return ()
    site = None if live is None else outcome.compiled_text(live, KERNEL).compiled
    return None if site is None else site.claims


def _as_data(wanted: Outcome, found: Found | None) -> dict[str, object]:
    """The JSON form; docs/diff.md says what its fields mean."""
    objects = found.objects if found else Changed()
    return {
        "changed": found is not None and found.differs,
        "against": found.against if found else None,
        "objects": {
            word: [_object(key, found.paths.get(key, ())) for key in keys] if found else []
            for word, keys in objects._asdict().items()
        },
        "moves_known": found is not None and found.moves is not None,
        **moves_data((found and found.moves) or NOBODY),
        "dynamic": [forgotten_data(one) for one in found.forgotten] if found else [],
        "diff": found.lines if found else [],
        "diagnostics": outcome.as_data(wanted),
    }


def _object(key: str, path: Path) -> dict[str, str | None]:
    kind, _, name = key.rpartition(" ")
    return {"kind": kind, "name": name, "path": dotted(path) or None}


def _text(found: Found, color: bool) -> Iterator[str]:
    if not found.differs:
        yield "nothing differs"
        return
    coloured = color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()
    for line in found.lines:
        yield f"{COLORS[line[0]]}{line}{PLAIN}" if coloured and line[0] in COLORS else line
    yield ""
    counts = ", ".join(f"{len(keys)} {word}" for word, keys in found.objects._asdict().items())
    yield f"objects: {counts}"
    for word, keys in found.objects._asdict().items():
        for key in keys:
            path = dotted(found.paths.get(key, ()))
            yield f"  {SIGNS[word]} {key}{f'  ({path})' if path else ''}"
    if found.moves is None:
        yield "subscribers: who moves is not known, since the site of the live table is not"
    else:
        yield from moves_text(found.moves)
    for one in found.forgotten:
        yield f"dynamic pool {one.pool}: {_forgotten(one)}"


def _forgotten(one: Forgotten) -> str:
    from nfcompile.model.ranges import range_text

    if not one.kept:
        return f"{one.why}; its assignments end"
    return f"{one.why}; assignments of {', '.join(map(range_text, one.kept))} stay"
