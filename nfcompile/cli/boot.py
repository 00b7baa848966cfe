"""`nfcompile boot`: load the last confirmed site, before the network is up; and the unit that does so."""

from __future__ import annotations

import json
import os
import sys

from nfcompile.cli import site, state
from nfcompile.cli.exit_status import OK, note
from nfcompile.cli.options import Options
from nfcompile.deploy import boot
from nfcompile.deploy.host_warnings import host_warnings
from nfcompile.deploy.recorded_site import RecordedSite, RejectedSite
from nfcompile.diagnostics import SiteError
from nfcompile.records import store
from nfcompile.records.store import StateDir
from nfcompile.report import visible

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


def run(options: Options) -> int:
    """Load it; a site that was on trial is not loaded, and no history is no error."""
    if options.unit:
        return _unit(options.state_dir)
    records = store.state_dir(options.state_dir, options.netns)
    state.examine(options)
    try:
        recorded = boot.site_to_boot(records)
    except RejectedSite as problem:
        site.refuse(problem.compilation, options, str(problem))
    if recorded is None:
        if options.is_json:
            nothing = {"loaded": False, "event": None, "unrecorded": None}
            print(json.dumps({**nothing, "diagnostics": []}, indent=2))
        elif not options.quiet:
            print(f"no site to load in '{visible(records.path)}'")
        return OK
    return _boot(records, recorded, options)


def _boot(records: StateDir, recorded: RecordedSite, options: Options) -> int:
    try:
        done = boot.boot(records, recorded)
    except SiteError as error:
        site.refuse(recorded.compilation.refused(error.diagnostics), options)
    warned = recorded.compilation._replace(
        diagnostics=host_warnings(recorded.compiled, options.netns, booting=True)
    )
    if done.unrecorded:
        note(f"the boot is not in the history: {done.unrecorded}")
    if options.is_json:
        data = {"loaded": True, "event": done.event._asdict(), "unrecorded": done.unrecorded or None}
        print(json.dumps(data | {"diagnostics": site.as_data(warned)}, indent=2))
        return OK
    site.tell(warned, options)
    if not options.quiet:
        print(f"loaded {visible(recorded.name)}")
    return OK


def _unit(state_dir: str | None) -> int:
    """Write a systemd unit for this installation to stdout."""
    command = os.path.abspath(sys.argv[0])
    sys.stdout.write(UNIT.format(command=command, state=os.path.abspath(state_dir or store.DEFAULT)))
    return OK
