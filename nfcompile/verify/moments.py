"""Which packet of a connection a box is of: the first one, a later one, an answer, an ICMP error about it.

Only the first one meets nat chains. Of all others connection tracking knows the connection, and translates
them as it has translated the first; the other chains see them with what `ct state`, `ct direction` and
`ct status` say of them then (nf_nat_core.c, nf_conntrack_core.c).
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.emit.expressions import symbol
from nfcompile.verify.boxes import Packet

FIRST = "first"
AGAIN = "again"
"""From the end that has opened the connection; the other one has answered nothing yet."""
LATER = "later"
"""The same, after an answer."""
ANSWER = "answer"
ERROR = "error"
"""An ICMP error that goes the way of the first packet: from the side of the end that has opened."""
ERROR_BACK = "error back"
"""One that goes the way of the answers."""
INVALID = "invalid"
"""Connection tracking finds no connection for the packet, and makes none."""
UNTRACKED = "untracked"

BACK = frozenset({ANSWER, ERROR_BACK})
"""What goes in the reply direction."""
ERRORS = frozenset({ERROR, ERROR_BACK})
UNKNOWN = frozenset({INVALID, UNTRACKED})
"""Packets without a connection: rules that ask for one do not match."""
OF_A_CONNECTION = (AGAIN, LATER, ANSWER, ERROR, ERROR_BACK)
STATES = {
    FIRST: "new",
    AGAIN: "new",
    LATER: "established",
    ANSWER: "established",
    ERROR: "related",
    ERROR_BACK: "related",
    INVALID: "invalid",
    UNTRACKED: "untracked",
}
"""What `ct state` is."""
SEEN_REPLY = symbol("ct_status", "seen-reply")
ANSWERED = frozenset({LATER, ANSWER})


class Later(NamedTuple):
    """A packet of a connection that is known, or that has none: as it comes, as connection tracking sends it
    on, and the answers to the first packet, as they come."""

    moment: str
    came: Packet
    sent: Packet
    answer: Packet
