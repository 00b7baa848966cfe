"""End the sessions that a new table leaves without their translation: all of them in one pass, no others.

Knows no pools: a Meaning says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nfcompile.kernel import conntrack
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.routes import leaving
from nfcompile.kernel.state_policy import Listed, Meaning
from nfcompile.model.ranges import Range, address_text


def flush(meaning: Meaning, former: Sequence[Range], listed: Listed) -> int:
    """Flush in the namespace of the calling process and say how many; `former` are addresses from before."""
    return conntrack.delete(list(losing(meaning, former, listed)))


def losing(meaning: Meaning, former: Sequence[Range], listed: Listed) -> Iterator[Flow]:
    """The sessions without their translation, in the namespace of the calling process."""
    lost, bare = meaning.lost(former, listed), meaning.bare()
    untranslated: list[Flow] = []
    for flow in conntrack.flows():
        if lost(flow):
            yield flow
        elif bare(flow):
            untranslated.append(flow)
    if untranslated:
        near = leaving({address_text(flow.src) for flow in untranslated}, meaning.inside)
        far = leaving({address_text(flow.reply_src) for flow in untranslated}, meaning.outside)
        for flow in untranslated:
            if address_text(flow.src) in near and address_text(flow.reply_src) in far:
                yield flow
