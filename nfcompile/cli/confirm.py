"""`nfcompile confirm`: keep the site that is on trial."""

from __future__ import annotations

import json

from nfcompile.cli import state
from nfcompile.cli.exit_status import OK
from nfcompile.cli.options import Options
from nfcompile.deploy import trial
from nfcompile.records import store
from nfcompile.report import visible


def run(options: Options) -> int:
    """End the trial; the site stays."""
    state.examine(options, finish=False)
    event = trial.confirm(store.state_dir(options.state_dir, options.netns))
    if options.is_json:
        print(json.dumps(event._asdict(), indent=2))
    elif not options.quiet:
        print(f"confirmed {visible(event.file or '')}")
    return OK
