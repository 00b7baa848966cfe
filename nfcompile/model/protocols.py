"""The protocols that have a name here: their IANA numbers, and what an address translator does with them.

Plain values that any room may use. nft's own spellings are in `emit`.
"""

from typing import NamedTuple

ANY_PROTOCOL = -1
"""Stands for every protocol: `ip` in an ACL, `all` in a dnat or snat rule."""


class Protocol(NamedTuple):
    """One protocol.

    has_ports   a rule may test its source and destination port
    in_block    in a cgnat pool it leaves with a port, or an ICMP id, of the subscriber's block
    tracked_by  conntrack distinguishes its connections by two numbers: ports, or the keys of GRE
    """

    number: int
    name: str
    has_ports: bool = False
    in_block: bool = False
    tracked_by: bool = False


PROTOCOLS = (
    Protocol(1, "icmp", in_block=True),
    Protocol(2, "igmp"),
    Protocol(4, "ipip"),
    Protocol(6, "tcp", has_ports=True, in_block=True, tracked_by=True),
    Protocol(17, "udp", has_ports=True, in_block=True, tracked_by=True),
    Protocol(33, "dccp", tracked_by=True),
    Protocol(47, "gre", tracked_by=True),
    Protocol(50, "esp"),
    Protocol(51, "ah"),
    Protocol(88, "eigrp"),
    Protocol(89, "ospf"),
    Protocol(103, "pim"),
    Protocol(112, "vrrp"),
    Protocol(115, "l2tp"),
    Protocol(132, "sctp", tracked_by=True),
    Protocol(136, "udplite", tracked_by=True),
)

ICMP, TCP, UDP, GRE, ICMPV6 = 1, 6, 17, 47, 58

NUMBERS = {protocol.name: protocol.number for protocol in PROTOCOLS}
NAMES = {protocol.number: protocol.name for protocol in PROTOCOLS}
OF_IPV6 = {"icmpv6": ICMPV6}
"""Of IPv6 alone: sites name protocols of IPv4."""
NUMBERS6 = {word: number for word, number in NUMBERS.items() if number != ICMP} | OF_IPV6
WITH_PORTS = frozenset(protocol.number for protocol in PROTOCOLS if protocol.has_ports)
IN_BLOCK = frozenset(protocol.number for protocol in PROTOCOLS if protocol.in_block)
TRACKED_BY_PORTS = frozenset(protocol.number for protocol in PROTOCOLS if protocol.tracked_by)


def protocol_name(number: int) -> str:
    """Spell a protocol: its name, or its number where it has none.

    >>> protocol_name(6), protocol_name(253)
    ('tcp', '253')
    """
    return "icmpv6" if number == ICMPV6 else NAMES.get(number, str(number))
