"""What nft would merge, misread or refuse, found in the values: before every render and every walk.

Names are unique (nft merges two chains of one name), references lead somewhere, types of keys and data agree,
every chain can be reached from a base chain.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.emit.expressions import (
    FIELDS,
    Concat,
    Constant,
    Elements,
    Expression,
    Field,
    Lookup,
    Name,
    Numgen,
    Verdict,
    datatypes,
)
from nfcompile.emit.objects import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Map,
    Object,
    Rule,
    Set,
    Table,
)
from nfcompile.emit.statements import Mangle, Match, Nat, SetUpdate, Statement, Unread, Use, VerdictMap

NAMESPACES: dict[type, str] = {
    Chain: "chain",
    Set: "set",
    Map: "set",
    Counter: "counter",
    CtTimeout: "ct timeout",
    CtHelper: "ct helper",
    Flowtable: "flow",
}
"""Kinds of objects that share one name space in the kernel; the words are those of `Use`."""


class InvalidTable(Exception):
    """A table that nft would take for another one, or refuse; every fault is a line of the message."""


def validate(table: Table) -> None:
    """Raise InvalidTable where a table is not what its text would say."""
    faults = sorted(set(_faults(table)))
    if faults:
        raise InvalidTable("\n".join(faults))


class _ObjectIndex(NamedTuple):
    """A table's objects by name space and name."""

    objects: dict[tuple[str, Name], Object]

    def has(self, space: str, name: Name) -> bool:
        return (space, name) in self.objects

    def elements(self, name: Name) -> Set | Map | None:
        found = self.objects.get(("set", name))
        return found if isinstance(found, Set | Map) else None


def _faults(table: Table) -> Iterator[str]:
    spelled = Tally((NAMESPACES[type(one)], str(one.name)) for one in table.objects)
    yield from (f"two objects are called {kind} {name}" for (kind, name), n in spelled.items() if n > 1)
    index = _index(table)
    for one in table.objects:
        if isinstance(one, Chain):
            for rule in one.rules:
                yield from (f"chain {one.name}: {fault}" for fault in _rule(index, rule))
        elif isinstance(one, Set | Map):
            yield from (f"{one.name}: {fault}" for fault in _elements(index, one))
    yield from _unreachable(table, index)


def _rule(index: _ObjectIndex, rule: Rule) -> Iterator[str]:
    last = len(rule.statements) - 1
    for at, statement in enumerate(rule.statements):
        if isinstance(statement, Match):
            if isinstance(statement.right, Name):
                yield from _keyed(index, statement.right, statement.left)
            continue
        yield from _statement(index, statement)
        for chain in _targets(index, statement, follow=False):
            if not index.has("chain", chain):
                yield f"there is no chain {chain}"
        if at < last and isinstance(statement, Verdict):
            yield "statements after a verdict"


def _statement(index: _ObjectIndex, statement: Statement) -> Iterator[str]:
    if isinstance(statement, VerdictMap):
        if isinstance(statement.source, Name):
            yield from _keyed(index, statement.source, statement.key, ("verdict",))
    elif isinstance(statement, SetUpdate):
        data = None if statement.data is None else datatypes(statement.data) or None
        yield from _keyed(index, statement.name, statement.key, data)
        found = index.elements(statement.name)
        if statement.data is not None and isinstance(found, Set):
            yield f"data in {statement.name}, which is a set"
        if found is not None and "dynamic" not in found.flags:
            yield f"packets write into {statement.name}, which is not dynamic"
    elif isinstance(statement, Mangle):
        yield from _value(index, statement.value, [(FIELDS[statement.field.name],)])
    elif isinstance(statement, Nat):
        if statement.address is not None:
            both = [("ipv4_addr",), ("ipv4_addr", "inet_service"), ("ipv6_addr",)]
            yield from _value(index, statement.address, both)
        if statement.port is not None:
            yield from _value(index, statement.port, [("inet_service",)])
    elif isinstance(statement, Unread):
        yield f"nft lists {statement.listed}, which is not in the vocabulary of nfcompile"
    elif isinstance(statement, Use) and not index.has(statement.kind, statement.name):
        yield f"there is no {statement.kind} {statement.name}"


