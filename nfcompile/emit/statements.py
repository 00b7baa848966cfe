"""nft's statements as values, named as in libnftables-json(5), with constructors that read as rules do."""

from collections.abc import Iterable
from typing import NamedTuple

from nfcompile.emit.expressions import (
    BITMASKS,
    FIELDS,
    Bitwise,
    Concat,
    Constant,
    Element,
    Elements,
    Expression,
    Field,
    Key,
    Lookup,
    Name,
    Numgen,
    Verdict,
    keys,
    symbol,
)
from nfcompile.model.ranges import Range


class Match(NamedTuple):
    """`left op right`: op is '==' (or: in the set), '!=' (or: not in the set) or 'in' (has the bit)."""

    left: Field | Bitwise | Concat | Numgen
    right: Name | Elements
    op: str = "=="


class VerdictMap(NamedTuple):
    """`key vmap @name` or `key vmap { key : verdict, ... }`; a miss ends the rule."""

    key: Field | Bitwise | Concat | Numgen
    source: Name | Elements


class Mangle(NamedTuple):
    """`field set value`: packet mark, connection mark, conntrack zone, event mask, a field of the packet."""

    field: Field
    value: Expression


class Nat(NamedTuple):
    """`snat`, `dnat` or `masquerade`; None stays as it is. `prefix` is NETMAP: the host bits stay, too.

    `masquerade` has no address: it is the one that the outgoing interface has at the time.
    """

    kind: str
    address: Expression | None
    port: Expression | None = None
    prefix: bool = False
    flags: tuple[str, ...] = ()


class Limit(NamedTuple):
    """`limit rate [over] rate/per burst n packets`: matches while the bucket has tokens; over: while not."""

    rate: int
    per: str
    burst: int
    over: bool = False


class CtCount(NamedTuple):
    """`ct count [over] most`: matches up to so many connections of the element; over: above."""

    most: int
    over: bool = False


class SetUpdate(NamedTuple):
    """`add`, `update` or `delete` of an element, with data in a map; `timeout` in seconds, 0: the set's own.

    A limit or count belongs to the element and ends the rule where it does not match.
    """

    op: str
    name: Name
    key: Field | Bitwise | Concat
    data: Expression | None = None
    condition: Limit | CtCount | None = None
    timeout: int = 0


class Use(NamedTuple):
    """A statement that only names an object: `counter`, `ct timeout`, `ct helper`, `flow`."""

    kind: str
    name: Name


class Log(NamedTuple):
    """`log prefix "..." group n` (NFLOG)."""

    prefix: str
    group: int


class Reject(NamedTuple):
    """`reject with icmp type ...`."""

    icmp: str


class Notrack(NamedTuple):
    """`notrack`: connection tracking does not see the packet."""


class Unread(NamedTuple):
    """JSON of a statement that nft lists and this vocabulary lacks; nothing renders or walks it."""

    listed: str


Statement = (
    Match | VerdictMap | Verdict | Mangle | Nat | SetUpdate | Limit | Use | Log | Reject | Notrack | Unread
)

IIFNAME = Field("iifname")
OIFNAME = Field("oifname")
IP_SADDR = Field("ip saddr")
IP_DADDR = Field("ip daddr")
TH_SPORT = Field("th sport")
TH_DPORT = Field("th dport")
L4PROTO = Field("meta l4proto")
META_MARK = Field("meta mark")
META_PROTOCOL = Field("meta protocol")
CT_MARK = Field("ct mark")
CT_STATE = Field("ct state")
CT_STATUS = Field("ct status")
CT_DIRECTION = Field("ct direction")

ACCEPT = Verdict("accept")
DROP = Verdict("drop")
RETURN = Verdict("return")
NOTRACK = Notrack()
ICMP, TCP, UDP = 1, 6, 17
PORTED = (TCP, UDP)
ONCE = Limit(1, "week", 1)
"""One packet in the life of an element: insert and token bucket are atomic, so one CPU of two goes on."""
ADMIN_PROHIBITED = Reject("admin-prohibited")


def jump(chain: Name) -> Verdict:
    """`jump chain`: come back at its end."""
    return Verdict("jump", chain)


def goto(chain: Name) -> Verdict:
    """`goto chain`: its end is the end of this chain too."""
    return Verdict("goto", chain)


def match(left: Field | Bitwise | Concat | Numgen, *right: Name | Range | int | str, op: str = "==") -> Match:
    """`left @name`, `left value` or `left { value, ... }`.

    Of a field with named values a string is one of the names: match(CT_STATE, "new") asks for that bit.
    """
    if len(right) == 1 and isinstance(right[0], Name):
        return Match(left, right[0], op)
    field = left.field if isinstance(left, Bitwise) else left
    datatype = FIELDS[field.name] if isinstance(field, Field) else ""
    named = datatype not in ("ifname", "")
    values = [
        symbol(datatype, v) if isinstance(v, str) and named else v for v in right if not isinstance(v, Name)
    ]
    if datatype in BITMASKS and isinstance(left, Field) and len(values) == 1 and op == "==":
        op = "in"
    return Match(left, keys(values), op)


def unlike(left: Field | Bitwise | Concat | Numgen, *right: Name | Range | int | str) -> Match:
    """`left != ...`: in none of the values, or not in the set."""
    return match(left, *right, op="!=")


def concat(*parts: Field | Bitwise) -> Concat:
    """`a . b . c`."""
    return Concat(parts)


def lookup(key: Field | Bitwise | Concat, name: Name) -> Lookup:
    """`key map @name`."""
    return Lookup(key, name)


def set_field(field: Field | Bitwise, value: Expression) -> Mangle:
    """`field set value`, of the packet itself."""
    assert isinstance(field, Field)
    return Mangle(field, value)


def set_mark(value: Expression | int, field: Field = META_MARK) -> Mangle:
    """`meta mark set value` (or another field's)."""
    return Mangle(field, Constant(Range(value, value)) if isinstance(value, int) else value)


def add(name: Name, key: Field | Bitwise | Concat, condition: Limit | CtCount | None = None) -> SetUpdate:
    """`add @name { key condition }`."""
    return SetUpdate("add", name, key, None, condition)


def update(name: Name, key: Field | Bitwise | Concat, data: Expression | None = None) -> SetUpdate:
    """`update @name { key : data }`: make the element, or start its time anew."""
    return SetUpdate("update", name, key, data)


def counter(name: Name) -> Use:
    """`counter name ...`."""
    return Use("counter", name)


def vmap(
    key: Field | Bitwise | Concat | Numgen, entries: Iterable[tuple[Range | int, Verdict]]
) -> VerdictMap:
    """`key vmap { key : verdict, ... }`."""
    return VerdictMap(
        key, tuple(Element((k if isinstance(k, Range) else Range(k, k),), v) for k, v in entries)
    )


def key(*parts: Range | int | str) -> Key:
    """The key or the data of an element."""
    return tuple(Range(part, part) if isinstance(part, int) else part for part in parts)
