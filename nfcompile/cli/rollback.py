"""`nfcompile rollback`: go back to a site of the history, compiled from the text that is kept there."""

from __future__ import annotations

import json
import sys

from nfcompile.cli import site
from nfcompile.cli.comparison import diff_text
from nfcompile.cli.exit_status import OK, REFUSED
from nfcompile.cli.options import Options
from nfcompile.cli.prompt import confirmed
from nfcompile.deploy import rollback
from nfcompile.deploy.recorded_site import RejectedSite
from nfcompile.diagnostics import SiteError
from nfcompile.records import store
from nfcompile.records.history import Event
from nfcompile.report import visible


def run(options: Options) -> int:
    """Go back to the last different site that was live to stay, or the one before it, and so on."""
    state = store.state_dir(options.state_dir, options.netns)
    number = int(options.words[0]) if options.words else 1
    try:
        plan = rollback.plan(state, number)
    except RejectedSite as problem:
        site.refuse(problem.compilation, options, str(problem))
    if plan.site is None:
        event = (
            rollback.roll_back(state, plan) if confirmed(lambda: "remove the table?", options.yes) else None
        )
        return _tell(event, [], options)
    name = plan.site.name
    try:
        lines = rollback.diff(state, plan.site)
        if not options.is_json and not options.quiet:
            sys.stdout.writelines(f"{line}\n" for line in diff_text(lines, options.color))
            sys.stdout.flush()
        if not confirmed(lambda: f"go back to {visible(name)}?", options.yes):
            return _tell(None, lines, options)
        event = rollback.roll_back(state, plan)
    except SiteError as error:
        site.refuse(plan.site.compilation.refused(error.diagnostics), options)
    return _tell(event, lines, options)


def _tell(event: Event | None, lines: list[str], options: Options) -> int:
    if options.is_json:
        print(json.dumps({"event": event and event._asdict(), "diff": lines}, indent=2))
    elif not options.quiet:
        live = "no table" if event and event.site is None else event and visible(event.file or "")
        print(f"rolled back to {live}" if event else "not rolled back")
    return OK if event else REFUSED
