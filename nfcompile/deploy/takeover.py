"""A node of a pair becomes the one that forwards, or stops to be: its gate is opened and closed.

Both hold the lock of the namespace, so they never meet each other or an `apply`. keepalived says when: it
puts the virtual addresses on before it runs a script, so these addresses are the role. It is looked at again
when all is rebuilt, right before the gate opens, and once more after it: a node that lost its role meanwhile
closes again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from nfcompile.kernel import NOT_LOADED, KernelError, elements, ends, netns, network, nft
from nfcompile.kernel.filling import fill
from nfcompile.kernel.lock import exclusive
from nfcompile.live import gate
from nfcompile.live.rebuilding import CopiedBlock, rebuilt
from nfcompile.model.pair import Pair
from nfcompile.pipeline import Compiled

LOCK_SECONDS = 60.0


class Takeover(NamedTuple):
    """What `takeover` did. `opened` is false where the gate was open already, and nothing was rebuilt."""

    opened: bool
    flows: int = 0
    assignments: int = 0
    copied: int = 0
    mappings: int = 0
    clashes: int = 0
    seconds: float = 0.0


class NotMaster(KernelError):
    """The node does not have the virtual addresses of its pair."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"this node is not the master of its pair: {missing}")


def take_over(compiled: Compiled, netns_name: str | None, copy: Iterable[CopiedBlock] = ()) -> Takeover:
    """Rebuild what the ruleset remembers from the connections that are there, and open the gate, as one
    transaction. Raises NotMaster, and KernelError where the table is not that of the site."""
    pair = pair_of(compiled)
    return netns.inside(netns_name, lambda: _take_over(compiled, pair, tuple(copy)))


def stand_by(compiled: Compiled, netns_name: str | None) -> bool:
    """Close the gate; whether it was open. Without a table there is none."""
    pair_of(compiled)
    return netns.inside(netns_name, lambda: _stand_by(compiled))


def pair_of(compiled: Compiled) -> Pair:
    """The pair of a site's node. Raises KernelError where there is none."""
    if compiled.site.pair is None:
        raise KernelError("the site that is live is not that of a node in a pair")
    return compiled.site.pair


def is_open(compiled: Compiled, netns_name: str | None) -> bool:
    """Whether the gate lets packets of every interface pass."""
    return netns.inside(netns_name, lambda: _is_open(compiled))


def missing_address(pair: Pair, netns_name: str | None) -> str:
    """Which virtual address the node lacks; '' for none: it is the master."""
    return netns.inside(netns_name, lambda: _missing(pair))


def _take_over(compiled: Compiled, pair: Pair, copy: tuple[CopiedBlock, ...]) -> Takeover:
    begun = time.monotonic()
    with exclusive(LOCK_SECONDS):
        if not nft.has_table():
            raise KernelError(NOT_LOADED)
        _refuse_backup(pair)
        if _is_open(compiled):
            return Takeover(False)
        found = rebuilt(compiled, ends.ends(), copy)
        _refuse_backup(pair)
        fill([*found.contents, gate.opened(compiled)])
        try:
            _refuse_backup(pair)
        except NotMaster:
            fill([gate.closed()])
            raise
    seconds = round(time.monotonic() - begun, 3)
    return Takeover(True, *found[1:], seconds)


def _stand_by(compiled: Compiled) -> bool:
    with exclusive(LOCK_SECONDS):
        if not nft.has_table():
            return False
        was_open = bool(_gate_elements())
        fill([gate.closed()])
        return was_open


def _is_open(compiled: Compiled) -> bool:
    return set(gate.interfaces(compiled)) <= _gate_elements()


def _gate_elements() -> set[str]:
    return {key.strip('"') for held in elements.listed([gate.KEY]).values() for key in held}


def _refuse_backup(pair: Pair) -> None:
    if missing := _missing(pair):
        raise NotMaster(missing)


def _missing(pair: Pair) -> str:
    with network.opened() as asking:
        numbers = {name: link.number for name, link in network.links(asking).items()}
        there = {(one.interface, one.address) for one in network.addresses(asking)}
    for one in pair.virtual:
        if (numbers.get(one.interface, 0), one.address) not in there:
            return f"{one.text} is not on {one.interface}"
    return ""
