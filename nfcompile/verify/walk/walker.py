"""The walk: base chains by hook and priority, verdicts, matches, statements.

Numbers that the kernel draws are ranges; a match that is undecided is walked both ways, so a walk has one
outcome or several. A packet whose fields are parts of a box (parts.py) is walked for all packets of the box
at once, and Split is raised where they would not fare alike. Packets pass one by one: two CPUs at the same
instant are not walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar, cast

from nfcompile.diagnostics import Path
from nfcompile.emit import Element, Name, Rule
from nfcompile.emit.expressions import (
    Bitwise,
    Concat,
    Constant,
    Elements,
    Expression,
    Field,
    Lookup,
    Numgen,
    Verdict,
    keys,
    number,
)
from nfcompile.emit.expressions import Key as EmitKey
from nfcompile.emit.statements import (
    ACCEPT,
    CT_MARK,
    META_MARK,
    TCP,
    UDP,
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    Nat,
    Reject,
    SetUpdate,
    Statement,
    Unread,
    Use,
    VerdictMap,
)
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.verify.boxes import (
    INTERFACE_ADDRESS,
    Names,
    Packet,
    Part,
    Scrambled,
    inverted,
    joined,
    masked,
    netmapped,
    taken,
)
from nfcompile.verify.walk.packet import STATUS, Flight, is_local
from nfcompile.verify.walk.program import Hit, Kind, Program, Source, divided, hits
from nfcompile.verify.walk.state import NOTHING, State
from nfcompile.verify.walk.values import Key, UnknownStatement, Value, apart, certain, hull

PROTOCOL_FIELDS = {"tcp": TCP, "udp": UDP}
"""`tcp dport` and the like match the protocol as well."""
Answer = TypeVar("Answer")
Route = Callable[[Range], str | Names]
"""The interface behind which an address is, LOCAL for the gateway's own."""
FEW = 4096
"""Addresses of one element that are each moved to the one that it leads to; more are cut into a box."""
WAYS = 256
"""More ways than this through one ruleset are an error: the box of packets is too large."""


class Effect(NamedTuple):
    """What a rule did: a verdict, `snat` or `dnat` with the new address and port, a mark, a note, a limit.

    `name` is the object or chain that it names. `count` is a limit that was not exceeded, `over` one that
    was; `values` its number.
    """

    kind: str
    name: Name | None = None
    values: Key = ()


class Step(NamedTuple):
    """One rule that did something: in which chain, and the spot of the site that asked for it."""

    chain: Name
    rule: Rule
    origin: Path
    effects: tuple[Effect, ...]


class Outcome(NamedTuple):
    """What became of a packet: `accept` or `drop`, as what it leaves and where, how, and what it left behind.

    `out` is LOCAL for a packet that the gateway itself gets; `dnat` and `snat` say what was rewritten.
    """

    verdict: str
    packet: Packet
    out: str | Names
    mark: Range
    dnat: bool
    snat: bool
    steps: tuple[Step, ...]
    state: State


def walk(program: Program, packet: Packet, route: Route, state: State = NOTHING) -> tuple[Outcome, ...]:
    """Send the first packet of a connection through; the outcomes of all ways that it can take.

    Raises UnknownStatement for what the walker cannot do, ValueError where the ways are too many, and Split.
    """
    return tuple(every_way(lambda chosen: Walker(program, state, chosen), lambda one: one.run(packet, route)))


def every_way(start: Callable[[list[int]], Walker], run: Callable[[Walker], Answer]) -> Iterator[Answer]:
    """Run a walker once for every combination of the choices that it meets."""
    ways: list[list[int]] = [[]]
    done = 0
    while ways:
        chosen = ways.pop()
        walker = start(chosen)
        yield run(walker)
        done += 1
        for at in range(len(chosen), len(walker.chosen)):
            for other in range(1, walker.options[at]):
                ways.append([*walker.chosen[:at], other])
        if done + len(ways) > WAYS:
            raise ValueError(f"more than {WAYS} ways through the ruleset")


class _Stop(Exception):
    """A rule ends before its last phrase."""


