"""Words of foreign configurations -> sets of addresses, ports, protocols.

More is accepted than in a site: host bits are masked away, masks may be dotted, ports may have names.
"""

from __future__ import annotations

import re

from nfcompile.importers.form import PROTOCOLS, Ranges
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Range, subtract, union

QUAD = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})", re.ASCII)
NUMBER = re.compile(r"\d{1,5}", re.ASCII)

SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "dns": 53, "tftp": 69, "http": 80,
    "www": 80, "kerberos": 88, "pop3": 110, "ntp": 123, "imap": 143, "imap2": 143, "snmp": 161,
    "bgp": 179, "ldap": 389,
    "https": 443, "isakmp": 500, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995, "openvpn": 1194,
    "mysql": 3306, "rdp": 3389, "sip": 5060, "postgresql": 5432, "http-alt": 8080,
}  # fmt: skip
"""Names of ports that configurations use; /etc/services of this machine says nothing of the other one."""

PROTOCOL_NUMBERS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": 6, "egp": 8, "udp": 17, "rdp": 27, "dccp": 33,
    "rsvp": 46, "gre": 47, "esp": 50, "ipsec-esp": 50, "ah": 51, "ipsec-ah": 51, "ospf": 89, "pim": 103,
    "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136, "udp-lite": 136,
}  # fmt: skip
ANY_WORDS = ("all", "any", "ip", "0", "")


class Unreadable(Exception):
    """A word that is no value of its kind; `code` is that of the account."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def address(text: str) -> int:
    """A dotted quad."""
    if QUAD.fullmatch(text):
        a, b, c, d = map(int, text.split("."))
        if max(a, b, c, d) < 256:
            return a << 24 | b << 16 | c << 8 | d
    raise _no_address(text)


def _no_address(text: str) -> Unreadable:
    if ":" in text:
        return Unreadable("ipv6", f"'{text}' is not an IPv4 address")
    if re.fullmatch(r"[\d./-]+", text, re.ASCII) or not text:
        return Unreadable("bad-address", f"'{text}' is not an address")
    return Unreadable("host-name", f"'{text}' is a name; the site needs its address")


def addresses(text: str) -> Range:
    """'A', 'A/LEN', 'A/MASK' or 'A-B'; host bits are masked away, as Linux does."""
    base, slash, length = text.partition("/")
    if not slash:
        left, dash, right = text.partition("-")
        if not dash or not QUAD.fullmatch(left.strip()):
            value = address(text)
            return Range(value, value)
        first, last = address(left.strip()), address(right.strip())
        if first > last:
            raise Unreadable("bad-address", f"'{text}' ends before it starts")
        return Range(first, last)
    first = 0 if base == "0" else address(base)
    size = 1 << (32 - _prefix_length(length, text))
    first &= ~(size - 1)
    return Range(first, first + size - 1)


def _prefix_length(text: str, whole: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 32:
        return int(text)
    if QUAD.fullmatch(text):
        host = ~address(text) & ADDRESS_LAST
        if host & (host + 1) == 0:
            return 32 - host.bit_length()
        raise Unreadable("bad-address", f"'{text}' is not a contiguous mask")
    raise Unreadable("bad-address", f"'{whole}' is not a prefix")


def address_set(text: str) -> Ranges:
    """A list of addresses with commas between, as a set."""
    return union(addresses(part.strip()) for part in text.split(","))


def port(text: str, last: int = PORT_LAST) -> int:
    """A port by number or name."""
    if NUMBER.fullmatch(text) and int(text) <= last:
        return int(text)
    if text.lower() in SERVICES:
        return SERVICES[text.lower()]
    raise Unreadable("bad-port", f"'{text}' is not a port")


def ports(text: str) -> Range:
    """'P', 'P-Q' or 'P:Q' (with an end left open: from 0, up to 65535)."""
    if text.lower() in SERVICES:
        return Range(SERVICES[text.lower()], SERVICES[text.lower()])
    for mark in ":-":
        left, found, right = text.partition(mark)
        if found:
            first, last = port(left.strip() or "0"), port(right.strip() or str(PORT_LAST))
            if first > last:
                raise Unreadable("bad-port", f"'{text}' ends before it starts")
            return Range(first, last)
    value = port(text)
    return Range(value, value)


def port_set(text: str) -> Ranges:
    """A list of ports with commas between, as a set."""
    return union(ports(part.strip()) for part in text.split(","))


def protocol_set(text: str) -> Ranges:
    """A protocol by name or number; 'tcp_udp' is both."""
    word = text.lower()
    if word in ANY_WORDS:
        return PROTOCOLS
    if word == "tcp_udp":
        return (Range(6, 6), Range(17, 17))
    number = PROTOCOL_NUMBERS.get(word)
    if number is None and NUMBER.fullmatch(word) and int(word) < 256:
        number = int(word)
    if number is None:
        raise Unreadable("no-protocol", f"'{text}' is not a protocol")
    return (Range(number, number),)


def all_but(whole: Ranges, without: Ranges) -> Ranges:
    """The rest of a set."""
    return union(subtract(whole, without))
