"""`nfcompile host check`, `host apply`, `host revert`: what a site needs of the machine besides a ruleset."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.diagnostics import dotted
from nfcompile.records import store

if TYPE_CHECKING:
    from nfcompile.host.change import Change, HostPlace, Undone
    from nfcompile.host.lines import Finding, HostLine
    from nfcompile.host.plan import HostPlan


OPTIONS = {
    "check": ("netns",),
    "apply": ("netns", "dry_run"),
    "revert": ("netns",),
    "cloud": ("dry_run", "instance", "region", "take"),
}
"""What each action may be asked besides what all may."""


def run(options: Options) -> int:
    """`check`, `apply`, `revert` or `cloud aws`, and the site."""
    action, *rest = options.words or ("",)
    if action == "cloud" and rest[:1] == ["aws"]:
        rest = rest[1:]
    elif action not in OPTIONS or action == "cloud":
        raise UsageProblem("missing action: check, apply, revert or cloud aws")
    if len(rest) > (action != "revert"):
        raise UsageProblem(f"'host {action}' does not take '{rest[-1]}'")
    for option in {"netns", "dry_run", "instance", "region", "take"}.difference(OPTIONS[action]):
        if getattr(options, option):
            raise UsageProblem(f"'host {action}' has no --{option.replace('_', '-')}")
    if (options.instance is None) != (options.region is None):
        raise UsageProblem("--instance and --region go together")
    asked = options._replace(words=tuple(rest[:1]))
    if action == "cloud":
        from nfcompile.cli import cloud

        return cloud.aws(asked)
    return {"check": check, "apply": apply, "revert": revert}[action](asked)


def place(state_dir: str | None, netns: str | None) -> HostPlace:
    """The host or a namespace of it, and where it is remembered what was done there."""
    from nfcompile.host.change import HostPlace

    folder = os.path.abspath(store.directory(state_dir or store.DEFAULT, netns))
    return HostPlace(folder, netns, store.identity(netns))


def check(options: Options) -> int:
    """Compare what SITE needs with what there is; REFUSED unless all of it is there."""
    plan, diagnostics = _plan(options)
    if plan is None:
        return _say_json(options, REFUSED, host=[], diagnostics=diagnostics)
    from nfcompile.host.judging import judged

    lines = [finding.line for finding in judged(plan, options.netns)]
    faults = [line for line in lines if line.state != "ok"]
    status = REFUSED if faults else OK
    if options.format == "json":
        return _say_json(options, status, host=_as_data(lines), diagnostics=diagnostics)
    _tell(faults if options.quiet else lines)
    if not options.quiet:
        print(
            f"{len(faults)} of {len(lines)} are not as the site needs them" if faults else "all is as needed"
        )
    return status


def apply(options: Options) -> int:
    """Bring about what SITE needs, and remember it; REFUSED where something stays undone."""
    plan, diagnostics = _plan(options)
    if plan is None:
        return _say_json(options, REFUSED, done=[], undone=[], left=[], host=[], diagnostics=diagnostics)
    from nfcompile.host import change, judging

    here = place(options.state_dir, options.netns)
    if options.dry_run:
        made = change.foreseen(plan, here)
    else:
        with store.locked(here.folder):
            made = change.bring(plan, here)
    findings = judging.judged(plan, options.netns)
    status = OK if options.dry_run or not any(finding.steps for finding in findings) else REFUSED
    if options.format == "json":
        lines = [finding.line for finding in findings]
        return _say_json(options, status, **_change_data(made), host=_as_data(lines), diagnostics=diagnostics)
    _tell_change(made, findings, options)
    return status


def revert(options: Options) -> int:
    """Undo all that `host apply` has done."""
    from nfcompile.host import change

    here = place(options.state_dir, options.netns)
    with store.locked(here.folder):
        undone = change.revert(here)
    failures = [one.failure for one in undone if one.failure]
    status = REFUSED if failures else OK
    if options.format == "json":
        done = [one.step.command for one in undone if not one.failure and not one.left]
        left = [one.left for one in undone if one.left]
        return _say_json(options, status, undone=done, left=left, failed=failures)
    _tell_revert(undone, options)
    return status


def _plan(options: Options) -> tuple[HostPlan | None, list[Any]]:
    """The plan of SITE, None where it is refused, and the diagnostics for JSON; in text they are told."""
    compilation = cli_site.compiled(options.site, options)
    if not options.is_json:
        cli_site.tell(compilation, options)
    if compilation.compiled is None:
        return None, cli_site.as_data(compilation)
    from nfcompile.host.planning import plan

    return plan(compilation.compiled), cli_site.as_data(compilation)


def _say_json(options: Options, status: int, **answer: Any) -> int:
    if options.format == "json":
        print(json.dumps(answer, indent=2))
    return status


def _as_data(lines: Iterable[HostLine]) -> list[dict[str, str]]:
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


def _tell(lines: Iterable[HostLine]) -> None:
    for line in lines:
        should = "" if line.state == "ok" else f", should be: {line.should}"
        print(f"{line.state:8} {line.what}: {line.is_}{should}")
        if line.mend:
            print(f"{'':8} {line.mend}")


def _tell_change(made: Change, findings: Iterable[Finding], options: Options) -> None:
    """What was done, and what remains for others to do."""
    if options.quiet:
        return
    for step in made.undone:
        print(f"undo: {step.command}")
    for step in made.made:
        print(step.command)
    for note in made.left:
        print(f"note: {note}")
    rest = [one.line for one in findings if one.line.state != "ok" and not (options.dry_run and one.steps)]
    if rest:
        print("not done by 'host apply':")
        _tell(rest)
    if options.dry_run:
        print("not applied (dry run)" if made.made or made.undone else "nothing to change")
    else:
        print("applied" if made.made or made.undone else "nothing to change")


def _tell_revert(undone: Iterable[Undone], options: Options) -> None:
    told = tuple(undone)
    for one in told:
        if one.failure:
            print(f"failed: {one.failure}")
        elif not options.quiet:
            print(f"note: {one.left}" if one.left else f"undone: {one.step.command}")
    if not told and not options.quiet:
        print("nothing to undo")
