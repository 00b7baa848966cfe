"""The input of the checks: the site and the allocations of its pools, computed once."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.model.site import Site


class CheckInput(NamedTuple):
    """One site and, in packet order, the allocations of its enabled pools."""

    site: Site
    allocations: tuple[PoolAllocation, ...]
