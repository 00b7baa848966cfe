"""Pools of type npt: pairs of IPv6 prefixes (RFC 6296), read from text and as values."""

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import Range

LENGTH_LAST = 128


class Prefix6(NamedTuple):
    """An IPv6 prefix: its first address, and how many of its bits are fixed."""

    base: int
    length: int

    @property
    def range(self) -> Range:
        """All its addresses, as integers of 128 bits."""
        return Range(self.base, self.base + (1 << (LENGTH_LAST - self.length)) - 1)


class PrefixPair(NamedTuple):
    """One line of `global_map`: a prefix inside, and one of the same length outside."""

    path: Path
    local: Prefix6
    globals: Prefix6


class NptPool(NamedTuple):
    """One npt pool. `stateless`: every packet is rewritten without connection tracking."""

    path: Path
    name: str
    enable: bool
    priority: int
    pairs: tuple[PrefixPair, ...]
    stateless: bool
    hairpin: bool


def prefix6(text: str) -> Prefix6:
    """Read 'A/LEN'; host bits must be zero. Raises Fault.

    >>> prefix6("2001:db8:1::/48").length
    48
    """
    import ipaddress

    base, slash, length = text.partition("/")
    try:
        address = int(ipaddress.IPv6Address(base))
    except ValueError:
        message = f"'{base}' is not an IPv6 address"
        raise Fault("bad-address", message, 0, max(len(base), 1)) from None
    start, end = len(base) + 1, max(len(text), len(base) + 1)
    if not slash:
        raise Fault("bad-address", f"'{text}' has no prefix length", 0, len(text), f"write {text}/64")
    if not (length.isascii() and length.isdigit()) or len(length) > 3 or not 1 <= int(length) <= LENGTH_LAST:
        message = f"'{length}' is not a prefix length from 1 to {LENGTH_LAST}"
        raise Fault("bad-address", message, start, max(end, start + 1))
    free = LENGTH_LAST - int(length)
    network = address >> free << free
    if network != address:
        hint = f"the prefix that holds it is {ipaddress.IPv6Address(network)}/{length}"
        raise Fault("host-bits", f"'{text}' has host bits set", 0, len(text), hint)
    return Prefix6(address, int(length))


def addresses6(text: str) -> Range:
    """Read an address, a prefix or a range 'A-B' of IPv6. Raises Fault.

    >>> addresses6("::1-::3"), addresses6("::8/125")
    (Range(first=1, last=3), Range(first=8, last=15))
    """
    if "/" in text:
        return prefix6(text).range
    left, dash, right = text.partition("-")
    first = prefix6(f"{left.strip()}/{LENGTH_LAST}").base
    last = prefix6(f"{right.strip()}/{LENGTH_LAST}").base if dash else first
    if first > last:
        message = f"range '{text}' ends before it starts"
        raise Fault("reversed-range", message, 0, len(text), f"write {right.strip()}-{left.strip()}")
    return Range(first, last)


def prefix6_text(prefix: Prefix6) -> str:
    """Spell a prefix.

    >>> prefix6_text(prefix6("2001:0db8:0001::/48"))
    '2001:db8:1::/48'
    """
    import ipaddress

    return f"{ipaddress.IPv6Address(prefix.base)}/{prefix.length}"
