"""The elements of our sets and maps, as the kernel has them; for one alone see `one_element`.

For the namespace of the calling process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nfcompile.kernel import batch, nft
from nfcompile.kernel.objects import parse_objects

_ELEMENT = re.compile(r"([\w.]+)(?: (?:timeout|expires) \w+)* : ([^,}]+?)(?:,|\s*\})")


def every(name: str) -> Iterator[tuple[str, str]]:
    """Key and data of every element. Lists the whole map."""
    return elements(nft.ask(f"list map {nft.TABLE} {name}"))


def elements(listing: str) -> Iterator[tuple[str, str]]:
    r"""The elements of one map in nft's words.

    >>> list(elements("elements = { 1.1.1.1 expires 59m57s : 0x02000016, 1.1.1.2 : 9.9.9.9 . 1024-1031 }"))
    [('1.1.1.1', '0x02000016'), ('1.1.1.2', '9.9.9.9 . 1024-1031')]
    """
    _, _, text = listing.partition("elements = {")
    return ((key, data) for key, data in _ELEMENT.findall(text))


def listed(keys: Iterable[str]) -> dict[str, batch.Elements]:
    """The elements of sets and maps by their keys ('map m'), without lifetimes and counts."""
    return {
        key: {batch.key_of(one): one.partition(" : ")[2] for one in spelled(listing)}
        for key, listing in nft.contents(keys).items()
    }


def spelled(listing: str) -> tuple[str, ...]:
    """The elements of one listed set or map, each as it is written."""
    return next((thing.elements for thing in parse_objects(listing).values()), ())
