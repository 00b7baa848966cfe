"""What a subscriber may ask for, and what it is told, in the words that PCP and NAT-PMP share."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

MOST_BYTES = 1100
"""No PCP message is longer (RFC 6887, section 7)."""
NONCE_BYTES = 12
NO_NONCE = bytes(NONCE_BYTES)
"""That of a mapping that was made by NAT-PMP, which has none."""


class ResultCode(IntEnum):
    """Result codes of PCP (RFC 6887, section 7.4)."""

    SUCCESS = 0
    UNSUPP_VERSION = 1
    NOT_AUTHORIZED = 2
    MALFORMED_REQUEST = 3
    UNSUPP_OPCODE = 4
    UNSUPP_OPTION = 5
    MALFORMED_OPTION = 6
    NETWORK_FAILURE = 7
    NO_RESOURCES = 8
    UNSUPP_PROTOCOL = 9
    USER_EX_QUOTA = 10
    CANNOT_PROVIDE_EXTERNAL = 11
    ADDRESS_MISMATCH = 12
    EXCESSIVE_REMOTE_PEERS = 13


SHORT_ERRORS = {
    ResultCode.NETWORK_FAILURE,
    ResultCode.NO_RESOURCES,
    ResultCode.USER_EX_QUOTA,
    ResultCode.CANNOT_PROVIDE_EXTERNAL,
}
"""Errors that a repeated request may not meet."""
SHORT_SECONDS, LONG_SECONDS = 30, 1800
"""How long a client should wait before it repeats a request (RFC 6887, section 7.4)."""


class AskAnnounce(NamedTuple):
    """PCP's ANNOUNCE: is the server there, and what is its epoch?"""


class AskAddress(NamedTuple):
    """NAT-PMP's question for the global address."""


class AskMap(NamedTuple):
    """Open a port, or with lifetime 0 close it.

    protocol       a number of IANA; 0: all, where a port is closed
    port           the port of the subscriber; 0: all
    lifetime       seconds
    wish_port      the global port that the subscriber would like (0: any)
    wish_address   the global address that it would like (0: any)
    nonce          who made the mapping may change it
    prefer_failure with another port or address the subscriber wants none
    """

    protocol: int
    port: int
    lifetime: int
    wish_port: int = 0
    wish_address: int = 0
    nonce: bytes = NO_NONCE
    prefer_failure: bool = False


Asked = AskAnnounce | AskAddress | AskMap


class Told(NamedTuple):
    """What a subscriber is told: a result, how long it holds (in seconds), and the global socket."""

    result: ResultCode
    lifetime: int = 0
    address: int = 0
    port: int = 0


def refused(result: ResultCode) -> Told:
    """A refusal, with the time for which it holds."""
    return Told(result, SHORT_SECONDS if result in SHORT_ERRORS else LONG_SECONDS)
