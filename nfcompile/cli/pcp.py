"""`nfcompile pcp`: the daemon that opens ports for subscribers who ask by PCP or NAT-PMP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nfcompile.cli import site, state
from nfcompile.cli.exit_status import OK, to_stderr
from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from nfcompile.pcp.peer_ports import Ask

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
        settings = PcpSettings(options.state_dir, options.netns, _peer(options))
        daemon = PcpDaemon(settings, begins, say)
        say(f"answering on {', '.join(daemon.interfaces) or 'no interface'}; {daemon.count} ports are open")
        daemon.run(asked.descriptor, asked.ends, asked.reopens)
    return OK


def _peer(options: Options) -> Ask:
    """How the other node of the pair is asked for its open ports: by the site that is live then."""
    from nfcompile.cli.membership import membership
    from nfcompile.host import peer
    from nfcompile.kernel import KernelError
    from nfcompile.pcp.peer_ports import QUESTION

    known: list[tuple[int, int]] = []

    def ask() -> dict[str, Any] | None:
        try:
            if not known:
                known.append(membership(options).addresses)
        except KernelError:
            return None  # no site is live yet, or not that of a pair
        found = peer.ask(*known[0], QUESTION, options.netns)
        if found is None:
            known.clear()  # another site may be live, with other addresses
        return found

    return ask


def _silent(text: str) -> None:
    """Say nothing."""