class Walker:
    """One way of one packet; `chosen` says which way undecided matches go, 0 where it says nothing."""

    def __init__(self, program: Program, state: State, chosen: list[int]) -> None:
        self.program = program
        self.state = state
        self.chosen = list(chosen)
        self.options: list[int] = []
        self.learned: dict[tuple[Name, Key], Key | None] = {}
        self.steps: list[Step] = []
        self.effects: list[Effect] = []
        self.origin: Path = ()
        self.flight: Flight

    # ---- the way through the hooks

    def run(self, packet: Packet, route: Route) -> Outcome:
        self.flight = Flight(packet, packet, "", route(packet.destination))
        if not self.hook("prerouting"):
            return self.outcome("drop")
        out = route(self.flight.now.destination)
        self.flight = self.flight._replace(towards=out)
        if is_local(out):
            return self.outcome("accept" if self.hook("input") else "drop")
        self.flight = self.flight._replace(out=out)
        passed = self.hook("forward") and self.hook("postrouting")
        return self.outcome("accept" if passed else "drop")

    def hook(self, name: str) -> bool:
        """Whether the packet passes the base chains of a hook; `accept` and translations end one of them."""
        return all(self.chain(base) != "drop" for base in self.program.hooks.get(name, ()))

    def outcome(self, verdict: str) -> Outcome:
        flight = self.flight
        dnat, snat = (bool(flight.status & STATUS[kind]) for kind in ("dnat", "snat"))
        state = self.state.after(self.learned)
        return Outcome(
            verdict, flight.now, flight.towards, flight.ct_mark, dnat, snat, tuple(self.steps), state
        )

    # ---- chains and rules

    def chain(self, name: Name) -> str:
        """'accept', 'drop', or '' at the end of a chain."""
        for rule in self.program.chains[name]:
            verdict = self.rule(name, rule)
            if verdict is None:
                continue
            if verdict.kind == "return":
                return ""
            if verdict.chain is not None:
                reached = self.chain(verdict.chain)
                if reached or verdict.kind == "goto":
                    return reached
                continue
            return "drop" if verdict.kind == "reject" else verdict.kind
        return ""

    def rule(self, chain: Name, rule: Rule) -> Verdict | None:
        """Do one rule; its verdict, if it has one and gets there."""
        self.effects, self.origin = [], ()
        verdict = None
        try:
            for statement in rule.statements:
                verdict = self.statement(statement)
        except _Stop:
            verdict = None
        if self.effects:
            self.steps.append(Step(chain, rule, self.origin or rule.origin, tuple(self.effects)))
        return verdict

    def statement(self, statement: Statement) -> Verdict | None:
        if isinstance(statement, Match):
            self.match(statement)
        elif isinstance(statement, Mangle):
            self.mangle(statement)
        elif isinstance(statement, SetUpdate):
            self.update(statement)
        elif isinstance(statement, Use):
            self.effects.append(Effect(statement.kind, statement.name))
        elif isinstance(statement, Log):
            self.effects.append(Effect("log", None, (statement.prefix, number(statement.group))))
        elif isinstance(statement, Limit):
            if statement.over:
                raise _Stop
        elif isinstance(statement, Nat):
            return self.nat(statement)
        elif isinstance(statement, VerdictMap):
            return self.decided(self.vmap(statement))
        elif isinstance(statement, Reject):
            return self.decided(Verdict("reject"))
        elif isinstance(statement, Unread):
            raise UnknownStatement(statement.listed)
        else:
            return self.decided(statement)
        return None

    def decided(self, verdict: Verdict) -> Verdict:
        self.effects.append(Effect(verdict.kind, verdict.chain))
        return verdict

    # ---- matches

    def choose(self, options: int) -> int:
        """Take one of several ways; the others are walked later."""
        at = len(self.options)
        self.options.append(options)
        if at == len(self.chosen):
            self.chosen.append(0)
        return self.chosen[at]

    def match(self, match: Match) -> None:
        if match.op == "in":
            (pattern,) = match.right[0].key if not isinstance(match.right, Name) else ()
            if masked(self.number(match.left), _range(pattern).first) == number(0):
                raise _Stop
        elif self.holds(match) is (match.op == "!="):
            raise _Stop

    def holds(self, match: Match) -> bool:
        met, sure = self.look(match.right, self.key(match.left), lambda _: True)
        return bool(met) and (sure or self.choose(2) == 0)

    def look(self, name: Name | Elements, key: Key, kind: Kind) -> tuple[list[Hit], bool]:
        """The elements that a key may meet, and whether it must meet one.

        Packets of a box may meet different elements of one kind; Split is raised where the kinds differ.
        """
        source = self.program.sources[name] if isinstance(name, Name) else name
        if isinstance(source, Source) and source.dynamic:
            data = self.dynamic(source.name, key)
            return ([], False) if data is None else ([_hit(key, data)], True)
        part = key[0]
        if len(key) == 1 and isinstance(part, Part):
            return divided(source, part, kind)
        met, sure = hits(source, key)
        if not sure or len({kind(entry) for entry in met}) > 1:
            apart(key, [entry.key for entry in met])
        return [Hit(entry) for entry in met], sure

    def dynamic(self, name: Name, key: Key) -> Key | None:
        state = self.state.after(self.learned) if self.learned else self.state
        data = state.data(name, key)
        if data is None and (others := state.perhaps(name, key)):
            return [None, *others][self.choose(len(others) + 1)]
        if data is None and self.state.unknown and (name, key) not in self.learned:
            data = self.program.sources[name].anything if self.choose(2) else None
            if certain(key):
                self.learned[name, key] = data
        return data

    def found(self, looked: Lookup, kind: Kind) -> list[Hit]:
        """The elements of a map that a key may have; a miss ends the rule."""
        met, sure = self.look(looked.source, self.key(looked.key), kind)
        if not met or (not sure and self.choose(2)):
            raise _Stop
        if len(met) == 1 and met[0].entry.origin:
            self.origin = met[0].entry.origin
        return met

    def vmap(self, vmap: VerdictMap) -> Verdict:
        met, sure = self.look(vmap.source, self.key(vmap.key), lambda entry: entry.data)
        verdicts = list(dict.fromkeys(hit.entry.data for hit in met))
        options = len(verdicts) + (not sure)
        way = self.choose(options) if options > 1 else 0
        if way >= len(verdicts):
            raise _Stop
        verdict = verdicts[way]
        assert isinstance(verdict, Verdict)
        self.origin = next((hit.entry.origin for hit in met if hit.entry.data == verdict), ())
        return verdict

    # ---- values

    def key(self, expression: Expression) -> Key:
        if isinstance(expression, Field):
            return (self.field(expression),)
        if isinstance(expression, Bitwise):
            value = self.number(expression.field)
            if isinstance(value, Part) and value.first < value.last and _scrambles(expression, value):
                bits = (expression.xor & ~expression.bits) | expression.bits
                return (Scrambled(value.field, expression.mask & ~expression.bits, bits),)
            value = masked(value, expression.mask)
            return (joined(inverted(value, expression.xor), expression.bits),)
        if isinstance(expression, Concat):
            return tuple(part for field in expression.parts for part in self.key(field))
        if isinstance(expression, Numgen):
            return (Range(expression.offset, expression.offset + expression.modulus - 1),)
        if isinstance(expression, Constant):
            return (expression.value,)
        return hull([_data(hit.entry) for hit in self.found(expression, lambda entry: entry.data)])

    def field(self, field: Field) -> Value:
        """The value of a field; another protocol than its own ends the rule."""
        word, _, end = field.name.partition(" ")
        if word not in PROTOCOL_FIELDS:
            return self.flight.field(field.name)
        self.match(Match(Field("meta l4proto"), keys([PROTOCOL_FIELDS[word]])))
        return self.flight.field(field.name if end == "flags" else f"th {end}")

    def number(self, expression: Expression) -> Range:
        return _range(self.key(expression)[0])

    # ---- statements

    def mangle(self, mangle: Mangle) -> None:
        value = self.number(mangle.value)
        if mangle.field == META_MARK:
            self.flight = self.flight._replace(mark=value)
        elif mangle.field == CT_MARK:
            self.flight = self.flight._replace(ct_mark=value)
            self.effects.append(Effect("mark", None, (value,)))
        elif mangle.field.name == "ct event":
            self.effects.append(Effect("events", None, (value,)))
        else:
            self.flight = self.flight._replace(zone=value)

    def update(self, update: SetUpdate) -> None:
        """Add, renew or delete an element; its limit or count may end the rule.

        Of a key that stands for many the kernel makes one that is not there yet; which one is not known.
        """
        name, key = update.name, self.key(update.key)
        data = self.key(update.data) if update.data is not None else ()
        if update.op == "delete":
            self.learned[name, key] = None
            return
        known = self.dynamic(name, key)
        if known is None and not self.state.unknown and any(isinstance(one, Scrambled) for one in key):
            # Of the packets of a box some find such an element made by a packet of another one.
            known = data if self.choose(2) else None
        if isinstance(update.condition, CtCount):
            self.count(update.condition, name, key, known)
            return
        if certain(key) and (known is None or update.op == "update"):
            self.learned[name, key] = data
        if isinstance(update.condition, Limit) and update.condition.over != (known is not None):
            raise _Stop

    def count(self, condition: CtCount, name: Name, key: Key, known: Key | None) -> None:
        """Connections of one key, this one with them."""
        connections = 1 + (_range(known[0]).first if known else 0)
        over = connections > condition.most
        if self.state.unknown:
            over = known is not None
        if certain(key):
            self.learned[name, key] = (number(connections),)
        self.effects.append(Effect("over" if over else "count", name, (number(condition.most),)))
        if over is not condition.over:
            raise _Stop

    def nat(self, nat: Nat) -> Verdict:
        address = port = None
        if isinstance(nat.address, Lookup):
            now = self.flight.now
            old = now.source if nat.kind == "snat" else now.destination
            moves = _moves_with(old, self.key(nat.address.key), nat.prefix)
            met = self.found(nat.address, lambda entry: entry.data[1:] if moves(entry) else entry.data)
            data = _netmap(met, old) if moves(met[0].entry) else hull([_data(hit.entry) for hit in met])
            address = _range(data[0])
            port = _range(data[1]) if len(data) > 1 else None
        elif nat.address is not None:
            address = self.constant(nat, self.number(nat.address))
        elif nat.kind == "masquerade":
            address = INTERFACE_ADDRESS
        if nat.port is not None:
            port = self.number(nat.port)
        kind = "dnat" if nat.kind == "dnat" else "snat"
        if kind == "dnat":
            chosen = self.flight.original.chosen
            address = address and taken(address, chosen, 0)[1]
            port = port and taken(port, chosen, 1)[1]
        self.flight = self.flight.translated(kind, address, port)
        now = self.flight.now
        ends = {"snat": (now.source, now.source_port), "dnat": (now.destination, now.destination_port)}
        self.effects.append(Effect(kind, None, ends[kind]))
        return ACCEPT

    def constant(self, nat: Nat, address: Range) -> Range:
        """The address that a rule names; of a prefix the one with the packet's host bits."""
        if not nat.prefix:
            return address
        old = self.flight.now.source if nat.kind == "snat" else self.flight.now.destination
        if isinstance(old, Part):
            return netmapped(old, [(EVERYWHERE, address)])
        host = address.size - 1
        return joined(masked(old, host), address.first)


