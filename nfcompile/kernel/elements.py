"""Single elements of our maps, as the kernel has them, without listing the map.

For the namespace of the calling process. nft 1.0.6 answers `get element` in text, whatever is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nfcompile.kernel import KernelError, nft

_ELEMENT = re.compile(r"([\w.]+)(?: (?:timeout|expires) \w+)* : ([^,}]+?)(?:,|\s*\})")


def value(name: str, key: str) -> str | None:
    """The data of one element of a map; None where there is no such element or map."""
    try:
        said = nft.ask(f"get element {nft.TABLE} {name} {{ {key} }}")
    except KernelError as error:
        if "No such file or directory" in str(error):
            return None
        raise
    return next((data for _, data in elements(said)), None)


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
