"""`nfcompile ha`: whether a pair would survive a failover now, and what its nodes tell each other."""

from __future__ import annotations

import json
import signal
from typing import Any

from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.membership import membership
from nfcompile.cli.options import Options
from nfcompile.deploy import pair
from nfcompile.records import store

ACTIONS = ("status", "serve", "copy")


def run(options: Options) -> int:
    """status: report, and exit 1 unless the pair is ready; serve: answer the peer until a signal comes; copy:
    keep the peer's assignments of dynamic pools, for `takeover`."""
    action = options.words[0]
    if action not in ACTIONS:
        raise UsageProblem(f"write 'ha {'|'.join(ACTIONS)}', not 'ha {action}'")
    return {"status": _status, "serve": _serve, "copy": _copy}[action](options)


def _status(options: Options) -> int:
    found = pair.report(membership(options))
    if options.is_json:
        print(json.dumps(as_data(found), indent=2))
    else:
        for one in (found.own, found.peer):
            if one is not None:
                sessions = "conntrackd is dead" if one.sessions is None else f"{one.sessions} connections"
                print(f"{one.node}: {one.role}, gate {one.gate}, {sessions}, site {one.site[:12]}")
        print("ready" if not found.problems else "not ready: " + "; ".join(found.problems))
    return REFUSED if found.problems else OK


def as_data(found: pair.PairReport) -> dict[str, object]:
    """The JSON form; docs/ha.md explains its fields."""
    own, peer = found.own, found.peer
    return {
        "node": own.node,
        "role": own.role,
        "gate": own.gate,
        "sessions": own.sessions,
        "site": own.site,
        "peer": None if peer is None else peer.node,
        "peer_role": None if peer is None else peer.role,
        "peer_gate": None if peer is None else peer.gate,
        "peer_sessions": None if peer is None else peer.sessions,
        "peer_site": None if peer is None else peer.site,
        "ready": not found.problems,
        "problems": [*found.problems],
    }


def _serve(options: Options) -> int:
    """Each answer is about the site that is live then."""
    from nfcompile.host import peer

    own, other = membership(options).addresses
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with peer.listen(own, options.netns) as server:
        while True:
            peer.serve_one(server, other, lambda question: _answer(question, options))


def _answer(question: str, options: Options) -> dict[str, Any]:
    """Open ports are asked for every few seconds: they are read without compiling a site."""
    from nfcompile.pcp import peer_ports

    if question == peer_ports.QUESTION:
        return peer_ports.told(options.netns)
    return pair.answer(membership(options), question)


def _copy(options: Options) -> int:
    state = store.state_dir(options.state_dir, options.netns)
    count = pair.copy_blocks(membership(options), state.path)
    if options.is_json:
        print(json.dumps({"blocks": count}))
    elif not options.quiet:
        print("nothing to copy: the peer is not master" if count is None else f"copied {count} blocks")
    return OK