def _scrambles(expression: Bitwise, value: Part) -> bool:
    """Whether a port is computed: nft lists `& mask ^ bits` as `& mask | bits` where the bits are others."""
    return bool(expression.xor or (expression.bits and value.field in ("source_port", "destination_port")))


def _hit(key: Key, data: Key) -> Hit:
    """An element that packets have made, with values that only a walk has (interfaces of a box)."""
    return Hit(Element(cast("EmitKey", key), cast("EmitKey", data)))


def _data(entry: Element) -> Key:
    """The data of an element of a map that holds no verdicts."""
    assert not isinstance(entry.data, Verdict)
    return entry.data


def _range(value: Value) -> Range:
    if not isinstance(value, Range):
        raise UnknownStatement(f"'{value}' is no number")
    return value


def _moves_with(old: Range, key: Key, prefix: bool) -> Callable[[Element], bool]:
    """Which elements make of every address another one. Packets of a box may meet many such elements where
    they are looked up by that address: NETMAP, or a few hosts to one."""
    same = isinstance(old, Part) and isinstance(key[0], Part) and old.field == key[0].field
    return lambda entry: (
        prefix or (same and len(entry.key) == 1 and _few(entry.key[0]) and certain(_data(entry)[:1]))
    )


def _few(value: Value) -> bool:
    """Whether each value may be moved by a number of its own."""
    return not isinstance(value, Range) or value.last - value.first < FEW


def _netmap(met: list[Hit], address: Range) -> Key:
    """The new address by the kernel's NETMAP, and what else the elements say."""
    rest = _data(met[0].entry)[1:]
    if isinstance(address, Part) and met[0].field == address.field:
        rows = sorted((one, _range(_data(hit.entry)[0])) for hit in met for one in hit.where)
        return netmapped(address, rows), *rest
    found = []
    for hit in met:
        first, last = _range(_data(hit.entry)[0])
        host = (1 << (first ^ last).bit_length()) - 1
        found.append((joined(masked(address, host), first & ~host),))
    return *hull(found), *rest
