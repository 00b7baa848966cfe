"""What expressions, matches and map look-ups are for one packet, before a statement changes anything.

Numbers that the kernel draws are ranges; what is undecided is a choice of several ways. A packet whose fields
are parts of a box (boxes.py) stands for all packets of the box, and Split is raised where they differ.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import cast

from nfcompile.diagnostics import Path
from nfcompile.emit import Element, Name
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
from nfcompile.emit.statements import META_MARK, TCP, UDP, Match, VerdictMap
from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names
from nfcompile.verify.chosen_values import DrawnBlocks, DrawnNumber, Scrambled
from nfcompile.verify.field_values import FieldValues, Split
from nfcompile.verify.moments import UNKNOWN
from nfcompile.verify.value_arithmetic import inverted, joined, masked
from nfcompile.verify.walk.packet import Flight
from nfcompile.verify.walk.program import Hit, Kind, Program, Source, divided, hits, of_names, ranged
from nfcompile.verify.walk.state import NOTHING, Learned, State
from nfcompile.verify.walk.values import Key, Value, apart, certain, hull, number_of
from nfcompile.verify.walk.writing import addresses, kind, writes

OF_PROTOCOL = {
    "tcp flags": (TCP, "tcp flags"),
    **{f"tcp {end}": (TCP, f"th {end}") for end in ("sport", "dport")},
    **{f"udp {end}": (UDP, f"th {end}") for end in ("sport", "dport")},
}
"""Fields that match the protocol as well, and what they are of it."""
MANY = 64
"""Elements that one key may meet, from which on the hull of their data is remembered."""

ONE_NUMBER = "one number"


class RuleEnds(Exception):
    """A rule ends before its last phrase."""


class Evaluation:
    """A packet at a statement: what the statement's expressions are, and which elements their keys meet.

    `flight` is the packet, `learned` what it knows of dynamic elements, `origin` the spot of the site that
    the element which it met last serves; `chosen` are the ways taken, of so many `options` each.
    """

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.state = state
        self.chosen: list[int] = []
        self.options: list[int] = []
        self.learned: Learned = NOTHING.learned
        self.origin: Path = ()
        self.hulls: dict[int, tuple[list[Hit], Key]] = {}
        self.flight: Flight

    def learn(self, name: Name, key: Key, data: Key | None) -> None:
        """Know an element from now on; None: that there is none. Other ways keep what they know."""
        self.learned = {**self.learned, (name, key): data}

    def choose(self, options: int) -> int:
        """Take one of several ways; the others are walked later."""
        at = len(self.options)
        self.options.append(options)
        if at == len(self.chosen):
            self.chosen.append(0)
        return self.chosen[at]

    # ---- matches

    def match(self, match: Match) -> None:
        if match.op == "in":
            (pattern,) = match.right[0].key if not isinstance(match.right, Name) else ()
            if masked(self.number(match.left), number_of(pattern).first) == number(0):
                raise RuleEnds
        elif self.holds(match) is (match.op == "!="):
            raise RuleEnds

    def holds(self, match: Match) -> bool:
        met, sure = self.look(match.right, self.key(match.left), lambda _: True)
        mark = self.flight.mark
        drawn = match.left == META_MARK and isinstance(mark, DrawnNumber) and not self.state.unknown
        if met and not sure and drawn:
            assert isinstance(mark, DrawnNumber)
            # A search goes on where it has drawn a number that does not exist; it has one that does.
            self.flight = self.flight._replace(mark=mark.below(number_of(met[0].entry.key[0]).first))
            return False
        return bool(met) and (sure or self.choose(2) == 0)

    def vmap(self, vmap: VerdictMap) -> Verdict | list[Hit]:
        """The verdict of a map; its elements where the packets of a box go to several chains, each of which
        writes a field."""
        key = self.key(vmap.key)
        met, sure = self.look(vmap.source, key, lambda entry: kind(self.program, entry))
        found = dict.fromkeys(hit.entry.data for hit in met)
        if len(found) > 1 and met[0].field and writes(self.program, met[0].entry.data):
            return met
        verdicts = [one for one in found if isinstance(one, Verdict)]
        if len(verdicts) > 1 and not any(isinstance(part, FieldValues | Names) for part in key):
            verdicts = self.program.either(verdicts)
        options = len(verdicts) + (not sure)
        way = self.choose(options) if options > 1 else 0
        if way >= len(verdicts):
            raise RuleEnds
        verdict = verdicts[way]
        self.origin = next((hit.entry.origin for hit in met if hit.entry.data == verdict), ())
        return verdict

    # ---- sets and maps

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
        if len(key) == 1 and isinstance(part, str | Names):
            return of_names(source, part, kind)
        if isinstance(source, Source) and (found := ranged(source, key)) is not None:
            return found
        met, sure = hits(source, key)
        boxed = any(isinstance(one, FieldValues | Names) for one in key)
        if boxed and (not sure or len({kind(entry) for entry in met}) > 1):
            apart(key, [entry.key for entry in met])
        return [Hit(entry) for entry in met], sure

    def dynamic(self, name: Name, key: Key, which: bool = True) -> Key | None:
        """The data of an element that packets make, None where there is none. `which`: it matters which of
        several elements it is that other packets of the box may have made."""
        state = self.state.after(self.learned) if self.learned else self.state
        data = state.data(name, state.named(name, key))
        if data is None and (others := state.perhaps(name, key)):
            ways = [None, *others] if which else [None, others[0]]
            return ways[self.choose(len(ways))]
        if data is None and self.state.may_hold(name, key) and (name, key) not in self.learned:
            anything = self.state.may_be(name, self.program.sources[name].anything)
            data = anything if self.choose(2) else None
            if certain(key):
                self.learn(name, key, data)
        return data

    def found(self, looked: Lookup, kind: Kind) -> list[Hit]:
        """The elements of a map that a key may have; a miss ends the rule."""
        met, sure = self.look(looked.source, self.key(looked.key), kind)
        if not met or (not sure and self.choose(2)):
            raise RuleEnds
        if len(met) == 1 and met[0].entry.origin:
            self.origin = met[0].entry.origin
        return met

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
        return self.looked_up(expression)

    def looked_up(self, looked: Lookup) -> Key:
        """The data of the elements that a key may meet. Packets of a box that meet elements of one number
        each have that number; Split is raised where that is not one value for all of them."""
        met = self.found(looked, data_kind)
        if len(met) < 2 or not met[0].field or data_kind(met[0].entry) is not ONE_NUMBER:
            return self.hull(met)
        where: dict[Key, list[Range]] = {}
        for hit in met:
            where.setdefault(data_of(hit.entry), []).extend(hit.where)
        parts = [(union(kept), number_of(data[0])) for data, kept in where.items()]
        value = parts[0][1] if len(parts) == 1 else addresses(met[0].field, parts)
        if value is None:
            raise Split(met[0].field, (kept for kept, _ in parts))
        return (value,)

    def hull(self, met: list[Hit]) -> Key:
        """The data of elements that a key may meet; remembered, since `ranged` gives the same lists."""
        if len(met) < MANY:
            return hull([data_of(hit.entry) for hit in met])
        if id(met) not in self.hulls:
            self.hulls[id(met)] = met, hull([data_of(hit.entry) for hit in met])
        return self.hulls[id(met)][1]

    def computed(self, expression: Bitwise) -> Value:
        """A field with some of its bits, and others put in."""
        return self.changed(expression, number_of(self.field(expression.field.name)))

    def changed(self, expression: Bitwise, value: Range) -> Value:
        """The same of a value of that field."""
        if isinstance(value, Scrambled):
            return value.turned(*_flipped(expression))
        if isinstance(value, DrawnNumber | DrawnBlocks):
            return value.changed(*_flipped(expression))
        if isinstance(value, FieldValues) and value.first < value.last and _scrambles(expression, value):
            return Scrambled(value.field, *_flipped(expression))
        return joined(inverted(masked(value, expression.mask), expression.xor), expression.bits)

    def field(self, name: str) -> Value:
        """The value of a field; another protocol than its own, and no connection, end the rule."""
        if name in OF_PROTOCOL:
            protocol, name = OF_PROTOCOL[name]
            if self.flight.now.protocol != protocol:
                raise RuleEnds
        later = self.flight.later
        if later is not None and later.moment in UNKNOWN and name.startswith("ct ") and name != "ct state":
            raise RuleEnds
        return self.flight.field(name)

    def number(self, expression: Expression) -> Range:
        return number_of(self.key(expression)[0])


def data_kind(entry: Element) -> Hashable:
    """What elements of a map must have in common to be met by packets of one box."""
    data = data_of(entry)
    return ONE_NUMBER if len(data) == 1 and isinstance(data[0], Range) and data[0].size == 1 else data


def data_of(entry: Element) -> Key:
    """The data of an element of a map that holds no verdicts."""
    assert not isinstance(entry.data, Verdict)
    return entry.data


def _hit(key: Key, data: Key) -> Hit:
    """An element that packets have made, with values that only a walk has (interfaces of a box)."""
    return Hit(Element(cast("EmitKey", key), cast("EmitKey", data)))


def _flipped(expression: Bitwise) -> tuple[int, int]:
    """`& mask ^ xor | bits` as a mask and what is turned over after it."""
    return expression.mask & ~expression.bits, (expression.xor & ~expression.bits) | expression.bits


def _scrambles(expression: Bitwise, value: FieldValues) -> bool:
    """Whether a port is computed: nft lists `& mask ^ bits` as `& mask | bits` where the bits are others."""
    return bool(expression.xor or (expression.bits and value.field in ("source_port", "destination_port")))
