"""Statements, expressions and values -> the words of nft. The only place where they become text.

Values are numbers, names that the schema has checked, and nft's own words: there is nothing to quote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from nfcompile.emit.expressions import (
    BITMASKS,
    FIELDS,
    SYMBOLS,
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
    Value,
    Verdict,
    datatypes,
    every_bit,
)
from nfcompile.emit.statements import (
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    Nat,
    Notrack,
    Reject,
    SetUpdate,
    Statement,
    Unread,
    Use,
    VerdictMap,
)
from nfcompile.model.ranges import Range, address_text, ipv6_text, port_text, range_text

MEMORY = 4096
"""So many texts are kept of values that repeat."""
DECIMAL_MARKS = 0x1000000
"""Marks below are the operator's and are written as in the site; those above are ours, in hexadecimal."""


def rule_text(statements: Sequence[Statement]) -> str:
    """A rule without its comment."""
    return " ".join([_statement(statement) for statement in statements])


@lru_cache(MEMORY, typed=True)
def _statement(statement: Statement) -> str:
    """Half of all statements stand in every pool. (`typed`: a tuple equals one of another type.)"""
    return SPELLED[type(statement)](statement)


def element_text(
    element: Element, key: Sequence[str], data: Sequence[str] = (), interval: bool = False
) -> str:
    """An element of a set or map with keys and data of these types."""
    return element_speller(key, data, interval)(element)


def element_speller(
    key: Sequence[str], data: Sequence[str] = (), interval: bool = False
) -> Callable[[Element], str]:
    """What writes the elements of one set or map; their data repeat, their keys do not."""
    plain = len(key) == 1 and key[0] == "ipv4_addr"

    def spell(element: Element) -> str:
        parts, found, _ = element
        first = parts[0]
        text = range_text(first) if plain and isinstance(first, Range) else key_text(parts, key)
        if isinstance(found, Verdict):
            return f"{text} : {_statement(found)}"
        if not found:
            return text
        return f"{text} : {' . '.join([_known(*one, interval) for one in zip(found, data, strict=True)])}"

    return spell


def key_text(key: Key, types: Sequence[str], interval: bool = False) -> str:
    """Parts of a key joined as a concatenation."""
    if len(key) == 1:
        return value_text(key[0], types[0], interval)
    return " . ".join([value_text(part, one, interval) for part, one in zip(key, types, strict=True)])


def value_text(value: Value, datatype: str, interval: bool = False) -> str:
    """One value of a type. In interval data a single address is written /32: the kernel refuses it bare.

    >>> value_text(Range(6, 6), "inet_proto"), value_text(Range(0x1000001, 0x1000001), "mark")
    ('tcp', '0x1000001')
    """
    if isinstance(value, str):
        return f'"{value}"'
    first, last = value
    if datatype == "ipv4_addr":
        if first == last:
            return f"{address_text(first)}/32" if interval else address_text(first)
        return range_text(value)
    if datatype == "ipv6_addr":
        return _ipv6_range(value, interval)
    if first == last:
        if datatype in SYMBOLS:
            return SYMBOLS[datatype].get(first, str(first))
        return hex(first) if datatype == "mark" and first >= DECIMAL_MARKS else str(first)
    return f"{hex(first)}-{hex(last)}" if datatype == "mark" else port_text(value)


_known = lru_cache(MEMORY)(value_text)


def _ipv6_range(value: Range, interval: bool) -> str:
    """A prefix, or both ends."""
    bits = value.size.bit_length() - 1
    if value.size != 1 << bits or value.first & (value.size - 1):
        return f"{ipv6_text(value.first)}-{ipv6_text(value.last)}"
    return f"{ipv6_text(value.first)}/{128 - bits}" if bits or interval else ipv6_text(value.first)


def expression_text(expression: Expression, datatype: str = "") -> str:
    """An expression; `datatype` is that of the place where a constant stands."""
    if isinstance(expression, Field):
        return expression.name
    if isinstance(expression, Bitwise):
        return _bitwise(expression)
    if isinstance(expression, Concat):
        return " . ".join(expression_text(part) for part in expression.parts)
    if isinstance(expression, Numgen):
        offset = f" offset {hex(expression.offset)}" if expression.offset else ""
        return f"numgen {expression.mode} mod {expression.modulus}{offset}"
    if isinstance(expression, Constant):
        return value_text(expression.value, datatype)
    return (
        f"{expression_text(expression.key)} map {_source(expression.source, expression.key, expression.data)}"
    )


def _bitwise(expression: Bitwise) -> str:
    datatype = FIELDS[expression.field.name]
    text = expression.field.name
    if expression.mask != every_bit(datatype) and expression.mask != 0xFFFFFFFF:
        text += f" & {_bits(expression.mask, datatype)}"
    if expression.xor:
        text += f" ^ {_bits(expression.xor, datatype)}"
    if expression.bits:
        text += f" | {_bits(expression.bits, datatype)}"
    return text


def _bits(value: int, datatype: str) -> str:
    if datatype == "ipv4_addr":
        return address_text(value)
    if datatype == "ipv6_addr":
        return ipv6_text(value)
    if datatype in BITMASKS:
        names = [name for bit, name in SYMBOLS[datatype].items() if value & bit]
        return names[0] if len(names) == 1 else f"({' | '.join(names)})"
    return hex(value)


