"""What one pool adds to the table."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.emit import Rule
from nfcompile.emit.objects import Object


class Part(NamedTuple):
    """Sets, maps and chains of a pool, and its rules in the shared chains.

    translate   rules of the pool's translate chain, which end in a drop
    inbound     rules of the destination NAT chain, for packets to global addresses
    """

    objects: tuple[Object, ...]
    translate: tuple[Rule, ...]
    inbound: tuple[Rule, ...] = ()
