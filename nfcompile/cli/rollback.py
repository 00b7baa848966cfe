"""`nfcompile rollback`: go back to a site of the history, compiled from the text that is kept there."""

from __future__ import annotations

import json
import sys

from nfcompile.cli import site, state
from nfcompile.cli.comparison import diff_text
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, note
from nfcompile.cli.options import Options
from nfcompile.cli.prompt import confirmed
from nfcompile.deploy import rollback, trial
from nfcompile.deploy.change import on_trial
from nfcompile.deploy.recorded_site import RejectedSite
from nfcompile.deploy.rollback import RollbackPlan
from nfcompile.diagnostics import SiteError
from nfcompile.records import store
from nfcompile.records.history import Event
from nfcompile.records.store import StateDir
from nfcompile.report import visible


def run(options: Options) -> int:
    """Go back to the last different site that was live to stay, or the one before it, and so on."""
    records = store.state_dir(options.state_dir, options.netns)
    state.examine(options, finish=False)
    number = int(options.words[0]) if options.words else 1
    if options.trial:
        if number != 1:
            raise UsageProblem("--trial ends a trial; it does not go with a number of sites")
        return _end_trial(records, options)
    try:
        plan = rollback.plan(records, number)
    except RejectedSite as problem:
        site.refuse(problem.compilation, options, str(problem))
    return _roll_back(records, plan, options)


def _roll_back(records: StateDir, plan: RollbackPlan, options: Options) -> int:
    lines: list[str] = []
    name = "no table" if plan.site is None else visible(plan.site.name)
    try:
        if plan.site is not None:
            lines = rollback.diff(records, plan.site)
            _show(lines, options)
        if not confirmed(lambda: f"go back to {name}?", options.yes):
            return _tell(None, lines, options)
        event, remark = rollback.roll_back(records, plan)
    except SiteError as error:
        assert plan.site is not None
        site.refuse(plan.site.compilation.refused(error.diagnostics), options)
    if remark:
        note(remark)
    return _tell(event, lines, options)


def _end_trial(records: StateDir, options: Options) -> int:
    """Go back to what was live before a trial; without a trial nothing is done, and that is no failure."""
    found = on_trial(records)
    question = "" if found is None else f"end the trial of {visible(found.file or '')}?"
    if found is not None and not confirmed(lambda: question, options.yes):
        return _tell(None, [], options)
    event = None if found is None else trial.end(records)
    if event is not None:
        return _tell(event, [], options)
    if options.is_json:
        print(json.dumps({"event": None, "diff": []}, indent=2))
    elif not options.quiet:
        print("no site is on trial; nothing to do")
    return OK


def _show(lines: list[str], options: Options) -> None:
    if not options.is_json and not options.quiet:
        sys.stdout.writelines(f"{line}\n" for line in diff_text(lines, options.color))
        sys.stdout.flush()


def _tell(event: Event | None, lines: list[str], options: Options) -> int:
    if options.is_json:
        print(json.dumps({"event": event and event._asdict(), "diff": lines}, indent=2))
    elif not options.quiet:
        live = "no table" if event and event.site is None else event and visible(event.file or "")
        print(f"rolled back to {live}" if event else "not rolled back")
    return OK if event else REFUSED
