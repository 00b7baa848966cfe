"""A site as an operator gave it."""

from __future__ import annotations

from typing import NamedTuple


class SiteFile(NamedTuple):
    """A site as it was given: its bytes, the name of its file, and the node of its fleet that is meant."""

    data: bytes
    file: str
    node: str = ""
