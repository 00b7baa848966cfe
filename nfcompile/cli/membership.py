"""The live site of a pair's node, as `takeover`, `standby` and `ha` need it: from the history, not a file."""

from __future__ import annotations

from nfcompile.cli.options import Options
from nfcompile.deploy import live_site, takeover
from nfcompile.deploy.pair import Membership
from nfcompile.kernel import KernelError
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import compile_text
from nfcompile.records import store


def membership(options: Options) -> Membership:
    """The site that is live, compiled. Raises KernelError where the history has none, or it is of no pair."""
    store.state_dir(options.state_dir, options.netns)
    live = live_site.read(options.state_dir, options.netns)
    if live is None:
        raise KernelError("the history does not say which site is live; apply it first")
    name = options.node or live.node
    compiled = compile_text(live.data, live.file, NodeChoice(name, bool(name))).compiled
    if compiled is None:
        raise KernelError(f"this version of nfcompile rejects '{live.file}', which is live")
    takeover.pair_of(compiled)
    return Membership(live, compiled, options.netns, options.conntrackd)