def _value(index: _ObjectIndex, value: Expression, allowed: list[tuple[str, ...]]) -> Iterator[str]:
    """An expression whose data must be of one of these types."""
    if isinstance(value, Lookup):
        if isinstance(value.source, Name):
            found = index.elements(value.source)
            data = found.data if isinstance(found, Map) else None
            yield from _keyed(index, value.source, value.key, data)
        else:
            data = value.data
        if data is not None and data not in allowed:
            yield f"data of type {' . '.join(data)} where {' . '.join(allowed[0])} is needed"
    elif not isinstance(value, Constant | Numgen) and datatypes(value) not in allowed:
        yield f"{' . '.join(datatypes(value))} where {' . '.join(allowed[0])} is needed"


def _keyed(
    index: _ObjectIndex,
    name: Name,
    key: Field | Concat | Expression,
    data: tuple[str, ...] | None = None,
) -> Iterator[str]:
    """A look-up or an update: the set or map is there, and its types are those of the key and the data."""
    found = index.elements(name)
    if found is None:
        yield f"there is no set or map {name}"
        return
    if datatypes(key) != found.key:
        yield f"a key of type {' . '.join(datatypes(key))} in {name}, which has {' . '.join(found.key)}"
    if data is not None and (not isinstance(found, Map) or found.data != data):
        yield f"data of type {' . '.join(data)} in {name}, which has other data"


def _elements(index: _ObjectIndex, one: Set | Map) -> Iterator[str]:
    """Keys and data have the parts that the types say; verdicts lead to chains."""
    parts, data_parts = len(one.key), len(one.data) if isinstance(one, Map) else 0
    for key, data, _ in one.elements:
        if len(key) != parts:
            yield f"a key of {len(key)} parts in a set of {parts}"
        if isinstance(data, Verdict):
            if data.chain is not None and not index.has("chain", data.chain):
                yield f"there is no chain {data.chain}"
        elif len(data) != data_parts:
            yield f"data of {len(data)} parts"


def _targets(index: _ObjectIndex, statement: Statement, follow: bool = True) -> set[Name]:
    """Chains that a statement can lead to; `follow` those of a named verdict map as well."""
    if isinstance(statement, Verdict):
        return set() if statement.chain is None else {statement.chain}
    if not isinstance(statement, VerdictMap):
        return set()
    entries: Elements = ()
    if not isinstance(statement.source, Name):
        entries = statement.source
    elif follow:
        found = index.elements(statement.source)
        entries = () if found is None else found.elements
    verdicts = (data for _, data, _ in entries if isinstance(data, Verdict))
    return {chain for _, chain in verdicts if chain is not None}


def _unreachable(table: Table, index: _ObjectIndex) -> Iterator[str]:
    reached = _reached(table, index)
    for one in table.objects:
        if isinstance(one, Chain) and one.name not in reached:
            yield f"nothing leads to chain {one.name}"


def _reached(table: Table, index: _ObjectIndex) -> set[Name]:
    """Chains that packets can get to."""
    chains = {one.name: one for one in table.objects if isinstance(one, Chain)}
    waiting = [name for name, chain in chains.items() if chain.hook]
    reached = set(waiting)
    while waiting:
        for rule in chains[waiting.pop()].rules:
            for statement in rule.statements:
                if isinstance(statement, Verdict | VerdictMap):
                    fresh = (_targets(index, statement) & chains.keys()) - reached
                    reached |= fresh
                    waiting += fresh
    return reached


def pruned(table: Table) -> Table:
    """The table without chains that no packet gets to (those of a pool whose ACL allows nothing), and without
    verdict maps that only such chains look up."""
    reached = _reached(table, _index(table))
    asked = {
        statement.source
        for chain in table.objects
        if isinstance(chain, Chain) and chain.name in reached
        for rule in chain.rules
        for statement in rule.statements
        if isinstance(statement, VerdictMap)
    }

    def kept(one: Object) -> bool:
        if isinstance(one, Map) and one.data == ("verdict",):
            return one.name in asked
        return not isinstance(one, Chain) or one.name in reached

    return table._replace(objects=tuple(one for one in table.objects if kept(one)))


def _index(table: Table) -> _ObjectIndex:
    return _ObjectIndex({(NAMESPACES[type(one)], one.name): one for one in table.objects})
