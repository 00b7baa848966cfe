"""The normal form of a table: tables that mean the same to the kernel, however written, are equal in it.

nft spells what it lists anew: it sorts, joins neighbours, replaces masks by prefixes and `th` by the protocol
that a rule has tested, and leaves out defaults. The site's paths, remarks, the order of objects and what
packets write (elements of dynamic sets and of sets with timeouts) are no part of a table here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from nfcompile.emit.expressions import (
    BITMASKS,
    FIELDS,
    Bitwise,
    Element,
    Elements,
    Field,
    Key,
    Lookup,
    Name,
    Numgen,
    Value,
    Verdict,
    every_bit,
    keys,
    symbol,
)
from nfcompile.emit.objects import (
    Chain,
    CtTimeout,
    Flowtable,
    Map,
    Object,
    Rule,
    Set,
    Table,
    priority_text,
)
from nfcompile.emit.rewriting import rewritten
from nfcompile.emit.statements import L4PROTO, Match, Nat, SetUpdate, Statement, VerdictMap
from nfcompile.emit.validate import NAMESPACES
from nfcompile.model.ranges import Range, union

TESTS = {word: Match(L4PROTO, keys([symbol("inet_proto", word)])) for word in ("tcp", "udp")}
"""Protocols of which nft writes `tcp sport` where a rule that has tested the protocol says `th sport`."""
ALWAYS = Match(Field("meta protocol"), keys([symbol("ether_type", "ip")]))
"""What holds for every packet of a table of family ip; nft leaves it out."""
SIZE = 65535
"""Elements of a dynamic set that names no size (linux/net/netfilter/nft_set_hash.c)."""
POLICIES = {
    "tcp": {
        "syn_sent": 120,
        "syn_recv": 60,
        "established": 432000,
        "fin_wait": 120,
        "close_wait": 60,
        "last_ack": 30,
        "time_wait": 120,
        "close": 10,
    },
    "udp": {"unreplied": 30, "replied": 120},
}
"""Seconds that nft does not list in a timeout policy (nftables/src/rule.c)."""

Either = TypeVar("Either", Set, Map)


def normal(table: Table, wanted: Callable[[Object], bool] = lambda _: True) -> Table:
    """The table in its normal form, with the objects that are wanted."""
    written = set(_written(table))
    objects = [_object(one, one.name in written) for one in table.objects if wanted(one)]
    objects.sort(key=lambda one: (NAMESPACES[type(one)], str(one.name)))
    return Table(table.name, tuple(objects), family=table.family)


def packets_write(one: Set | Map) -> bool:
    """Whether elements come and go without a ruleset that says so."""
    return "dynamic" in one.flags or "timeout" in one.flags


def _written(table: Table) -> Iterator[Name]:
    """Sets and maps that rules write into; nft before 1.0.7 lists the flag `dynamic` of none."""
    for one in table.objects:
        for rule in one.rules if isinstance(one, Chain) else ():
            yield from (found.name for found in rule.statements if isinstance(found, SetUpdate))


# ---- objects


def _object(one: Object, written: bool) -> Object:
    name = Name(str(one.name))
    if isinstance(one, Chain):
        hook = one.hook and one.hook._replace(priority=priority_text(one.hook.order))
        rules = tuple(_rule(rule, one.comment_of(rule)) for rule in one.rules)
        return Chain(name, rules, (), hook)
    one = one._replace(name=name, origin=())
    if isinstance(one, Set):
        return _set(one, written)
    if isinstance(one, Map):
        shown = one.interval and any(_shows_interval(element) for element in one.elements)
        return _set(one, written)._replace(interval=shown)
    if isinstance(one, CtTimeout):
        policy = POLICIES.get(one.protocol, {}) | dict(one.policy)
        return one._replace(policy=tuple(sorted(policy.items())))
    if isinstance(one, Flowtable):
        return one._replace(devices=tuple(sorted(one.devices)))
    return one


def _set(one: Either, written: bool) -> Either:
    flags = {*one.flags} - {"dynamic"} | ({"dynamic"} if written else set())
    one = one._replace(flags=tuple(sorted(flags)), size=one.size or (SIZE if written else 0))
    return one._replace(elements=() if packets_write(one) else normal_elements(one.elements))


def _shows_interval(element: Element) -> bool:
    """An element whose data nft lists otherwise where they are `interval`: all but `address . port`."""
    data = element.data
    return not isinstance(data, Verdict) and (
        len(data) == 1 or any(isinstance(part, Range) and part.size > 1 for part in data)
    )


def normal_elements(elements: Elements) -> Elements:
    """Elements in ascending order, without origins; neighbours in a set of single numbers are one range.

    >>> normal_elements(keys([Range(1, 3), 4]))
    (Element(key=(Range(first=1, last=4),), data=(), origin=()),)
    """
    ranges = [one.key[0] for one in elements if len(one.key) == 1 and not one.data]
    numbers = [one for one in ranges if isinstance(one, Range)]
    if len(numbers) == len(elements):
        return keys(union(numbers))
    plain = {Element(one.key, rewritten(one.data, _expression)) for one in elements}
    return tuple(sorted(plain, key=lambda one: _sortable(one.key)))


def _sortable(key: Key) -> list[tuple[str, int, int]]:
    return [(part, 0, 0) if isinstance(part, str) else ("", *part) for part in key]


# ---- rules


def _rule(rule: Rule, comment: str) -> Rule:
    """The rule with the comment that is written; tests that stand side by side in one order."""
    statements = (_statement(one) for one in _with_protocols(rule.statements))
    return Rule(tuple(_ordered(one for one in statements if one != ALWAYS)), (), comment)


def _with_protocols(statements: Iterable[Statement]) -> Iterator[Statement]:
    """`tcp sport` as `th sport` after a test of the protocol, and `tcp flags` after one, too."""
    tested = ""
    for one in statements:
        for protocol in {word for name in _fields(one) if (word := name.partition(" ")[0]) in TESTS}:
            if tested != protocol:
                yield TESTS[protocol]
            tested = protocol
            one = rewritten(one, _unported)
        yield one
        if isinstance(one, Match) and one.left == L4PROTO and one.op == "==":
            tested = next((word for word, test in TESTS.items() if one == test), "")


def _fields(value: object) -> Iterator[str]:
    """The names of the fields in a statement or expression."""
    if isinstance(value, Field):
        yield value.name
    elif isinstance(value, tuple) and not isinstance(value, Element):
        for part in value:
            yield from _fields(part)


def _unported(value: Any) -> Any:
    if isinstance(value, Field) and value.name.partition(" ")[2] in ("sport", "dport"):
        return Field(f"th {value.name.partition(' ')[2]}")
    return value


def _ordered(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Tests that change nothing hold in any order: nft sorts some, and drops others that are implied."""
    tests: set[Match] = set()
    for one in statements:
        if isinstance(one, Match) and not isinstance(one.left, Numgen):
            tests.add(one)
            continue
        yield from sorted(tests, key=repr)
        tests.clear()
        yield one
    yield from sorted(tests, key=repr)


