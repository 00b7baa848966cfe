"""Text of one value -> the value: addresses, prefixes, ranges, ports, marks.

Raises `Fault` with the stretch of the text that is wrong. Knows neither YAML nor pools.
"""

from nfcompile.model.ranges import PORT_LAST, Range, range_text
from nfcompile.model.rules import Mark

OCTETS = {str(number): number for number in range(256)}
"""Without leading zeros: some programs read 010 as 8."""


class Fault(Exception):
    """A wrong value: `start` and `end` are a half-open stretch of its text."""

    def __init__(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.hint = hint


def address(text: str, at: int = 0) -> int:
    """Read a dotted quad. `at` is where `text` stands in its scalar, for the position of a fault."""
    try:
        one, two, three, four = text.split(".")
        return OCTETS[one] << 24 | OCTETS[two] << 16 | OCTETS[three] << 8 | OCTETS[four]
    except (KeyError, ValueError):
        raise _no_address(text, at) from None


def _no_address(text: str, at: int) -> Fault:
    parts = text.split(".")
    if len(parts) == 4 and all(len(one) < 4 and (one.lstrip("0") or one[:1]) in OCTETS for one in parts):
        hint = "write each number without leading zeros"
        return _fault("bad-address", f"'{text}' has leading zeros", text, at, hint)
    message = f"'{text}' is not an IPv4 address"
    if ":" in text:
        message += " (IPv6 is translated by npt pools only)"
    return _fault("bad-address", message, text, at)


def prefix(text: str, at: int = 0) -> Range:
    """Read 'A/LEN'; host bits must be zero."""
    base, _, length = text.partition("/")
    first = address(base, at)
    if not (length.isascii() and length.isdigit()) or len(length) > 2 or int(length) > 32:
        start = at + len(base) + 1
        message = f"'{length}' is not a prefix length from 0 to 32"
        raise Fault("bad-address", message, start, start + max(len(length), 1))
    size = 1 << (32 - int(length))
    if first & (size - 1):
        network = Range(first & ~(size - 1), first | (size - 1))
        hint = f"the prefix that holds it is {range_text(network)}"
        raise _fault("host-bits", f"'{text}' has host bits set", text, at, hint)
    return Range(first, first + size - 1)


def interface_address(text: str) -> tuple[int, int]:
    """Read 'A/LENGTH', an address on an interface; host bits are what it is about.

    >>> interface_address("0.0.1.2/30")
    (258, 30)
    """
    base, slash, length = text.partition("/")
    value = address(base)
    if not slash:
        raise _fault("bad-address", f"'{text}' has no prefix length", text, 0, f"write {text}/LENGTH")
    if not (length.isascii() and length.isdigit()) or len(length) > 2 or not 1 <= int(length) <= 32:
        start = len(base) + 1
        message = f"'{length}' is not a prefix length from 1 to 32"
        raise Fault("bad-address", message, start, start + max(len(length), 1))
    return value, int(length)


def addresses(text: str, at: int = 0) -> Range:
    """Read an address, a prefix or a range 'A-B'."""
    if "/" in text:
        return prefix(text, at)
    left, dash, right = text.partition("-")
    if not dash:
        value = address(text, at)
        return Range(value, value)
    first_text, last_text = left.rstrip(), right.lstrip()
    first = address(first_text, at)
    last = address(last_text, at + len(text) - len(last_text))
    if first > last:
        hint = f"write {last_text}-{first_text}"
        raise _fault("reversed-range", f"range '{text}' ends before it starts", text, at, hint)
    return Range(first, last)


def port(text: str, at: int = 0) -> int:
    """Read a port, 1 to 65535."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > PORT_LAST:
        raise _fault("bad-port", f"'{text}' is not a port from 1 to {PORT_LAST}", text, at)
    if int(text) == 0:
        raise _fault("bad-port", "port 0 cannot be used", text, at, "ports go from 1 to 65535")
    return int(text)


def ports(text: str, at: int = 0) -> Range:
    """Read a port or a range of ports, 'A-B' or, as EcoNAT and iptables spell it, 'A:B'."""
    for mark in "-:":
        left, dash, right = text.partition(mark)
        if dash:
            first_text, last_text = left.rstrip(), right.lstrip()
            first = port(first_text, at)
            last = port(last_text, at + len(text) - len(last_text))
            if first > last:
                message = f"port range '{text}' ends before it starts"
                hint = f"write {last_text}{mark}{first_text}"
                raise _fault("reversed-range", message, text, at, hint)
            return Range(first, last)
    value = port(text, at)
    return Range(value, value)


def port_list(text: str, at: int = 0) -> tuple[Range, ...]:
    """Read '443,8000-8080'."""
    found = []
    for part in text.split(","):
        found.append(ports(part, at))
        at += len(part) + 1
    return tuple(found)


def vlan_id(text: str, at: int = 0) -> int:
    """Read a VLAN id, 0 to 4094 (the seed's range)."""
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) > 4094:
        raise _fault("bad-vlan", f"'{text}' is not a VLAN id from 0 to 4094", text, at)
    return int(text)


def mark(text: str) -> Mark:
    """Read 'VALUE' or 'VALUE/MASK', decimal or 0x hex, 32 bits, not 0."""
    value_text, slash, mask_text = text.partition("/")
    value = _mark_number(value_text, 0)
    mask = _mark_number(mask_text, len(value_text) + 1) if slash else 0xFFFFFFFF
    if value & ~mask:
        message = f"mark '{value_text}' has bits outside its mask '{mask_text}'"
        raise _fault("bad-mark", message, text, 0)
    return Mark(value, mask)


def _mark_number(text: str, at: int) -> int:
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        value = 0
    if not 0 < value <= 0xFFFFFFFF or not text.isalnum():
        message = f"'{text}' is not a mark from 1 to 4294967295"
        raise _fault("bad-mark", message, text, at)
    return value


def _fault(code: str, message: str, text: str, at: int, hint: str = "") -> Fault:
    return Fault(code, message, at, at + max(len(text), 1), hint)
