"""`nfcompile host check`, `host apply`, `host revert`: what a site needs of the machine besides a ruleset."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.diagnostics import dotted
from nfcompile.kernel import KernelError
from nfcompile.records import store

if TYPE_CHECKING:
    from nfcompile.host.change import Change, Place, Undone
    from nfcompile.host.lines import Finding, Line
    from nfcompile.host.plan import HostPlan


class Wish(NamedTuple):
    """How the operator wants it done; `instance` and `region` are for clouds, None is this machine."""

    netns: str | None = None
    dry_run: bool = False
    state_dir: str | None = None
    format: str = "text"
    quiet: bool = False
    color: bool = True
    instance: str | None = None
    region: str | None = None


SITE = "site.yaml"
OPTIONS = {
    "check": ("netns",),
    "apply": ("netns", "dry_run"),
    "revert": ("netns",),
    "cloud": ("dry_run", "instance", "region"),
}
"""What each action may be asked besides what all may."""


def run(words: Sequence[str], wish: Wish) -> int:
    """`check`, `apply`, `revert` or `cloud aws`, and the site."""
    action, *rest = words or [""]
    if action == "cloud" and rest[:1] == ["aws"]:
        rest = rest[1:]
    elif action not in OPTIONS or action == "cloud":
        raise UsageProblem("host what? check, apply, revert or cloud aws")
    if len(rest) > (action != "revert"):
        raise UsageProblem(f"'host {action}' does not take '{rest[-1]}'")
    for option in {"netns", "dry_run", "instance", "region"}.difference(OPTIONS[action]):
        if getattr(wish, option):
            raise UsageProblem(f"'host {action}' has no --{option.replace('_', '-')}")
    site = rest[0] if rest else SITE
    if action == "cloud":
        from nfcompile.cli import cloud

        return cloud.aws(site, wish)
    return (
        revert(wish) if action == "revert" else check(site, wish) if action == "check" else apply(site, wish)
    )


def check(site: str, wish: Wish) -> int:
    """Compare what SITE needs with what there is; REFUSED unless all of it is there."""
    return _always_json(wish, lambda: _check(site, wish))


def apply(site: str, wish: Wish) -> int:
    """Bring about what SITE needs, and remember it; REFUSED where something stays undone."""
    return _always_json(wish, lambda: _apply(site, wish))


def revert(wish: Wish) -> int:
    """Undo all that `host apply` has done."""
    return _always_json(wish, lambda: _revert(wish))


def place(state_dir: str | None, netns: str | None) -> Place:
    """The host or a namespace of it, and where it is remembered what was done there."""
    from nfcompile.host.change import Place

    folder = os.path.abspath(store.directory(state_dir or store.DEFAULT, netns))
    return Place(folder, netns, store.identity(netns))


def _check(site: str, wish: Wish) -> int:
    plan, diagnostics = _plan(site, wish)
    if plan is None:
        return _say_json(wish, REFUSED, host=[], diagnostics=diagnostics)
    from nfcompile.host.judging import judged

    lines = [finding.line for finding in judged(plan, wish.netns)]
    faults = [line for line in lines if line.state != "ok"]
    status = REFUSED if faults else OK
    if wish.format == "json":
        return _say_json(wish, status, host=_as_data(lines), diagnostics=diagnostics)
    _tell(faults if wish.quiet else lines)
    if not wish.quiet:
        print(
            f"{len(faults)} of {len(lines)} are not as the site needs them" if faults else "all is as needed"
        )
    return status


def _apply(site: str, wish: Wish) -> int:
    plan, diagnostics = _plan(site, wish)
    if plan is None:
        return _say_json(wish, REFUSED, done=[], undone=[], left=[], host=[], diagnostics=diagnostics)
    from nfcompile.host import change, judging

    here = place(wish.state_dir, wish.netns)
    if wish.dry_run:
        made = change.foreseen(plan, here)
    else:
        with store.locked(here.folder):
            made = change.bring(plan, here)
    findings = judging.judged(plan, wish.netns)
    status = OK if wish.dry_run or not any(finding.steps for finding in findings) else REFUSED
    if wish.format == "json":
        lines = [finding.line for finding in findings]
        return _say_json(wish, status, **_change_data(made), host=_as_data(lines), diagnostics=diagnostics)
    _tell_change(made, findings, wish)
    return status


def _revert(wish: Wish) -> int:
    from nfcompile.host import change

    here = place(wish.state_dir, wish.netns)
    with store.locked(here.folder):
        undone = change.revert(here)
    failures = [one.failure for one in undone if one.failure]
    status = REFUSED if failures else OK
    if wish.format == "json":
        done = [one.step.command for one in undone if not one.failure and not one.left]
        left = [one.left for one in undone if one.left]
        return _say_json(wish, status, undone=done, left=left, failed=failures)
    _tell_revert(undone, wish)
    return status


def _plan(site: str, wish: Wish) -> tuple[HostPlan | None, list[Any]]:
    """The plan of SITE, None where it is refused, and the diagnostics for JSON; in text they are told."""
    result = outcome.compiled(site)
    if wish.format == "text":
        outcome.tell(result, wish.quiet, wish.color)
    if result.compiled is None:
        return None, outcome.as_data(result)
    from nfcompile.host.planning import plan

    return plan(result.compiled), outcome.as_data(result)


def _always_json(wish: Wish, verb: Callable[[], int]) -> int:
    """Do it; with `--format json` stdout is a JSON document also where it fails."""
    try:
        return verb()
    except (KernelError, UsageProblem) as problem:
        if wish.format == "json":
            print(json.dumps({"host": [], "diagnostics": [], "error": str(problem)}, indent=2))
        raise


def _say_json(wish: Wish, status: int, **answer: Any) -> int:
    if wish.format == "json":
        print(json.dumps(answer, indent=2))
    return status


def _as_data(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [
        {
            "code": line.code,
            "state": line.state,
            "what": line.what,
            "is": line.is_,
            "should": line.should,
            "mend": line.mend,
            "path": dotted(line.path),
        }
        for line in lines
    ]


def _change_data(made: Change) -> dict[str, list[str]]:
    return {
        "done": [step.command for step in made.made],
        "undone": [step.command for step in made.undone],
        "left": [*made.left],
    }


def _tell(lines: Iterable[Line]) -> None:
    for line in lines:
        should = "" if line.state == "ok" else f", should be: {line.should}"
        print(f"{line.state:8} {line.what}: {line.is_}{should}")
        if line.mend:
            print(f"{'':8} {line.mend}")


def _tell_change(made: Change, findings: Iterable[Finding], wish: Wish) -> None:
    """What was done, and what remains for others to do."""
    if wish.quiet:
        return
    for step in made.undone:
        print(f"undo: {step.command}")
    for step in made.made:
        print(step.command)
    for note in made.left:
        print(f"note: {note}")
    rest = [one.line for one in findings if one.line.state != "ok" and not (wish.dry_run and one.steps)]
    if rest:
        print("not done by 'host apply':")
        _tell(rest)
    if wish.dry_run:
        print("not applied (dry run)" if made.made or made.undone else "nothing to change")
    else:
        print("applied" if made.made or made.undone else "nothing to change")


def _tell_revert(undone: Iterable[Undone], wish: Wish) -> None:
    told = tuple(undone)
    for one in told:
        if one.failure:
            print(f"failed: {one.failure}")
        elif not wish.quiet:
            print(f"note: {one.left}" if one.left else f"undone: {one.step.command}")
    if not told and not wish.quiet:
        print("nothing to undo")
