"""End the sessions that a new table leaves without their translation: all of them in one pass, no others.

Knows no pools: a StatePolicy says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nfcompile.kernel import conntrack
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.routes import leaving
from nfcompile.kernel.state_policy import Listed, StatePolicy
from nfcompile.model.ranges import Range, address_text


def flush(policy: StatePolicy, previous_globals: Sequence[Range], listed: Listed) -> int:
    """End them in the namespace of the calling process, and return how many."""
    return conntrack.delete(list(losing(policy, previous_globals, listed)))


def losing(policy: StatePolicy, previous_globals: Sequence[Range], listed: Listed) -> Iterator[Flow]:
    """The sessions without their translation, in the namespace of the calling process."""
    lost, bare = policy.orphaned_flows(previous_globals, listed), policy.untranslated_flows()
    untranslated: list[Flow] = []
    for flow in conntrack.flows():
        if lost(flow):
            yield flow
        elif bare(flow):
            untranslated.append(flow)
    if untranslated:
        near = leaving({address_text(flow.src) for flow in untranslated}, policy.inside)
        far = leaving({address_text(flow.reply_src) for flow in untranslated}, policy.outside)
        for flow in untranslated:
            if address_text(flow.src) in near and address_text(flow.reply_src) in far:
                yield flow
