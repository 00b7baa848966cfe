"""`nfcompile standby`: this node forwards no new connection until `takeover`."""

from __future__ import annotations

import json

from nfcompile.cli.exit_status import OK
from nfcompile.cli.membership import membership
from nfcompile.cli.options import Options
from nfcompile.deploy import takeover


def run(options: Options) -> int:
    """Close the gate. Connections that are known go on."""
    was_open = takeover.stand_by(membership(options).compiled, options.netns)
    if options.is_json:
        print(json.dumps({"closed": was_open}))
    elif not options.quiet:
        print("the gate is closed" if was_open else "the gate was closed already")
    return OK