def _statement(statement: Statement) -> Statement:
    one: Statement = rewritten(statement, _expression)
    if isinstance(one, Match):
        return _match(one)
    if isinstance(one, VerdictMap) and not isinstance(one.source, Name):
        return one._replace(source=normal_elements(one.source))
    if isinstance(one, Nat):
        return one._replace(flags=tuple(sorted(one.flags)))
    return one


def _match(match: Match) -> Match:
    """`in` as a mask that leaves something; a mask of the highest bits as a range; elements in order."""
    left, right, op = match
    if isinstance(right, Name):
        return match
    if op == "in" and isinstance(left, Field):
        return Match(Bitwise(left, _number(right[0].key[0])), keys([0]), "!=")
    right = normal_elements(right)
    if isinstance(left, Bitwise) and len(right) == 1 and not left.bits and not left.xor:
        host = every_bit(FIELDS[left.field.name]) & ~left.mask
        value = right[0].key[0]
        plain = FIELDS[left.field.name] not in BITMASKS and isinstance(value, Range) and value.size == 1
        if plain and host & (host + 1) == 0 and not _number(value) & host:
            return Match(left.field, keys([Range(_number(value), _number(value) | host)]), op)
    return Match(left, right, op)


def _number(value: Value) -> int:
    assert isinstance(value, Range)
    return value.first


def _expression(value: Any) -> Any:
    """Names, masks and maps within a statement."""
    if isinstance(value, Name):
        return Name(str(value))
    if isinstance(value, Bitwise):
        return _bitwise(value)
    if isinstance(value, Lookup) and not isinstance(value.source, Name):
        return value._replace(key=rewritten(value.key, _expression), source=normal_elements(value.source))
    return value


def _bitwise(one: Bitwise) -> Field | Bitwise:
    """`^` where a bit that is kept is turned over, otherwise `|`; the field where none is changed."""
    whole = every_bit(FIELDS[one.field.name])
    flipped = ((one.xor & ~one.bits) | one.bits) & whole
    mask = one.mask & ~one.bits & whole
    if mask == whole and not flipped:
        return one.field
    return Bitwise(one.field, mask, 0, flipped) if flipped & mask else Bitwise(one.field, mask, flipped)
