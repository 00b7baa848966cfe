"""`nfcompile boot`: load the last site that was live to stay, before the network is up; and its unit."""

from __future__ import annotations

import os
import sys

from nfcompile.cli import change, outcome
from nfcompile.cli.change import Given
from nfcompile.cli.guard import OK, REFUSED
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.records import history, store

UNIT = """\
[Unit]
Description=NAT ruleset of the last confirmed nfcompile site
DefaultDependencies=no
RequiresMountsFor={state}
Wants=network-pre.target
After=local-fs.target systemd-modules-load.service systemd-sysctl.service nftables.service
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command} boot --state-dir {state}

[Install]
WantedBy=sysinit.target
"""


def run(netns: str | None, state_dir: str | None, *, quiet: bool = False, color: bool = True) -> int:
    """Load it; a site that was on trial is not loaded, and no history is no error."""
    kept = change.records(state_dir, netns)
    events = store.read(kept.path).events
    change.refuse_during_trial(kept, events)
    last = history.kept(events)
    if last is None or last.site is None:
        if not quiet:
            print(f"no site to load in '{kept.path}'")
        return OK
    given = Given(store.site(kept.path, last.site), last.file or "")
    name = f"{given.file} of {last.at[:19]}Z"
    result = outcome.compiled_text(given.data, name)
    if result.compiled is None:
        outcome.tell(result, quiet, color)
        raise KernelError(f"this nfcompile does not take '{name}', which {last.version} has loaded")
    try:
        change.make(kept, given, result.compiled, history.BOOT)
    except SiteError as error:
        outcome.tell(result.refused(error.diagnostics), quiet, color)
        return REFUSED
    if not quiet:
        print(f"loaded {name}")
    return OK


def unit(state_dir: str | None) -> int:
    """Write a systemd unit for this installation to stdout."""
    command = os.path.abspath(sys.argv[0])
    sys.stdout.write(UNIT.format(command=command, state=os.path.abspath(state_dir or store.DEFAULT)))
    return OK
