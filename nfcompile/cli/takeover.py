"""`nfcompile takeover`: this node becomes the one of its pair that forwards new connections."""

from __future__ import annotations

import gc
import json
import sys

from nfcompile.cli.exit_status import OK
from nfcompile.cli.membership import membership
from nfcompile.cli.options import Options
from nfcompile.deploy import takeover
from nfcompile.live.rebuilding import CopiedBlock
from nfcompile.records import peer_copy, store


def run(options: Options) -> int:
    """Rebuild what the ruleset remembers from the connections that are there, and open the gate.

    With `--stdin` the site is compiled while what writes there, conntrackd's commit, is still at work.
    """
    # A hundred thousand connections become values that all stay until the end: looking for cycles among them
    # takes a quarter of the time.
    gc.disable()
    member = membership(options)
    rows = peer_copy.kept(store.state_dir(options.state_dir, options.netns).path)
    if options.stdin and sys.stdin is not None:
        sys.stdin.buffer.read()
    done = takeover.take_over(member.compiled, options.netns, (CopiedBlock(*row) for row in rows))
    if options.is_json:
        print(json.dumps(done._asdict()))
    elif not options.quiet:
        print(_text(done))
    return OK


def _text(done: takeover.Takeover) -> str:
    if not done.opened:
        return "the gate is open already"
    clashes = f", {done.clashes} contradict another" if done.clashes else ""
    return (
        f"the gate is open: {done.assignments} blocks ({done.copied} from the copy) and {done.mappings} "
        f"mapping entries from {done.flows} connections{clashes}, in {done.seconds} s"
    )
