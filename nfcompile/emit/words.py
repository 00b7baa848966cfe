"""Numbers and checked names -> the words of nft. The only place where values become ruleset text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nfcompile.model.ranges import Range, address_text, port_text, range_text

PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 132: "sctp"}
"""Protocols that nft names itself; the others are written as numbers."""


def interface_set(names: Sequence[str]) -> str:
    """'"lan0"' or '{ "lan0", "lan1" }'."""
    return one_of([f'"{name}"' for name in names])


def one_of(words: Sequence[str]) -> str:
    """A single word, or an anonymous set of several."""
    return words[0] if len(words) == 1 else "{ " + ", ".join(words) + " }"


def addresses(ranges: Iterable[Range]) -> str:
    """An address match: '10.0.0.0/8' or '{ 10.0.0.1, 10.1.0.0/16 }'."""
    return one_of([range_text(one) for one in ranges])


def ports(ranges: Iterable[Range]) -> str:
    """A port match: '443' or '{ 443, 8000-8080 }'."""
    return one_of([port_text(one) for one in ranges])


def protocol(number: int) -> str:
    """A protocol as nft lists it."""
    return PROTOCOL_NAMES.get(number, str(number))


def interval_datum(one: Range) -> str:
    """An address as interval data: a single one must be written /32 there (the kernel refuses it bare)."""
    text = range_text(one)
    return f"{text}/32" if one.first == one.last else text


def prefix_datum(base: int, bits: int) -> str:
    """A CIDR prefix of 2^bits addresses, for NETMAP."""
    return f"{address_text(base)}/{32 - bits}"
