"""One rule and one packet: matches, statements, verdict.

Numbers that the kernel draws are ranges; a match that is undecided is done both ways, so a rule has one
outcome or several. A packet whose fields are parts of a box (boxes.py) stands for all packets of the box,
and Split is raised where they would not fare alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeGuard, cast

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
    number,
)
from nfcompile.emit.expressions import Key as EmitKey
from nfcompile.emit.statements import (
    ACCEPT,
    CT_MARK,
    META_MARK,
    TCP,
    TH_SPORT,
    UDP,
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
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.verify.boxes import Names
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS, Blocks, DrawnNumber, Scrambled, taken
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.moments import UNKNOWN
from nfcompile.verify.narrowing import Cut, narrowed
from nfcompile.verify.value_arithmetic import inverted, joined, masked, netmapped
from nfcompile.verify.walk.packet import REWRITTEN, UNTRACKED, WRITABLE, Flight
from nfcompile.verify.walk.program import Hit, Kind, Program, Source, divided, hits, ranged
from nfcompile.verify.walk.state import NOTHING, Learned, State
from nfcompile.verify.walk.values import Key, UnknownStatement, Value, apart, certain, hull

OF_PROTOCOL = {
    "tcp flags": (TCP, "tcp flags"),
    **{f"tcp {end}": (TCP, f"th {end}") for end in ("sport", "dport")},
    **{f"udp {end}": (UDP, f"th {end}") for end in ("sport", "dport")},
}
"""Fields that match the protocol as well, and what they are of it."""
MANY = 64
FEW = 4096
"""Addresses of one element that are each moved to the one that it leads to; more are cut into a box."""


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


class _Stop(Exception):
    """A rule ends before its last phrase."""


class Pause(NamedTuple):
    """A packet before a statement: what it is, what it knows of dynamic elements, what its rule has done.

    `at` is the number of the statement in its rule, `chosen` which way it goes where it is undecided.
    """

    flight: Flight
    learned: Learned = NOTHING.learned
    at: int = 0
    chosen: tuple[int, ...] = ()
    effects: tuple[Effect, ...] = ()
    origin: Path = ()

    def narrowed(self, field: str, kept: Cut) -> Pause:
        """The same of those packets of its box that have the kept values."""
        learned = _narrowed(self.learned, field, kept) if self.learned else self.learned
        return self._replace(flight=self.flight.narrowed(field, kept), learned=learned)


class Walker:
    """What rules make of a packet: its flight, what it has learned of dynamic elements, what it did.

    A packet that can go several ways goes the first one; `others` are the pauses where the others begin.
    Where Split is raised, `paused` is where the parts of the box go on.
    """

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.state = state
        self.chosen: list[int] = []
        self.options: list[int] = []
        self.learned: Learned = NOTHING.learned
        self.effects: list[Effect] = []
        self.origin: Path = ()
        self.others: list[Pause] = []
        self.hulls: dict[int, tuple[list[Hit], Key]] = {}
        self.paused: Pause
        self.flight: Flight

    def rule(self, rule: Rule, pause: Pause) -> Verdict | None:
        """Do a rule from a pause on; its verdict, if it has one and gets there."""
        self.flight, self.learned, at, chosen, effects, self.origin = pause
        self.effects, self.others = list(effects), []
        verdict = None
        if _tosses(rule.statements):
            self.toss(rule.statements[1])
            return None
        for index in range(at, len(rule.statements)):
            self.paused = Pause(self.flight, self.learned, index, chosen, tuple(self.effects), self.origin)
            self.chosen, self.options = list(chosen), []
            try:
                verdict = self.statement(rule.statements[index])
            except _Stop:
                self.fork(len(chosen))
                return None
            if self.options:
                self.fork(len(chosen))
            chosen = ()
        return verdict

    def fork(self, given: int) -> None:
        """Note the other ways of a statement, of whose choices so many were given."""
        for at in range(given, len(self.chosen)):
            for other in range(1, self.options[at]):
                self.others.append(self.paused._replace(chosen=(*self.chosen[:at], other)))

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
        elif isinstance(statement, Notrack):
            self.flight = self.flight._replace(status=self.flight.status | UNTRACKED)
            self.effects.append(Effect("notrack"))
        elif isinstance(statement, Unread):
            raise UnknownStatement(statement.listed)
        else:
            return self.decided(statement)
        return None

    def decided(self, verdict: Verdict) -> Verdict:
        self.effects.append(Effect(verdict.kind, verdict.chain))
        return verdict

    def learn(self, name: Name, key: Key, data: Key | None) -> None:
        """Know an element from now on; None: that there is none. Other ways keep what they know."""
        self.learned = {**self.learned, (name, key): data}

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
        mark = self.flight.mark
        drawn = match.left == META_MARK and isinstance(mark, DrawnNumber) and not self.state.unknown
        if met and not sure and drawn:
            assert isinstance(mark, DrawnNumber)
            # A search goes on where it has drawn a number that does not exist; it has one that does.
            self.flight = self.flight._replace(mark=mark.below(_range(met[0].entry.key[0]).first))
            return False
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
        if len(key) == 1 and isinstance(part, FieldValues):
            return divided(source, part, kind)
        if isinstance(source, Source) and (found := ranged(source, key)) is not None:
            return found
        met, sure = hits(source, key)
        boxed = any(isinstance(one, FieldValues | Names) for one in key)
        if boxed and (not sure or len({kind(entry) for entry in met}) > 1):
            apart(key, [entry.key for entry in met])
        return [Hit(entry) for entry in met], sure

    def dynamic(self, name: Name, key: Key) -> Key | None:
        state = self.state.after(self.learned) if self.learned else self.state
        data = state.data(name, key)
        if data is None and (others := state.perhaps(name, key)):
            return [None, *others][self.choose(len(others) + 1)]
        if data is None and self.state.may_hold(name, key) and (name, key) not in self.learned:
            data = self.program.sources[name].anything if self.choose(2) else None
            if certain(key):
                self.learn(name, key, data)
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
        key = self.key(vmap.key)
        met, sure = self.look(vmap.source, key, lambda entry: entry.data)
        found = dict.fromkeys(hit.entry.data for hit in met)
        verdicts = [one for one in found if isinstance(one, Verdict)]
        if len(verdicts) > 1 and not any(isinstance(part, FieldValues | Names) for part in key):
            verdicts = self.program.either(verdicts)
        options = len(verdicts) + (not sure)
        way = self.choose(options) if options > 1 else 0
        if way >= len(verdicts):
            raise _Stop
        verdict = verdicts[way]
        self.origin = next((hit.entry.origin for hit in met if hit.entry.data == verdict), ())
        return verdict

    # ---- values

    def key(self, expression: Expression) -> Key:
        if isinstance(expression, Field):
            return (self.field(expression.name),)
        if isinstance(expression, Concat):
            parts = expression.parts
            return tuple(self.field(o.name) if isinstance(o, Field) else self.computed(o) for o in parts)
        if isinstance(expression, Bitwise):
            return (self.computed(expression),)
        if isinstance(expression, Constant):
            return (expression.value,)
        if isinstance(expression, Numgen):
            return (Range(expression.offset, expression.offset + expression.modulus - 1),)
        return self.hull(self.found(expression, lambda entry: entry.data))

    def hull(self, met: list[Hit]) -> Key:
        """The data of elements that a key may meet; remembered, since `ranged` gives the same lists."""
        if len(met) < MANY:
            return hull([_data(hit.entry) for hit in met])
        if id(met) not in self.hulls:
            self.hulls[id(met)] = met, hull([_data(hit.entry) for hit in met])
        return self.hulls[id(met)][1]

    def computed(self, expression: Bitwise) -> Value:
        """A field with some of its bits, and others put in."""
        value = _range(self.field(expression.field.name))
        if isinstance(value, Scrambled):
            return value.turned(*_flipped(expression))
        if isinstance(value, DrawnNumber):
            return value.changed(*_flipped(expression))
        if isinstance(value, FieldValues) and value.first < value.last and _scrambles(expression, value):
            return Scrambled(value.field, *_flipped(expression))
        return joined(inverted(masked(value, expression.mask), expression.xor), expression.bits)

    def field(self, name: str) -> Value:
        """The value of a field; another protocol than its own, and no connection, end the rule."""
        if name in OF_PROTOCOL:
            protocol, name = OF_PROTOCOL[name]
            if self.flight.now.protocol != protocol:
                raise _Stop
        later = self.flight.later
        if later is not None and later.moment in UNKNOWN and name.startswith("ct ") and name != "ct state":
            raise _Stop
        return self.flight.field(name)

    def number(self, expression: Expression) -> Range:
        return _range(self.key(expression)[0])

    # ---- statements

    def mangle(self, mangle: Mangle) -> None:
        if mangle.field.name in WRITABLE:
            (written,) = self.key(mangle.value)
            value = _range(self.writable(mangle.field, written))
            self.flight = self.flight.with_field(mangle.field.name, value)
            return
        value = self.number(mangle.value)
        if mangle.field.name in REWRITTEN:
            self.flight = self.flight.rewritten(mangle.field.name, value)
            self.effects.append(Effect("rewrite", None, (mangle.field.name, value)))
            return
        if mangle.field == META_MARK and isinstance(mangle.value, Numgen):
            value = DrawnNumber(*value)
        if mangle.field == META_MARK:
            self.flight = self.flight._replace(mark=value)
        elif mangle.field == CT_MARK:
            self.flight = self.flight._replace(ct_mark=value)
            self.effects.append(Effect("mark", None, (value,)))
        elif mangle.field.name == "ct event":
            self.effects.append(Effect("events", None, (value,)))
        else:
            self.flight = self.flight._replace(zone=value)

    def writable(self, field: Field, written: Value) -> Value:
        """What a field of the packet has become. Where every look-up goes both ways, one port of a block is
        as good as another, or a search had a way for each candidate."""
        anyhow = self.state.unknown and field == TH_SPORT
        if isinstance(written, str | Names | FieldValues | DrawnNumber) or written.size == 1:
            return written
        return written if isinstance(written, Scrambled) and not anyhow else DrawnNumber(*written)

    def toss(self, mangle: Mangle) -> None:
        """A field that is changed or not, as a number is drawn: the packet has one of both."""
        now, value = self.number(mangle.field), mangle.value
        (either,) = hull([(now,), (self.number(value),)])
        if mangle.field != META_MARK:
            self.flight = self.flight.with_field(mangle.field.name, DrawnNumber(*_range(either)))
            return
        many, tossed = (now.many, now.tossed) if isinstance(now, DrawnNumber) else (now.size, 0)
        bits = value.bits | value.xor if isinstance(value, Bitwise) else 0
        self.flight = self.flight._replace(mark=DrawnNumber(*_range(either), 2 * many, tossed | bits))

    def update(self, update: SetUpdate) -> None:
        """Add, renew or delete an element; its limit or count may end the rule.

        Of a key that stands for many the kernel makes one that is not there yet; which one is not known.
        """
        name, key = update.name, self.key(update.key)
        data = self.key(update.data) if update.data is not None else ()
        if update.op == "delete":
            self.learn(name, key, None)
            return
        known = self.dynamic(name, key)
        if known is None and not self.state.unknown and any(isinstance(one, Scrambled) for one in key):
            # Of the packets of a box some find such an element made by a packet of another one.
            known = data if self.choose(2) else None
        if isinstance(update.condition, CtCount):
            self.count(update.condition, name, key, known)
            return
        if certain(key) and (known is None or update.op == "update"):
            self.learn(name, key, data)
        if isinstance(update.condition, Limit) and update.condition.over != (known is not None):
            raise _Stop

    def count(self, condition: CtCount, name: Name, key: Key, known: Key | None) -> None:
        """Connections of one key, this one with them."""
        connections = 1 + (_range(known[0]).first if known else 0)
        over = connections > condition.most
        if self.state.unknown:
            over = known is not None
        self.learn(name, key, (number(connections),))
        self.effects.append(Effect("over" if over else "count", name, (number(condition.most),)))
        if over is not condition.over:
            raise _Stop

    def nat(self, nat: Nat) -> Verdict:
        address = port = None
        if isinstance(nat.address, Lookup):
            now = self.flight.now
            old = now.source if nat.kind == "snat" else now.destination
            key = self.key(nat.address.key)
            moves = _moves_with(old, key, nat.prefix)
            boxed = isinstance(key[0], FieldValues)
            met = self.found(
                nat.address,
                lambda entry: (boxed or entry.data[1:], len(entry.data)) if moves(entry) else entry.data,
            )
            data = _netmap(met, old) if moves(met[0].entry) else self.hull(met)
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
        if isinstance(old, FieldValues):
            return netmapped(old, [(EVERYWHERE, address)])
        host = address.size - 1
        return joined(masked(old, host), address.first)


def _narrowed(learned: Learned, field: str, kept: Cut) -> Learned:
    """What is known of elements, of a part of the box."""

    def key_of(key: Key) -> Key:
        return tuple(narrowed(value, field, kept) for value in key)

    return {
        (name, key_of(key)): None if data is None else key_of(data) for (name, key), data in learned.items()
    }


def _flipped(expression: Bitwise) -> tuple[int, int]:
    """`& mask ^ xor | bits` as a mask and what is turned over after it."""
    return expression.mask & ~expression.bits, (expression.xor & ~expression.bits) | expression.bits


def _tosses(statements: tuple[Statement, ...]) -> TypeGuard[tuple[Match, Mangle]]:
    """Whether a rule changes a field of the packet or its mark, or not, as a number is drawn."""
    if len(statements) != 2:
        return False
    match, mangle = statements
    drawn = isinstance(match, Match) and isinstance(match.left, Numgen) and match.left.mode == "random"
    return drawn and isinstance(mangle, Mangle) and mangle.field.name in (*WRITABLE, META_MARK.name)


def _scrambles(expression: Bitwise, value: FieldValues) -> bool:
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
        raise UnknownStatement(f"'{value}' is not a number")
    return value


def _moves_with(old: Range, key: Key, prefix: bool) -> Callable[[Element], bool]:
    """Which elements make of every address another one. Packets of a box may meet many such elements where
    they are looked up by that address: NETMAP, or a few hosts to one."""
    same = isinstance(old, FieldValues) and isinstance(key[0], FieldValues) and old.field == key[0].field
    return lambda entry: (
        prefix or (same and len(entry.key) == 1 and _few(entry.key[0]) and certain(_data(entry)[:1]))
    )


def _few(value: Value) -> bool:
    """Whether each value may be moved by a number of its own."""
    return not isinstance(value, Range) or value.last - value.first < FEW


def _netmap(met: list[Hit], address: Range) -> Key:
    """The new address by the kernel's NETMAP, and what else the elements say."""
    rest = _data(met[0].entry)[1:]
    if rest and met[0].field:
        ports = ((one, _range(_data(hit.entry)[1])) for hit in met for one in hit.where)
        rest = (Blocks.of(met[0].field, ports),)
    if isinstance(address, FieldValues) and met[0].field == address.field:
        rows = sorted((one, _range(_data(hit.entry)[0])) for hit in met for one in hit.where)
        return netmapped(address, rows), *rest
    found = []
    for hit in met:
        first, last = _range(_data(hit.entry)[0])
        host = (1 << (first ^ last).bit_length()) - 1
        found.append((joined(masked(address, host), first & ~host),))
    return *hull(found), *rest