def _source(source: Name | Elements, key: Expression, data: Sequence[str] = ()) -> str:
    """`@name`, one value, or elements in braces."""
    if isinstance(source, Name):
        return f"@{source}"
    types = datatypes(key) or ("",)
    words = [element_text(element, types, data) for element in source]
    return words[0] if len(words) == 1 and not source[0].data else "{ " + ", ".join(words) + " }"


def _match(statement: Match) -> str:
    left, right, op = statement
    text = expression_text(left)
    if op == "!=":
        text += " !="
    if isinstance(right, Name):
        return f"{text} @{right}"
    datatype = (datatypes(left) or ("",))[0]
    alone = len(right) == 1
    if op == "in":
        return f"{text} {_any_of(right, datatype)}"
    # Without `==` a value of a field of bits asks for the bit: `ct state new`.
    if op == "==" and (isinstance(left, Bitwise) or (alone and datatype in BITMASKS)):
        text += " =="
    if alone and isinstance(left, Bitwise) and datatype in ("mark", *BITMASKS):
        # A masked value is bits too.
        return f"{text} {_masked_value(right, datatype)}"
    return f"{text} {_source(right, left)}"


def _any_of(right: Elements, datatype: str) -> str:
    """`established,new`: one of these bits."""
    (value,) = right[0].key
    assert isinstance(value, Range)
    return ",".join(name for bit, name in SYMBOLS[datatype].items() if value.first & bit)


def _masked_value(right: Elements, datatype: str) -> str:
    (value,) = right[0].key
    assert isinstance(value, Range)
    if datatype in BITMASKS:
        return _bits(value.first, datatype) if value.first else "0"
    return hex(value.first) if value.first else "0"


def _vmap(statement: VerdictMap) -> str:
    source = statement.source
    if isinstance(source, Name):
        return f"{expression_text(statement.key)} vmap @{source}"
    types = datatypes(statement.key) or ("",)
    words = ", ".join(element_text(element, types) for element in source)
    return f"{expression_text(statement.key)} vmap {{ {words} }}"


def _verdict(verdict: Verdict) -> str:
    return verdict.kind if verdict.chain is None else f"{verdict.kind} {verdict.chain}"


def _mangle(statement: Mangle) -> str:
    field, value = statement
    datatype = FIELDS[field.name]
    if datatype == "ct_event" and isinstance(value, Constant):
        names = [name for bit, name in SYMBOLS[datatype].items() if value.value.first & bit]
        return f"ct event set {','.join(names) or '0'}"
    return f"{field.name} set {expression_text(value, datatype)}"


def _nat(statement: Nat) -> str:
    kind, address, port, prefix, flags = statement
    if address is None and port is None:
        return " ".join((kind, *flags))
    family = "ip6" if isinstance(address, Lookup) and "ipv6_addr" in datatypes(address.key) else "ip"
    text = f"{kind} to"
    if prefix or isinstance(address, Lookup):
        text = f"{kind} {family} {'prefix ' if prefix else ''}to"
    if address is not None:
        text += f" {_nat_address(address, prefix)}"
    if port is not None:
        plain = isinstance(port, Constant)
        if plain and (address is None or isinstance(address, Constant)):
            text += f"{' ' if address is None else ''}:{expression_text(port, 'inet_service')}"
        else:
            text += f" : {expression_text(port, 'inet_service')}"
    return " ".join((text, *flags))


def _nat_address(address: Expression, prefix: bool) -> str:
    """The new address; a range of them from which the kernel chooses is never written as a prefix."""
    if isinstance(address, Constant) and address.value.size > 1 and not prefix:
        return f"{address_text(address.value.first)}-{address_text(address.value.last)}"
    return expression_text(address, "ipv4_addr")


def _set_update(statement: SetUpdate) -> str:
    words = [expression_text(statement.key)]
    if statement.timeout:
        words.append(f"timeout {statement.timeout}s")
    if statement.condition is not None:
        words.append(SPELLED[type(statement.condition)](statement.condition))
    if statement.data is not None:
        words.append(f": {expression_text(statement.data)}")
    return f"{statement.op} @{statement.name} {{ {' '.join(words)} }}"


def _limit(limit: Limit) -> str:
    over = "over " if limit.over else ""
    return f"limit rate {over}{limit.rate}/{limit.per} burst {limit.burst} packets"


def _count(count: CtCount) -> str:
    return f"ct count {'over ' if count.over else ''}{count.most}"


USES = {"counter": "counter name {}", "ct timeout": 'ct timeout set "{}"', "ct helper": 'ct helper set "{}"'}


def _use(statement: Use) -> str:
    return USES.get(statement.kind, "flow add @{}").format(statement.name)


SPELLED: dict[type, Callable[[Any], str]] = {
    Match: _match,
    VerdictMap: _vmap,
    Verdict: _verdict,
    Mangle: _mangle,
    Nat: _nat,
    SetUpdate: _set_update,
    Limit: _limit,
    CtCount: _count,
    Use: _use,
    Notrack: lambda _: "notrack",
    Log: lambda log: f'log prefix "{log.prefix}" group {log.group}',
    Reject: lambda reject: f"reject with icmp type {reject.icmp}",
    Unread: lambda unread: unread.listed,
}
"""Statement -> its text."""
