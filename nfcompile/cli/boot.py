"""`nfcompile boot`: load the last confirmed site, before the network is up; and the unit that does so."""

from __future__ import annotations

import os
import sys

from nfcompile.cli import site
from nfcompile.cli.exit_status import OK
from nfcompile.cli.options import Options
from nfcompile.deploy import boot
from nfcompile.deploy.recorded_site import RejectedSite
from nfcompile.diagnostics import SiteError
from nfcompile.records import store
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
    state = store.state_dir(options.state_dir, options.netns)
    try:
        recorded = boot.site_to_boot(state)
    except RejectedSite as problem:
        site.refuse(problem.compilation, options, str(problem))
    if recorded is None:
        if not options.quiet:
            print(f"no site to load in '{visible(state.path)}'")
        return OK
    try:
        boot.boot(state, recorded)
    except SiteError as error:
        site.refuse(recorded.compilation.refused(error.diagnostics), options)
    if not options.quiet:
        print(f"loaded {visible(recorded.name)}")
    return OK


def _unit(state_dir: str | None) -> int:
    """Write a systemd unit for this installation to stdout."""
    command = os.path.abspath(sys.argv[0])
    sys.stdout.write(UNIT.format(command=command, state=os.path.abspath(state_dir or store.DEFAULT)))
    return OK
