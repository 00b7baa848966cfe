"""What a rule reads of a packet: packets that are equal there, it cannot tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from nfcompile.emit import Name, Rule
from nfcompile.emit.expressions import Bitwise, Concat, Constant, Expression, Field, Lookup, Numgen
from nfcompile.emit.statements import Mangle, Match, Nat, Notrack, SetUpdate, Statement, VerdictMap
from nfcompile.verify.walk.program import Program
from nfcompile.verify.walk.walker import Pause
from nfcompile.verify.walk.writing import writes

WHERE: dict[str, str] = {
    "iifname": "now.interface",
    "oifname": "out",
    "ip saddr": "now.source",
    "ip daddr": "now.destination",
    "ip6 saddr": "now.source",
    "ip6 daddr": "now.destination",
    "ct state": "status",
    "meta mark": "mark",
    "ct mark": "ct_mark",
    "ct status": "status",
    "ct original zone": "zone",
    "ct original ip saddr": "original.source",
    "ct original ip daddr": "original.destination",
    "ct original proto-src": "original.source_port",
    "ct original proto-dst": "original.destination_port",
    "ct reply ip saddr": "answer.source",
    "ct reply ip daddr": "answer.destination",
    "ct reply proto-src": "answer.source_port",
    "ct reply proto-dst": "answer.destination_port",
    "fib daddr type": "towards",
    "fib daddr oifname": "towards",
    "fib saddr oifname": "home",
    **{f"{word} sport": "now.source_port" for word in ("th", "tcp", "udp")},
    **{f"{word} dport": "now.destination_port" for word in ("th", "tcp", "udp")},
}
"""Where a flight has a field; those that are missing are the same in all packets of a box."""
WRITTEN = {"ip saddr", "th sport", "tcp sport", "udp sport"}
"""Fields that rules may have overwritten."""
CONSTANT = {"tcp flags", "meta protocol", "meta l4proto", "ct direction"}
NAT = {
    "snat": {"now.source", "now.source_port", "status", "written"},
    "masquerade": {"now.source", "now.source_port", "status", "written"},
    "dnat": {"now.destination", "now.destination_port", "status", "original.chosen"},
}
"""A translation keeps host bits, and sets the status where something changes."""


class Reads:
    """What a rule reads of a packet, whether it reads elements that packets write, and of which set or map it
    `needs` one before it does anything."""

    def __init__(self, places: set[str], dynamic: bool, needs: Name | None) -> None:
        self.places = frozenset(places)
        self.dynamic = dynamic
        self.needs = needs
        flights = sorted(f"flight.{place}" for place in places)
        self._get: Callable[[Pause], object] = attrgetter(*flights) if flights else lambda _: None

    def of(self, pause: Pause) -> object:
        """What the rule would read; equal for packets that it cannot tell apart."""
        return (self._get(pause), id(pause.learned)) if self.dynamic else self._get(pause)


def reads(rule: Rule, program: Program) -> Reads:
    """What a rule reads."""
    places: set[str] = set()
    dynamic = False
    for statement in rule.statements:
        for expression in _expressions(statement):
            for name in _fields(expression):
                if name not in CONSTANT:
                    places.add(WHERE[name])
                if name in WRITTEN:
                    places.add("written")
        for mangle in _written(statement, program):
            places |= {WHERE[name] for name in _fields(mangle.value)} | {"written"}
        dynamic = dynamic or any(program.sources[name].dynamic for name in _objects(statement))
        if isinstance(statement, Notrack):
            places.add("status")
        if isinstance(statement, Nat):
            places |= NAT[statement.kind]
    return Reads(places, dynamic, _needed(rule, program))


def _needed(rule: Rule, program: Program) -> Name | None:
    """The set or map, written by packets, in which the first statement but matches looks, or a match before
    it."""
    for statement in rule.statements:
        if isinstance(statement, Match) and statement.op == "==":
            looked = [statement.right]
        elif isinstance(statement, Mangle | Nat):
            looked = [one.source for one in _expressions(statement) if isinstance(one, Lookup)]
        else:
            looked = []
        for name in looked:
            if isinstance(name, Name) and program.sources[name].dynamic:
                return name
        if not isinstance(statement, Match):
            return None
    return None


def _written(statement: Statement, program: Program) -> Iterator[Mangle]:
    """What a map of verdicts makes of the packet itself, by the chains that it leads to."""
    if isinstance(statement, VerdictMap):
        for entry in program.entries(statement.source):
            mangle = writes(program, entry.data)
            if mangle is not None:
                yield mangle


def _expressions(statement: Statement) -> Iterator[Expression]:
    if isinstance(statement, Match):
        yield statement.left
    elif isinstance(statement, VerdictMap):
        yield statement.key
    elif isinstance(statement, Mangle):
        yield statement.value
        if statement.field.name in WRITTEN:
            yield statement.field
    elif isinstance(statement, SetUpdate):
        yield statement.key
        if statement.data is not None:
            yield statement.data
    elif isinstance(statement, Nat):
        yield from (one for one in (statement.address, statement.port) if one is not None)


def _fields(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Field):
        yield expression.name
    elif isinstance(expression, Bitwise):
        yield expression.field.name
    elif isinstance(expression, Concat):
        for part in expression.parts:
            yield from _fields(part)
    elif isinstance(expression, Lookup):
        yield from _fields(expression.key)
    else:
        assert isinstance(expression, Constant | Numgen)


def _objects(statement: Statement) -> Iterator[Name]:
    """The sets and maps that a statement looks into or writes."""
    sources: list[object] = []
    if isinstance(statement, Match):
        sources = [statement.right]
    elif isinstance(statement, VerdictMap):
        sources = [statement.source]
    elif isinstance(statement, SetUpdate):
        sources = [statement.name]
    for expression in _expressions(statement):
        if isinstance(expression, Lookup):
            sources.append(expression.source)
    yield from (one for one in sources if isinstance(one, Name))
