"""Take elements that packets wrote out of our table: what the caller chooses, as one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nfcompile.kernel import NOT_LOADED, KernelError, batch, netns, nft
from nfcompile.kernel.elements import listed
from nfcompile.kernel.lock import exclusive
from nfcompile.kernel.state_policy import Listed


def purge(keys: Sequence[str], choose: Callable[[Listed], Listed], namespace: str | None = None) -> Listed:
    """List sets and maps by their keys ('map m'), and take out the elements that `choose` names of them.

    Returns what was taken out. Raises KernelError where no table is loaded or the kernel refuses.
    """
    return netns.inside(namespace, lambda: _purge(keys, choose))


def _purge(keys: Sequence[str], choose: Callable[[Listed], Listed]) -> Listed:
    with exclusive():
        if not nft.has_table():
            raise KernelError(NOT_LOADED)
        chosen = {key: elements for key, elements in choose(listed(keys)).items() if elements}
        lines = [
            line.text
            for key, elements in chosen.items()
            for line in batch.without(nft.TABLE, key.partition(" ")[2], elements)
        ]
        if lines and (refusals := nft.load("\n".join(lines) + "\n")):
            raise KernelError(f"the kernel refused to take elements out: {refusals[0].message}")
        return chosen
