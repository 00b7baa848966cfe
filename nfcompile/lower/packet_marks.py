"""Packet marks: the only register that a ruleset can compute with, and each value that we put there.

They live for one packet, the first of a connection, and tell a later rule what an earlier one found. No
value here depends on how many pools there are before another one, except those of sockets; what the kernel
keeps in maps are numbers, so a pool that comes or goes changes nothing that others hold.
"""

from __future__ import annotations

from nfcompile.allocation.numbering import FIRST_NUMBER
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit.statements import META_MARK, match
from nfcompile.lower.context import Context
from nfcompile.model.ranges import Range

SOCKETS = 0x1000000
SOCKETS_EACH = 4
KNOWN = 1
FRESH = {"tcp": 2, "udp": 3}
"""States of a socket in a pool with mapping entries: four marks for each pool."""

NUMBERS = FIRST_NUMBER
NUMBERS_LAST = 0x2FFFFFF
ANY_NUMBER = match(META_MARK, Range(NUMBERS, NUMBERS_LAST))
"""Numbers of blocks (dynamic pools) and ports (`randomize_ports: off`), counted in each pool from here."""

TURNS = 0x4000000
"""Whose turn it is to be handed out, before it is made a number."""

FOUND = 0x40000000
"""Set beside a number that a walk along an address has taken."""


def socket_marks(context: Context, allocation: PoolAllocation) -> int:
    """The base of a pool's socket marks."""
    return SOCKETS + SOCKETS_EACH * context.allocations.index(allocation)
