"""What the checks look at: the site and the claims of its pools, worked out once."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.pools import Claim
from nfcompile.model.site import Site


class Survey(NamedTuple):
    """One site and, in packet order, what its enabled pools claim."""

    site: Site
    claims: tuple[Claim, ...]
