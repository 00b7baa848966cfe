"""Packet marks: the only register that a ruleset can compute with, and each value that we put there.

They live for one packet, the first of a connection, and tell a later rule what an earlier one found. No
value here depends on a pool: which pool it was, the global address says. What the kernel keeps in maps are
numbers, so a pool that comes or goes changes nothing that others hold.
"""

from __future__ import annotations

from nfcompile.allocation.numbering import FIRST_NUMBER
from nfcompile.emit.statements import META_MARK, match
from nfcompile.model.ranges import Range

KNOWN = 0x1000001
"""The socket has mapping entries."""

NUMBERS = FIRST_NUMBER
NUMBERS_LAST = 0x2FFFFFF
"""Numbers of blocks (dynamic pools) and ports (`randomize_ports: off`), counted in each pool from here."""

FRESH = NUMBERS_LAST
"""The socket has no mapping entries, and the pool counts no numbers."""
TO_LEARN = match(META_MARK, Range(NUMBERS, NUMBERS_LAST))

FOUND = 0x40000000
"""Set beside a number that a search has taken."""
