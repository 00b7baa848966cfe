"""The input of the checks: the site, the allocations of its pools, and what of the site is not known."""

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path
from nfcompile.model.site import Pool, Site


class UnreadPaths:
    """The paths of values with a fault of their own. The site lacks them, or has a stand-in.

    >>> unread = UnreadPaths([("pools", "a", "acl"), ("gateway",)])
    >>> unread.knows(("pools", "b")), unread.knows(("pools", "a")), unread.knows(("gateway", "primary_ip"))
    (True, False, False)
    """

    __slots__ = ("_above", "paths")

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = frozenset(paths)
        self._above = {path[:length] for path in self.paths for length in range(len(path))}

    def entry(self, path: Path, index: int) -> Path:
        """The path of the entry with that index among those of a list that have been read."""
        if path not in self._above:
            return (*path, index)
        places = (place for place in count() if (*path, place) not in self.paths)
        return (*path, next(islice(places, index, None)))

    def knows(self, path: Path) -> bool:
        """Whether everything at, above and below a path has been read."""
        if path in self._above:
            return False
        return not any(path[:length] in self.paths for length in range(len(path) + 1))


class CheckInput(NamedTuple):
    """One site and, in packet order, the allocations of its enabled pools.

    Before a check judges what depends on other values it asks whether these are known. `has_all_pools`: no
    pool is lost as a whole. `exact` are the names of the pools whose subscribers are exact.
    """

    site: Site
    allocations: tuple[PoolAllocation, ...]
    unread: UnreadPaths
    has_all_pools: bool
    exact: frozenset[str]

    def knows(self, *paths: Path) -> bool:
        """Whether everything at, above and below these paths has been read."""
        return all(self.unread.knows(path) for path in paths)


def check_input(site: Site, allocations: tuple[PoolAllocation, ...], paths: Iterable[Path]) -> CheckInput:
    """The input of all checks; `paths` are those of the values that have not been read."""
    unread = UnreadPaths(paths)
    pools = {*(pool.path for pool in site.pools), *(pool.path for pool in site.npt)}
    has_all_pools = not any(path[:1] in ((), ("pools",)) and path[:2] not in pools for path in unread.paths)
    order = [(*pool.path, key) for pool in site.pools for key in ("priority", "enable")]
    has_order = has_all_pools and all(map(unread.knows, order))
    exact = frozenset(_exact(allocations, unread, has_order))
    return CheckInput(site, allocations, unread, has_all_pools, exact)


def _exact(allocations: tuple[PoolAllocation, ...], unread: UnreadPaths, has_order: bool) -> Iterator[str]:
    """Pools whose conditions are known; without `subscribers` those of the pools before them, too."""
    before = has_order
    for allocation in allocations:
        own = all(map(unread.knows, _conditions(allocation.pool)))
        if own and (before or allocation.pool.subscribers is not None):
            yield allocation.pool.name
        before = before and own


def _conditions(pool: Pool) -> Iterator[Path]:
    yield from ((*pool.path, key) for key in ("acl", "subscribers", "global_map"))
    if pool.acl is not None:
        yield pool.acl.path
