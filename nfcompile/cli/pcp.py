"""`nfcompile pcp`: the daemon that opens ports for subscribers who ask by PCP or NAT-PMP."""

from __future__ import annotations

import os

from nfcompile.cli import site, state
from nfcompile.cli.exit_status import OK, to_stderr
from nfcompile.cli.options import Options

FOLDER = "pcp"


def run(options: Options) -> int:
    """Answer until SIGINT or SIGTERM."""
    from nfcompile.live.follow import ScrapedSite
    from nfcompile.log.process import alone, signals
    from nfcompile.pcp.daemon import PcpDaemon, PcpSettings
    from nfcompile.records import store

    compilation, compiled = site.compiled_or_refused(options)
    state.examine(options)
    begins = ScrapedSite(compiled, "", compilation.document.name, site.choice(options))
    say = _silent if options.quiet else to_stderr
    folder = os.path.join(store.directory(options.state_dir or store.DEFAULT, options.netns), FOLDER)
    with alone(folder, "pcp"), signals() as asked:
        daemon = PcpDaemon(PcpSettings(options.state_dir, options.netns), begins, say)
        say(f"answering on {', '.join(daemon.interfaces) or 'no interface'}; {daemon.count} ports are open")
        daemon.run(asked.descriptor, asked.ends, asked.reopens)
    return OK


def _silent(text: str) -> None:
    """Say nothing."""
