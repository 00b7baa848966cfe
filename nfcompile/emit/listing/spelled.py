"""Values in nft's own spelling, as `nft list` and `nft get element` print them."""

from __future__ import annotations

from collections.abc import Sequence

from nfcompile.emit.expressions import Key, Value, every_bit, symbols
from nfcompile.model.ranges import ADDRESS_LAST, Range


def read_key(text: str, types: Sequence[str]) -> Key:
    """Read a key, or data, of these types as nft lists it. Raises ValueError.

    >>> read_key("203.0.113.0/31 . 1024-2047", ("ipv4_addr", "inet_service"))
    (Range(first=3405803776, last=3405803777), Range(first=1024, last=2047))
    """
    parts = text.split(" . ")
    if len(parts) != len(types):
        raise ValueError(f"'{text}' is not of the type '{' . '.join(types)}'")
    return tuple(read_value(part.strip(), datatype) for part, datatype in zip(parts, types, strict=True))


def read_value(text: str, datatype: str) -> Value:
    """Read one value of a type. Raises ValueError."""
    if text.startswith('"'):
        return text[1:-1]
    named = symbols(datatype)
    if text in named:
        return Range(named[text], named[text])
    network, slash, bits = text.partition("/")
    if slash:
        return prefix(read_number(network), int(bits), datatype)
    start, _, end = text.partition("-")
    return Range(read_number(start), read_number(end or start))


def prefix(first: int, bits: int, datatype: str) -> Range:
    """The range that begins with `first` and shares its `bits` highest bits."""
    return Range(first, first + (every_bit(datatype) >> bits))


def read_ipv6(text: str) -> int:
    """Read an IPv6 address. Raises ValueError.

    >>> hex(read_ipv6("fd00:1::"))
    '0xfd000001000000000000000000000000'
    """
    import ipaddress

    return int(ipaddress.IPv6Address(text))


def read_number(text: str) -> int:
    """Read an address, or a decimal or hexadecimal number. Raises ValueError."""
    if "." not in text:
        return int(text, 0)
    parts = [int(part) for part in text.split(".")]
    if len(parts) != 4 or any(not 0 <= part <= 255 for part in parts):
        raise ValueError(f"'{text}' is not an address")
    number = int.from_bytes(bytes(parts), "big")
    assert number <= ADDRESS_LAST
    return number
