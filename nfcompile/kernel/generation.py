"""The generation of the ruleset: a number that the kernel counts up with every change that a program makes.

What packets write does not count. While it is the same, nobody has changed a table of the namespace.
"""

from __future__ import annotations

from nfcompile.kernel import netlink

_GET_GENERATION = (10 << 8) | 16
_GENERATION = 1


def read(namespace: str | None = None) -> int | None:
    """The present generation; None where the kernel does not say."""
    with netlink.opened(namespace) as link:
        try:
            found = netlink.ask(link, _GET_GENERATION).get(_GENERATION)
        except OSError:
            return None
    return None if found is None else int.from_bytes(found, "big")


def after(before: int | None, changes: int) -> int | None:
    """The present generation, if nobody but us has changed anything since `before`, and we so many times."""
    now = read()
    return now if before is not None and now == before + changes else None
