"""Tokens: what connections whose mapping entries or blocks are renewed carry in their mark."""

from __future__ import annotations

from nfcompile.emit.statements import META_PROTOCOL, lookup
from nfcompile.lower import names

FIRST_TOKEN, TOKENS = 0x1000000, 0x1000000
TOKEN_BYTE = 0xFF000000
UNANSWERED = FIRST_TOKEN + TOKENS - 1
"""The mark of connections of a subscriber on trial; where there are trials it is drawn for no token."""
NOW = lookup(META_PROTOCOL, names.NOW)
"""The token of this moment. The map has one element; every packet of the table has the same protocol."""
