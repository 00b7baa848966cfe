"""nft's expressions as values: fields, masks, concatenations, map look-ups, numgen.

Node types are few: payload, meta, ct and fib differ in the field's name, which is nft's own spelling. FIELDS
gives each its data type (nft(8), DATA TYPES), which decides how its values are written.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import Range

Value = Range | str
"""A range of numbers (one number: first = last), or the name of an interface."""
Key = tuple[Value, ...]
"""The parts of a key or of data, in the order of the concatenation; () where a set has no data."""


class Name(NamedTuple):
    """The name of an nft object: a word, the pool (or rule) that it serves, what distinguishes it there.

    >>> str(Name("eim_tcp", "homes")), str(Name("acl", "homes", "10")), str(Name("pools"))
    ('eim_tcp_homes', 'acl_homes_10', 'pools')
    """

    word: str
    owner: str = ""
    detail: str = ""

    def __str__(self) -> str:
        word, owner, detail = self
        text = f"{word}_{owner}" if owner else word
        return f"{text}_{detail}" if detail else text


class Field(NamedTuple):
    """Something of the packet, its connection or its route, by nft's name ('ip saddr', 'ct mark')."""

    name: str


class Bitwise(NamedTuple):
    """`field & mask ^ xor | bits`; a mask of all ones and zeros elsewhere are not written."""

    field: Field
    mask: int = 0xFFFFFFFF
    bits: int = 0
    xor: int = 0


class Concat(NamedTuple):
    """`a . b . c`."""

    parts: tuple[Field | Bitwise, ...]


class Numgen(NamedTuple):
    """`numgen mode mod modulus offset offset`: a number that the kernel counts (inc) or draws (random)."""

    mode: str
    modulus: int
    offset: int = 0


class Constant(NamedTuple):
    """Numbers, or a range of them from which the kernel chooses (a NAT target)."""

    value: Range


class Verdict(NamedTuple):
    """accept, drop, return; jump and goto with a chain."""

    kind: str
    chain: Name | None = None


class Element(NamedTuple):
    """One element: its key, the data or verdict that it leads to, and the site path that asks for it."""

    key: Key
    data: Key | Verdict = ()
    origin: Path = ()


Elements = tuple[Element, ...]


class Lookup(NamedTuple):
    """`key map @name`, or `key map { ... }` with elements whose data is of the types `data`."""

    key: Field | Bitwise | Concat
    source: Name | Elements
    data: tuple[str, ...] = ()


Expression = Field | Bitwise | Concat | Numgen | Constant | Lookup

FIELDS: dict[str, str] = {
    "iifname": "ifname",
    "oifname": "ifname",
    "ip saddr": "ipv4_addr",
    "ip daddr": "ipv4_addr",
    "ip6 saddr": "ipv6_addr",
    "ip6 daddr": "ipv6_addr",
    "th sport": "inet_service",
    "th dport": "inet_service",
    "tcp sport": "inet_service",
    "tcp dport": "inet_service",
    "udp sport": "inet_service",
    "udp dport": "inet_service",
    "tcp flags": "tcp_flag",
    "meta l4proto": "inet_proto",
    "meta protocol": "ether_type",
    "meta mark": "mark",
    "ct mark": "mark",
    "ct state": "ct_state",
    "ct status": "ct_status",
    "ct direction": "ct_dir",
    "ct event": "ct_event",
    "ct original zone": "zone",
    **{f"ct {way} ip {end}": "ipv4_addr" for way in ("original", "reply") for end in ("saddr", "daddr")},
    **{
        f"ct {way} {end}": "inet_service"
        for way in ("original", "reply")
        for end in ("proto-src", "proto-dst")
    },
    "fib daddr type": "fib_addrtype",
    "fib daddr oifname": "ifname",
    "fib saddr oifname": "ifname",
}
"""Every field that rules use, and the type of its values."""

SYMBOLS: dict[str, dict[int, str]] = {
    "inet_proto": {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 132: "sctp"},
    "ether_type": {0x0800: "ip"},
    "tcp_flag": {1: "fin", 2: "syn", 4: "rst", 16: "ack"},
    "ct_state": {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"},
    "ct_status": {1: "expected", 2: "seen-reply", 16: "snat", 32: "dnat"},
    "ct_dir": {0: "original", 1: "reply"},
    "ct_event": {
        **{1: "new", 2: "related", 4: "destroy", 8: "reply", 16: "assured", 32: "protoinfo"},
        256: "seqadj",
    },
    "fib_addrtype": {1: "unicast", 2: "local"},
}
"""Types whose values nft writes as names; the numbers are the kernel's (linux/netfilter headers)."""

BITMASKS = {"tcp_flag", "ct_state", "ct_status", "ct_event"}
"""Types whose values are sets of bits."""

WIDTHS = {
    "ipv6_addr": 128,
    "inet_service": 16,
    "inet_proto": 8,
    "ether_type": 16,
    "tcp_flag": 8,
    "zone": 16,
    "ct_dir": 8,
}
"""Bits of a value where they are not 32."""


def number(value: int) -> Range:
    """The range that holds one number."""
    return Range(value, value)


def every_bit(datatype: str) -> int:
    """The largest value of a type."""
    return (1 << WIDTHS.get(datatype, 32)) - 1


@cache
def symbols(datatype: str) -> dict[str, int]:
    """The names of a type's values."""
    return {text: value for value, text in SYMBOLS.get(datatype, {}).items()}


def symbol(datatype: str, name: str) -> int:
    """The number behind a name of a type: symbol('ct_state', 'new') is 8."""
    return symbols(datatype)[name]


def keys(values: Iterable[Value | int]) -> Elements:
    """An anonymous set of single values."""
    return tuple(Element((number(v) if isinstance(v, int) else v,)) for v in values)


def datatypes(expression: Expression) -> tuple[str, ...]:
    """The data types of an expression's parts; () where any number will do."""
    if isinstance(expression, Field):
        return (FIELDS[expression.name],)
    if isinstance(expression, Bitwise):
        return (FIELDS[expression.field.name],)
    if isinstance(expression, Concat):
        return tuple(datatype for part in expression.parts for datatype in datatypes(part))
    return ()
